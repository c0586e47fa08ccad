"""The models at work in other people's machinery: scikit-learn's pipelines and
searches, joblib, pandas, torch, ONNX.
"""

import copy
import io
import warnings

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from latent_book.autoencoder import Autoencoder
from latent_book.data import digits8
from latent_book.denoising import DenoisingAutoencoder
from latent_book.em import BernoulliMixture, GaussianMixture
from latent_book.gan import GAN
from latent_book.onwards import Diffusion, Flow
from latent_book.pca import PCA, ProbabilisticPCA
from latent_book.vae import VAE

torch.set_num_threads(1)
SMALL = {"epochs": 1, "device": "cpu"}
DIGITS = digits8()
X, Y = DIGITS.X[:300], DIGITS.y[:300]
RNG = np.random.default_rng(0)
HEAPS = np.concatenate(
    [RNG.normal(size=(60, 2)) + at for at in ([0, 0], [9, 0], [0, 9])]
)
CODERS = [
    PCA(3),
    ProbabilisticPCA(3),
    Autoencoder(3, hidden=(8,), **SMALL),
    VAE(3, hidden=(8,), likelihood="gaussian", **SMALL),
    DenoisingAutoencoder(3, **SMALL),
]
DENSITIES = [
    PCA(3),
    ProbabilisticPCA(3),
    GaussianMixture(3, random_state=0),
    BernoulliMixture(3, random_state=0),
]


def by_name(model) -> str:
    """For the names of tests."""
    return type(model).__name__


@pytest.mark.parametrize("model", CODERS, ids=by_name)
def test_a_code_feeds_a_classifier_in_a_pipeline(model):
    pipe = make_pipeline(
        MinMaxScaler(clip=True), model, LogisticRegression(max_iter=2000)
    )
    before = model.get_params()
    said = clone(pipe).fit(X, Y).score(X, Y)
    # three numbers of a net that was hardly trained: better than a guess
    assert said > 0.15
    assert said == clone(pipe).fit(X, Y).score(X, Y)
    assert model.get_params() == before


def test_a_grid_search_finds_the_number_of_heaps():
    search = GridSearchCV(
        GaussianMixture(random_state=0, n_init=3), {"n_components": [1, 2, 3, 4]}, cv=3
    )
    search.fit(RNG.permutation(HEAPS))
    scores = search.cv_results_["mean_test_score"]
    assert scores[2] - scores[1] > 0.2  # nats: the third heap pays
    assert scores[3] - scores[2] < 0.1  # the fourth does not
    tree = GridSearchCV(
        make_pipeline(StandardScaler(), PCA()), {"pca__n_components": [1, 3, 6]}, cv=2
    )
    tree.fit(X[:, 20:30])
    assert tree.best_params_ == {"pca__n_components": 6}


@pytest.mark.parametrize("model", [*CODERS, *DENSITIES[2:]], ids=by_name)
def test_joblib_sends_a_model_there_and_back(model):
    fitted = clone(model).fit(X / 16 if X.max() > 1 else X)
    place = io.BytesIO()
    joblib.dump(fitted, place)
    place.seek(0)
    again = joblib.load(place)
    verb = "transform" if hasattr(fitted, "transform") else "score_samples"
    np.testing.assert_array_equal(
        getattr(again, verb)(X[:9]), getattr(fitted, verb)(X[:9])
    )


def test_joblib_fits_in_parallel_what_is_fitted_alone():
    alone = [
        clone(GaussianMixture(k, random_state=0)).fit(HEAPS).score(HEAPS)
        for k in (1, 3)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = joblib.Parallel(n_jobs=2, backend="threading")
        together = run(
            joblib.delayed(
                lambda k: GaussianMixture(k, random_state=0).fit(HEAPS).score(HEAPS)
            )(k)
            for k in (1, 3)
        )
    assert together == alone


@pytest.mark.parametrize("model", CODERS, ids=by_name)
def test_a_frame_goes_in_and_comes_out(model):
    frame = pd.DataFrame(
        X, columns=[f"pixel {i}" for i in range(64)], index=np.arange(300) + 7
    )
    fitted = clone(model).set_output(transform="pandas").fit(frame)
    codes = fitted.transform(frame)
    assert isinstance(codes, pd.DataFrame)
    assert list(codes.index) == list(frame.index)
    assert list(codes.columns) == [f"{by_name(model).lower()}{i}" for i in range(3)]
    assert list(fitted.feature_names_in_) == list(frame.columns)
    plain = clone(model).fit(X).transform(X)
    np.testing.assert_allclose(codes.to_numpy(), plain, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(frame[frame.columns[::-1]])


@pytest.mark.parametrize("model", DENSITIES[2:], ids=by_name)
def test_a_mixture_takes_a_frame(model):
    frame = pd.DataFrame(
        (X > 0.5).astype(float), columns=[f"pixel {i}" for i in range(64)]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = clone(model).fit(frame).predict(frame)
        np.testing.assert_array_equal(
            labels, clone(model).fit(frame.to_numpy()).predict(frame.to_numpy())
        )


# --- torch in, torch out
# -----------------------------------------------------------------------------------------------

VERBS = [
    (PCA(3), ["transform", "encode", "fit_transform", "score_samples", "log_prob"]),
    (PCA(3, whiten=True, svd_solver="full"), ["transform"]),
    (ProbabilisticPCA(3), ["transform", "encode", "score_samples", "log_prob"]),
    (Autoencoder(3, hidden=(8,), **SMALL), ["transform", "reconstruct"]),
    (VAE(3, hidden=(8,), likelihood="gaussian", **SMALL), ["transform", "elbo"]),
    (DenoisingAutoencoder(3, **SMALL), ["transform", "denoise", "grad_log_prob"]),
    (Flow(layers=2, hidden=(8,), **SMALL), ["encode", "log_prob"]),
]


@pytest.mark.parametrize(("model", "verbs"), VERBS, ids=by_name)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_tensor_goes_in_and_comes_out(model, verbs, dtype):
    rows = torch.from_numpy(X).to(dtype).requires_grad_()
    plain = (
        rows.detach()
        .to(torch.float64 if dtype == torch.float64 else torch.float32)
        .numpy()
    )
    fitted, twin = clone(model).fit(rows), clone(model).fit(plain)
    for verb in verbs:
        answer, wanted = getattr(fitted, verb)(rows), getattr(twin, verb)(plain)
        assert isinstance(answer, torch.Tensor)
        assert not answer.requires_grad
        np.testing.assert_array_equal(answer.numpy(), wanted)
        assert answer.numpy().dtype == wanted.dtype
    codes = fitted.encode(rows)
    codes = codes[0] if isinstance(codes, tuple) else codes
    assert isinstance(fitted.decode(codes), torch.Tensor)
    if hasattr(fitted, "score"):
        assert isinstance(fitted.score(rows), float)


# --- ONNX
# --------------------------------------------------------------------------------------------------------------


def by_onnx(
    module: torch.nn.Module, example: torch.Tensor, other: torch.Tensor, place
) -> np.ndarray:
    """What the exported module answers to `other`, which has another number of rows
    than the example.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            module.eval(),
            (example,),
            place,
            input_names=["x"],
            output_names=["y"],
            dynamic_shapes=({0: torch.export.Dim("rows", min=1)},),
            dynamo=True,
            verbose=False,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        place, options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": other.numpy()})[0]


@pytest.mark.parametrize(
    "model",
    [Autoencoder(3, hidden=(8,), **SMALL), Autoencoder(3, hidden=(), output="linear", **SMALL), VAE(3, hidden=(8,), likelihood="gaussian", **SMALL)],
    ids=["deep", "linear", "vae"],
)  # fmt: skip
def test_encoder_and_decoder_travel_by_onnx(model, tmp_path):
    class Verb(torch.nn.Module):
        """One verb of a network as a module."""

        def __init__(self, network, verb):
            super().__init__()
            self.network, self.verb = network, verb

        def forward(self, x):
            answer = getattr(self.network, self.verb)(x)
            return torch.cat(answer, dim=1) if isinstance(answer, tuple) else answer

    fitted = clone(model).fit(X)
    network = copy.deepcopy(fitted.network_).float()
    rows, codes = (
        torch.from_numpy(X).float(),
        torch.from_numpy(RNG.normal(size=(20, 3))).float(),
    )
    for verb, values in (("encode", rows), ("decode", codes)):
        module = Verb(network, verb)
        answer = by_onnx(module, values[:5], values[:17], tmp_path / f"{verb}.onnx")
        with torch.no_grad():
            wanted = module(values[:17]).numpy()
        np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)
        assert np.abs(wanted).max() > 0.01


# --- scikit-learn's own checks
# ------------------------------------------------------------------------------------------


@parametrize_with_checks(
    [VAE(1, hidden=(4,), likelihood="gaussian", **SMALL), GAN(2, hidden=(4,), output="linear", **SMALL),
     Flow(layers=2, hidden=(4,), **SMALL), Diffusion(hidden=(4,), T=3, **SMALL), DenoisingAutoencoder(4, **SMALL), Autoencoder(1, output="linear", **SMALL)]
)  # fmt: skip
def test_scikit_learns_own_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_every_model_draws_one_row_by_chance_unless_told_otherwise():
    """The mixtures' `sample` is scikit-learn's, which draws by `random_state`."""
    from test_files import BITS, MODELS

    free = {n: m for n, m in MODELS.items() if n not in ("mixture", "bits")}
    drawing = {name: model for name, model in free.items() if hasattr(model, "sample")}
    assert len(drawing) >= 8
    for name, model in drawing.items():
        model = clone(model).fit(BITS)
        one = model.sample()
        assert one.shape == (1, 4), name
        many = [model.sample(20) for _ in range(2)]
        assert not np.array_equal(*many), f"{name}: without a seed each draw is new"
        assert np.array_equal(model.sample(20, 0), model.sample(20, rng=0)), name


# --- chance


def chance_of(kind: str, seed: int = 0):
    """A random state of each kind that there is."""
    if kind == "seed":
        return seed
    if kind == "RandomState":
        return np.random.RandomState(seed)
    bits = np.random.MT19937 if kind == "MT19937" else np.random.PCG64
    return np.random.Generator(bits(seed))


def learned(model) -> list[np.ndarray]:
    """All numbers that a model has learned."""
    if hasattr(model, "state_dict"):
        return [np.asarray(part) for part in model.state_dict().values()]
    return [
        np.asarray(v)
        for k, v in sorted(vars(model).items())
        if k.endswith("_") and np.asarray(v).dtype.kind in "fi"
    ]


def random_models() -> dict:
    """Every estimator with a `random_state`, in a setting in which it matters."""
    from test_files import MODELS

    free = {**MODELS, "pca": PCA(3, svd_solver="randomized"), "pca-auto": PCA(3)}
    free["ppca"] = ProbabilisticPCA(2, solver="em", max_iter=1, tol=0.0)
    for kind in ("full", "tied", "diag", "spherical"):
        for start in ("kmeans", "k-means++", "random", "random_from_data"):
            free[f"{kind}, {start}"] = GaussianMixture(
                3, covariance_type=kind, init_params=start, max_iter=1
            )
    free["bits"] = BernoulliMixture(3, init_params="random", max_iter=1)
    return free


def wide_rows() -> np.ndarray:
    """Noise on which PCA takes the Krylov road, whose last digits tell its start."""
    return np.random.default_rng(1).normal(size=(1500, 1600)).astype(np.float32)


@pytest.mark.parametrize("kind", ["seed", "RandomState", "PCG64", "MT19937"])
@pytest.mark.parametrize("name", random_models())
@pytest.mark.filterwarnings("ignore")  # a step or an epoch is too few
def test_equal_random_states_of_any_kind_give_equal_fits(name, kind):
    from test_files import BITS

    model = random_models()[name]
    rows = wide_rows() if name.startswith("pca") else BITS

    def fit(state):
        return learned(clone(model).set_params(random_state=state).fit(rows))

    one, same, other = (fit(chance_of(kind, seed)) for seed in (5, 5, 6))
    assert all(map(np.array_equal, one, same))
    assert not all(map(np.array_equal, one, other)), "the seed matters here"
    if kind != "seed":  # a generator moves on
        state = chance_of(kind, 5)
        assert all(map(np.array_equal, one, fit(copy.deepcopy(state))))
        first, second = model.set_params(random_state=state), clone(model)
        assert second.random_state is not state  # a clone has a copy of its own
        first, second = (learned(first.fit(rows)) for _ in range(2))
        assert all(map(np.array_equal, one, first))
        assert not all(map(np.array_equal, first, second))


@pytest.mark.filterwarnings("ignore")
def test_what_is_no_random_state_is_refused():
    from test_files import BITS

    for name in ("pca-auto", "ppca", "vae", "diag, random", "bits"):
        model = clone(random_models()[name]).set_params(random_state="chance")
        rows = wide_rows() if name.startswith("pca") else BITS
        with pytest.raises(ValueError, match="chance"):
            model.fit(rows)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.filterwarnings("ignore")
def test_a_generator_draws_from_a_mixture(kind):
    model = GaussianMixture(3, covariance_type=kind, random_state=0).fit(HEAPS)
    bits = BernoulliMixture(3, max_iter=5, random_state=0).fit((X > 0.5).astype(float))
    for one in (model, bits):
        drawn = [
            one.set_params(random_state=np.random.default_rng(seed)).sample(20)[0]
            for seed in (1, 1, 2)
        ]
        assert np.array_equal(drawn[0], drawn[1])
        assert not np.array_equal(drawn[0], drawn[2])
        assert not np.array_equal(one.sample(20)[0], one.sample(20)[0])


@pytest.mark.parametrize("model", DENSITIES, ids=by_name)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_prob_and_score_samples_are_one_thing(model, dtype):
    rows = X.astype(dtype)
    fitted = clone(model).fit(rows)
    nats = fitted.log_prob(rows)
    assert nats.shape == (len(rows),)
    np.testing.assert_array_equal(nats, fitted.score_samples(rows))
    assert fitted.score(rows) == pytest.approx(nats.mean(), rel=1e-6)
    tensor = fitted.log_prob(torch.from_numpy(rows))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), nats)


def test_every_density_of_rows_has_both_names():
    """Where `score_samples` is, `log_prob` is; the networks may have `log_prob`
    alone.
    """
    import latent_book

    models = [getattr(latent_book, n) for n in latent_book.__all__]
    having = [m for m in models if hasattr(m, "score_samples")]
    assert {type(m) for m in DENSITIES} <= set(having)
    assert [m for m in having if not hasattr(m, "log_prob")] == []
