"""What a type checker is to find in the library; mypy reads this file, and nobody runs
it. Were a name of type Any, or a wrong one accepted, it would complain here.
"""

from typing import assert_type

import latent_book.vae
from latent_book import VAE, GaussianMixture, load

assert_type(VAE(8), latent_book.vae.VAE)
assert_type(load(VAE, "vae.safetensors"), VAE)
assert_type(GaussianMixture(3).n_components, int)
_ = latent_book.VEA  # type: ignore[attr-defined]
