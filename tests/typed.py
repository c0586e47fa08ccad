"""What a type checker is to find in the library; mypy reads this file, as strictly as it
can, and nobody runs it. Were a name of type Any, or a wrong one accepted, it would
complain here: of an `assert_type`, or of a comment that ignores nothing.
"""

from typing import Any, assert_type

import numpy as np
from torch import Tensor, nn

import latent_book.vae
from latent_book import (
    GAN,
    NVIL,
    PCA,
    VAE,
    Autoencoder,
    BernoulliMixture,
    DenoisingAutoencoder,
    Diffusion,
    Flow,
    GaussianMixture,
    HelmholtzMachine,
    Ladder,
    ProbabilisticPCA,
    load,
    save,
)
from latent_book.autoencoder import AutoencoderNetwork
from latent_book.data import mnist
from latent_book.estimators import NetworkEstimator
from latent_book.gan import GANHistory, GANNetwork
from latent_book.onwards import (
    FlowNetwork,
    LadderNetwork,
    NoiseNetwork,
    OwnFlow,
    Prices,
)
from latent_book.training import History
from latent_book.vae import VAENetwork
from latent_book.variational import BeliefNetwork, binarise

Pair = tuple[np.ndarray, np.ndarray]


def the_package(X: np.ndarray) -> None:
    assert_type(VAE(8), latent_book.vae.VAE)
    assert_type(load(VAE, "vae.safetensors"), VAE)
    save(VAE(8), "vae.safetensors")
    assert_type(binarise(mnist("test").X, 0), np.ndarray)
    VAE(8).sampel(3)  # type: ignore[attr-defined]
    VAE(8, hiden=(64,))  # type: ignore[call-arg]
    VAE("8")  # type: ignore[arg-type]
    VAE(8).encode(3)  # type: ignore[type-var]
    _ = VAE(8).encode(X).shpae  # type: ignore[attr-defined]
    _ = latent_book.VEA  # type: ignore[attr-defined]


def what_all_have(X: np.ndarray) -> None:
    """A fit gives the model itself, and the model its settings."""
    assert_type(PCA(2).fit(X), PCA)
    assert_type(PCA(2).partial_fit(X), PCA)
    assert_type(ProbabilisticPCA(2).fit(X), ProbabilisticPCA)
    assert_type(GaussianMixture(3).fit(X, sample_weight=X[:, 0]), GaussianMixture)
    assert_type(GaussianMixture(3).fit(iter([X, X])), GaussianMixture)
    assert_type(BernoulliMixture(3).fit(X), BernoulliMixture)
    assert_type(Autoencoder(2).fit(X), Autoencoder)
    assert_type(DenoisingAutoencoder(9).fit(X), DenoisingAutoencoder)
    assert_type(HelmholtzMachine(2).fit(X), HelmholtzMachine)
    assert_type(NVIL(2).fit(X), NVIL)
    assert_type(VAE(2).fit(X, X_val=X), VAE)
    assert_type(GAN(2).fit(X), GAN)
    assert_type(Diffusion().fit(X), Diffusion)
    assert_type(Flow().fit(X), Flow)
    assert_type(Ladder().fit(X), Ladder)
    assert_type(GaussianMixture(3).n_components, int)
    assert_type(PCA().set_params(n_components=3), PCA)
    assert_type(VAE().set_params(n_components=3).set_output(transform="pandas"), VAE)
    assert_type(Flow().get_params(), dict[str, Any])
    assert_type(VAE().get_feature_names_out(), np.ndarray)
    assert_type(VAE().epochs, int)
    VAE().fti(X)  # type: ignore[attr-defined]
    PCA().fit(3)  # type: ignore[arg-type]
    PCA(n_componets=3)  # type: ignore[call-arg]
    GaussianMixture(3, tol="small")  # type: ignore[arg-type]
    GAN().encode(X)  # type: ignore[attr-defined]
    Diffusion().log_prob(X)  # type: ignore[attr-defined]
    GaussianMixture().get_feature_names_out()  # type: ignore[attr-defined]


def arrays(X: np.ndarray) -> None:
    """Arrays in, arrays out."""
    for plane in (PCA(2), ProbabilisticPCA(2)):
        assert_type(plane.fit_transform(X), np.ndarray)
        assert_type(plane.transform(X), np.ndarray)
        assert_type(plane.inverse_transform(X), np.ndarray)
        assert_type(plane.encode(X), np.ndarray)
        assert_type(plane.decode(X), np.ndarray)
        assert_type(plane.score(X), float)
        assert_type(plane.get_covariance(), np.ndarray)
    for density in (PCA(2), ProbabilisticPCA(2), GaussianMixture(2), Flow(), VAE()):
        assert_type(density.log_prob(X), np.ndarray)
        assert_type(density.score_samples(X), np.ndarray)
        assert_type(density.score(X), float)
    for mixture in (GaussianMixture(2), BernoulliMixture(2)):
        assert_type(mixture.fit_predict(X), np.ndarray)
        assert_type(mixture.predict(X), np.ndarray)
        assert_type(mixture.predict_proba(X), np.ndarray)
        assert_type(mixture.encode(X), np.ndarray)
        assert_type(mixture.decode(X), np.ndarray)
        assert_type(mixture.sample(3), Pair)
        assert_type(mixture.bic(X) + mixture.aic(X), float)
    for coder in (Autoencoder(2), HelmholtzMachine(2), NVIL(2), VAE(2)):
        assert_type(coder.fit_transform(X), np.ndarray)
        assert_type(coder.encode(X), np.ndarray)
        assert_type(coder.decode(X), np.ndarray)
        assert_type(coder.reconstruct(X), np.ndarray)
        assert_type(coder.reconstruction_error(X), float)
        assert_type(coder.to_torch("decode"), nn.Module)
    for maker in (ProbabilisticPCA(2), HelmholtzMachine(2), VAE(2), GAN(2)):
        assert_type(maker.sample(3, rng=0), np.ndarray)
    for later in (Diffusion(), Flow(), Ladder()):
        assert_type(later.encode(X), np.ndarray)
        assert_type(later.decode(X), np.ndarray)
        assert_type(later.sample(3, rng=0), np.ndarray)
        assert_type(later.score(X), float)
    for bound in (HelmholtzMachine(2), VAE(2), Diffusion(), Ladder()):
        assert_type(bound.elbo(X), np.ndarray)
    assert_type(PCA(2).get_precision(), np.ndarray)
    assert_type(ProbabilisticPCA(2).posterior(X), Pair)
    assert_type(VAE().posterior(X), Pair)
    assert_type(VAE().iwae(X, 5), np.ndarray)
    assert_type(VAE().log_prob_kind, str)
    assert_type(HelmholtzMachine().log_prob(X, k=5), np.ndarray)
    assert_type(GAN().decode(X), np.ndarray)
    assert_type(DenoisingAutoencoder().denoise(X), np.ndarray)
    assert_type(DenoisingAutoencoder().grad_log_prob(X), np.ndarray)
    assert_type(Ladder().prices(X), Prices)
    assert_type(Ladder().iwae(X), np.ndarray)


def tensors(X: Tensor) -> None:
    """Tensors in, tensors out."""
    for plane in (PCA(2), ProbabilisticPCA(2), Autoencoder(2), VAE(2)):
        assert_type(plane.fit(X).encode(X), Tensor)
        assert_type(plane.decode(X), Tensor)
        assert_type(plane.fit_transform(X), Tensor)
    for mixture in (GaussianMixture(2), BernoulliMixture(2)):
        assert_type(mixture.fit(X).predict(X), Tensor)
        assert_type(mixture.log_prob(X), Tensor)
    for later in (Diffusion(), Flow(), Ladder()):
        assert_type(later.encode(X), Tensor)
        assert_type(later.decode(X), Tensor)
    assert_type(VAE().posterior(X), tuple[Tensor, Tensor])
    assert_type(VAE().elbo(X), Tensor)
    assert_type(NVIL().log_prob(X), Tensor)
    assert_type(Flow().log_prob(X), Tensor)
    assert_type(GAN().decode(X), Tensor)
    assert_type(DenoisingAutoencoder().denoise(X), Tensor)
    assert_type(binarise(X, 0), Tensor)
    _ = VAE().encode(X).shpae  # type: ignore[attr-defined]


class Frame:
    """A table with named columns, as those of pandas and polars."""

    columns = ("height", "width")

    def __len__(self) -> int:
        return 2


def lists_and_tables() -> None:
    """Lists and tables in, arrays out."""
    X = [[0.0, 1.0], [1.0, 0.0]]
    assert_type(PCA(1).fit(X).encode(X), np.ndarray)
    assert_type(PCA(1).fit(Frame()).encode(Frame()), np.ndarray)
    assert_type(VAE(1).fit(X).log_prob(X), np.ndarray)
    assert_type(GaussianMixture(1).fit(X).predict(X), np.ndarray)


def what_a_fit_leaves() -> None:
    """Of the attributes that it leaves at times, as `image_shape_`, too."""
    pca, ppca = PCA(), ProbabilisticPCA()
    for plane in (pca, ppca):
        assert_type(plane.n_components_, int)
        assert_type(plane.n_features_in_, int)
        assert_type(plane.feature_names_in_, np.ndarray)
    assert_type(pca.mean_, np.ndarray)
    assert_type(pca.components_, np.ndarray)
    assert_type(pca.explained_variance_ratio_, np.ndarray)
    assert_type(pca.noise_variance_, float)
    assert_type(ppca.W_, np.ndarray)
    assert_type(ppca.sigma2_, float)
    assert_type(ppca.history_, list[float])
    _ = pca.componets_  # type: ignore[attr-defined]
    for mixture in (GaussianMixture(), BernoulliMixture()):
        assert_type(mixture.weights_, np.ndarray)
        assert_type(mixture.means_, np.ndarray)
        assert_type(mixture.history_, np.ndarray)
        assert_type(mixture.converged_, bool)
        assert_type(mixture.n_iter_, int)
    assert_type(GaussianMixture().covariances_, np.ndarray)
    _ = GaussianMixture().covarainces_  # type: ignore[attr-defined]
    assert_type(Autoencoder().network_, AutoencoderNetwork)
    assert_type(DenoisingAutoencoder().network_, nn.Sequential)
    assert_type(HelmholtzMachine().network_, BeliefNetwork)
    assert_type(NVIL().network_, BeliefNetwork)
    assert_type(VAE().network_, VAENetwork)
    assert_type(GAN().network_, GANNetwork)
    assert_type(Diffusion().network_, NoiseNetwork)
    assert_type(Flow().network_, FlowNetwork | OwnFlow)
    assert_type(Ladder().network_, LadderNetwork)
    assert_type(GAN().history_, GANHistory)
    assert_type(DenoisingAutoencoder().sigma_, float | np.ndarray)
    for learned in (Autoencoder(), NVIL(), VAE(), Diffusion(), Flow(), Ladder()):
        assert_type(learned.history_, History)
        assert_type(learned.history_.loss, list[float])
        assert_type(learned.n_features_in_, int)
        assert_type(learned.image_shape_, tuple[int, ...])
        assert_type(learned.mean_, np.ndarray)
        assert_type(learned.scale_, float | np.ndarray)
    assert_type(VAE().n_components_, int)
    _ = VAE().histroy_  # type: ignore[attr-defined]
    _ = GAN().generator_  # type: ignore[attr-defined]


class Mine(NetworkEstimator[nn.Linear]):
    """A model of the reader's own."""

    def make_network(self, n_features: int) -> nn.Linear:
        return nn.Linear(n_features, 1)


class Bare(NetworkEstimator):
    """And one that does not say what its network is."""


assert_type(Mine(epochs=3).network_, nn.Linear)
assert_type(Bare().fit([[1.0], [2.0]]), Bare)
