"""Latent variables and generative models for vision: the library that the book's
chapters export.

`from latent_book import VAE` works for every estimator. A name is looked up when it is
asked for, so that `import latent_book` loads nothing else.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # a type checker takes it for true; `typing` stays unloaded
_NAMES: dict[str, str] = {  # the public names, as the book has them, and their modules
    "PCA": "pca",
    "ProbabilisticPCA": "pca",
    "Autoencoder": "autoencoder",
    "DenoisingAutoencoder": "denoising",
    "GaussianMixture": "mixture_models",
    "BernoulliMixture": "mixture_models",
    "HelmholtzMachine": "variational",
    "NVIL": "variational",
    "VAE": "vae",
    "GAN": "gan",
    "Ladder": "onwards",
    "Flow": "onwards",
    "Diffusion": "onwards",
    "save": "files",
    "load": "files",
}
_EXTRAS: dict[str, str] = {  # what stands for an extra, and the extra
    "anywidget": "figures",
    "matplotlib": "figures",
    "pooch": "data",
    "torch": "networks",
}
__all__ = list(_NAMES)

if TYPE_CHECKING:
    from .autoencoder import Autoencoder as Autoencoder
    from .denoising import DenoisingAutoencoder as DenoisingAutoencoder
    from .files import load as load
    from .files import save as save
    from .gan import GAN as GAN
    from .mixture_models import BernoulliMixture as BernoulliMixture
    from .mixture_models import GaussianMixture as GaussianMixture
    from .onwards import Diffusion as Diffusion
    from .onwards import Flow as Flow
    from .onwards import Ladder as Ladder
    from .pca import PCA as PCA
    from .pca import ProbabilisticPCA as ProbabilisticPCA
    from .vae import VAE as VAE
    from .variational import NVIL as NVIL
    from .variational import HelmholtzMachine as HelmholtzMachine
else:  # a type checker that saw this would believe in every name

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})


def _needs(module: str) -> None:
    """Load what an extra brings; where it is missing, the error names the extra."""
    from importlib import import_module

    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        cure = f"pip install 'latent_book[{_EXTRAS[module]}]'"
        raise ModuleNotFoundError(
            f"No module named {module!r}: {cure}", name=module
        ) from None
