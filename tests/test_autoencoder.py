"""The chapter on autoencoders, by independent routes: loops, enumeration, automatic
differentiation, SciPy's optimisers, scikit-learn.
"""

import itertools
import math
import pickle
import warnings

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from latent_book import autoencoder as a
from latent_book.autoencoder import Autoencoder, AutoencoderNetwork
from latent_book.files import load, save
from latent_book.pca import pca, reconstruction_error


def cloud(N: int, D: int, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    """Points with a spectrum that falls, in directions that no axis shares."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    return rng.normal(size=(N, D)) * np.arange(1, D + 1) ** -0.7 @ turn + mean


def covariance(D: int, seed: int = 0) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """A covariance with eigenvalues D, ..., 1, these eigenvalues, and the eigenvectors
    as columns.
    """
    U = np.linalg.qr(np.random.default_rng(seed).normal(size=(D, D)))[0]
    lam = np.arange(D, 0.0, -1.0)
    return torch.from_numpy((U * lam) @ U.T), lam, U


def matrices(D: int, L: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Some decoder and some encoder."""
    rng = np.random.default_rng(seed + 1)
    return torch.from_numpy(rng.normal(size=(D, L))), torch.from_numpy(
        rng.normal(size=(L, D))
    )


def images(N: int = 60, D: int = 16, seed: int = 0) -> np.ndarray:
    """Grey values in [0, 1] that two causes made."""
    z = np.random.default_rng(seed).normal(size=(N, 2))
    turn = np.random.default_rng(1).normal(size=(2, D))
    return 1 / (1 + np.exp(-2 * np.tanh(z) @ turn))


# --- the cost
# ------------------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-autoencoder-cost")
def test_the_cost_is_the_mean_squared_distance_of_the_round_trip():
    X = torch.from_numpy(images()).float()
    network = AutoencoderNetwork(16, 2, (7, 5))

    def relay(x: list[float], chain: torch.nn.Sequential) -> list[float]:
        for layer in chain:  # the chain by hand, number by number
            if isinstance(layer, torch.nn.Linear):
                W, b = layer.weight.tolist(), layer.bias.tolist()
                x = [
                    sum(w * v for w, v in zip(row, x, strict=True)) + c
                    for row, c in zip(W, b, strict=True)
                ]
            elif isinstance(layer, torch.nn.ReLU):
                x = [max(0.0, v) for v in x]
            else:
                x = [1 / (1 + math.exp(-v)) for v in x]
        return x

    total = 0.0
    for row in X.tolist():
        back = relay(relay(row, network.encoder), network.decoder)
        total += sum((p - q) ** 2 for p, q in zip(row, back, strict=True))
    assert a.squared_error(network, X).item() == pytest.approx(total / len(X), rel=1e-4)


def test_signals_keep_their_size_through_a_deep_chain():
    torch.manual_seed(0)
    x = torch.randn(500, 300)
    assert 0.3 < a.mlp([300] * 12 + [300])(x).square().mean() < 3
    kinds = [type(layer).__name__ for layer in a.mlp([4, 3, 2], torch.nn.Sigmoid())]
    assert kinds == ["Linear", "ReLU", "Linear", "Sigmoid"]
    for bad in ([4], [4, 0], []):
        with pytest.raises(ValueError, match="two widths or more"):
            a.mlp(bad)


# --- linear: the cost
# ----------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-autoencoder-linear")
@given(st.integers(0, 2**31), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_the_error_needs_only_the_covariance(seed, L):
    Y = cloud(30, 5, seed)
    Y -= Y.mean(axis=0)
    A, B = matrices(5, L, seed % 1000)
    by_rows = np.mean([np.sum((y - A.numpy() @ (B.numpy() @ y)) ** 2) for y in Y])
    C = torch.from_numpy(Y.T @ Y / len(Y))
    assert a.linear_autoencoder_error(A, B, C).item() == pytest.approx(
        by_rows, rel=1e-9
    )
    several = a.linear_autoencoder_error(
        torch.stack([A, 2 * A]), torch.stack([B, B]), C
    )
    assert several.shape == (2,)
    assert several[0].item() == pytest.approx(by_rows, rel=1e-9)


def test_the_best_offsets_are_those_that_centre():
    X = cloud(200, 4, mean=3.0)
    A, B = (m.numpy() for m in matrices(4, 2))
    off = X - X @ (A @ B).T  # what an offset c has to meet, in least squares
    c = scipy.optimize.minimize(lambda c: np.sum((off - c) ** 2), np.zeros(4)).x
    mu = X.mean(axis=0)
    assert np.allclose(c, mu - A @ B @ mu, atol=1e-5)


@pytest.mark.equation("eq-autoencoder-best-encoder")
@given(st.integers(0, 2**31), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_no_code_beats_the_pseudo_inverse_and_no_linear_autoencoder_beats_pca(seed, L):
    X = cloud(40, 5, seed)
    Y = X - X.mean(axis=0)
    A, B = matrices(5, L, seed % 1000)
    # the best code of each row by itself
    codes = [np.linalg.lstsq(A.numpy(), y)[0] for y in Y]
    off = [y - A.numpy() @ z for y, z in zip(Y, codes, strict=True)]
    best = np.mean(np.sum(np.square(off), axis=1))
    C = torch.from_numpy(Y.T @ Y / len(Y))
    assert a.linear_autoencoder_error(A, a.best_encoder(A), C).item() == pytest.approx(
        best
    )
    P = A.numpy() @ np.linalg.solve(A.numpy().T @ A.numpy(), A.numpy().T)
    assert best == pytest.approx(np.trace(C.numpy()) - np.trace(P @ C.numpy()))
    assert best <= a.linear_autoencoder_error(A, B, C).item() + 1e-9
    assert best >= reconstruction_error(X, *pca(X, L)[:2]) - 1e-9


@pytest.mark.equation("eq-autoencoder-gauge")
@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_other_rulers_leave_the_cost_and_the_pictures(seed):
    C, _, _ = covariance(5)
    A, B = matrices(5, 2, seed % 1000)
    M = torch.from_numpy(
        np.random.default_rng(seed).normal(size=(2, 2)) + 3 * np.eye(2)
    )
    moved = a.linear_autoencoder_error(A @ M, torch.linalg.inv(M) @ B, C)
    assert moved.item() == pytest.approx(a.linear_autoencoder_error(A, B, C).item())


@pytest.mark.equation("eq-autoencoder-gradient")
def test_the_gradient_is_that_of_automatic_differentiation():
    C, _, _ = covariance(6)
    A, B = matrices(6, 3)
    by_A, by_B = torch.func.grad(a.linear_autoencoder_error, argnums=(0, 1))(A, B, C)
    rest = torch.eye(6, dtype=A.dtype) - A @ B
    assert torch.allclose(by_A, -2 * rest @ C @ B.T)
    assert torch.allclose(by_B, -2 * A.T @ rest @ C)


# --- linear: the landscape
# -----------------------------------------------------------------------------------------


@pytest.mark.equation("eq-autoencoder-escape")
def test_turning_towards_a_larger_variance_escapes_from_a_saddle():
    C, lam, U = covariance(5)
    K = np.random.default_rng(3).normal(size=(2, 2))
    for kept, (i, j) in (((0, 3), (3, 1)), ((2, 4), (4, 0)), ((1, 2), (2, 0))):
        for t in (0.0, 0.01, 0.4, 1.2):
            V = U[:, list(kept)].copy()
            V[:, kept.index(i)] = math.cos(t) * U[:, i] + math.sin(t) * U[:, j]
            A, B = torch.from_numpy(V @ K), torch.from_numpy(np.linalg.inv(K) @ V.T)
            expected = (
                lam.sum() - lam[list(kept)].sum() - (lam[j] - lam[i]) * math.sin(t) ** 2
            )
            assert a.linear_autoencoder_error(A, B, C).item() == pytest.approx(expected)


@pytest.mark.equation("eq-autoencoder-wasted")
def test_a_wasted_column_escapes_too():
    C, lam, U = covariance(5)
    rng = np.random.default_rng(4)
    k = rng.normal(size=3)
    k /= np.linalg.norm(k)
    K = rng.normal(size=(2, 3)) @ (np.eye(3) - np.outer(k, k))  # A k = 0
    inside = U[:, [1, 3]]
    w = rng.normal(size=2)
    A, B = inside @ K, np.linalg.pinv(K) @ inside.T + np.outer(k, inside @ w)
    slopes = torch.func.grad(a.linear_autoencoder_error, argnums=(0, 1))(
        torch.from_numpy(A), torch.from_numpy(B), C
    )
    # a critical point, of rank two
    assert max(s.abs().max().item() for s in slopes) < 1e-9
    b = B.T @ k
    for s, t in ((0.01, 0.1), (-0.3, 0.2), (0.5, 0.5)):
        moved = a.linear_autoencoder_error(
            torch.from_numpy(A + s * np.outer(U[:, 0], k)),
            torch.from_numpy(B + t * np.outer(k, U[:, 0])),
            C,
        )
        expected = lam[[0, 2, 4]].sum() - 2 * s * t * lam[0] + (s * t) ** 2 * lam[0]
        assert moved.item() == pytest.approx(expected + s * s * b @ C.numpy() @ b)


@pytest.mark.parametrize("seed", range(4))
def test_descent_from_anywhere_ends_on_the_floor(seed):
    C, lam, U = covariance(6, seed)

    def cost(point: np.ndarray) -> tuple[float, np.ndarray]:
        v = torch.from_numpy(point).requires_grad_()
        value = a.linear_autoencoder_error(v[:12].view(6, 2), v[12:].view(2, 6), C)
        (slope,) = torch.autograd.grad(value, v)
        return value.item(), slope.numpy()

    start = np.random.default_rng(seed).normal(size=24)
    found = scipy.optimize.minimize(
        cost, start, jac=True, method="BFGS", options={"gtol": 1e-8}
    )
    assert found.fun == pytest.approx(lam[2:].sum(), rel=1e-6)
    A = found.x[:12].reshape(6, 2)
    assert np.degrees(scipy.linalg.subspace_angles(A, U[:, :2])).max() < 0.1
    assert abs((A.T @ A)[0, 1]) > 1e-3  # the columns are at no right angle


# --- linear: weight decay
# ------------------------------------------------------------------------------------------


def least(
    C: torch.Tensor, L: int, strength: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Decoder, encoder and value where SciPy finds the cost with weight decay least, of
    several starts.
    """
    D, gammas = len(C), torch.from_numpy(strength)

    def cost(point: np.ndarray) -> tuple[float, np.ndarray]:
        v = torch.from_numpy(point).requires_grad_()
        A, B = v[: D * L].view(D, L), v[D * L :].view(L, D)
        sizes = (gammas * A.square()).sum() + (gammas[:, None] * B.square()).sum()
        value = (
            torch.trace((torch.eye(D) - A @ B) @ C @ (torch.eye(D) - A @ B).T) + sizes
        )
        (slope,) = torch.autograd.grad(value, v)
        return value.item(), slope.numpy()

    runs = [
        scipy.optimize.minimize(
            cost,
            np.random.default_rng(s).normal(size=2 * D * L),
            jac=True,
            method="BFGS",
            options={"gtol": 1e-10, "maxiter": 5000},
        )
        for s in range(4)
    ]
    best = min(runs, key=lambda run: run.fun)
    return best.x[: D * L].reshape(D, L), best.x[D * L :].reshape(L, D), best.fun


@pytest.mark.equation(
    "eq-autoencoder-decay", "eq-autoencoder-balance", "eq-autoencoder-axes"
)
def test_one_weight_decay_shrinks_each_axis_and_hides_the_axes_in_the_singular_vectors():
    C, lam, U = covariance(5)
    gamma = 0.6
    A, B, value = least(C, 3, np.full(3, gamma))
    G = (np.eye(5) - A @ B) @ C.numpy()
    assert np.allclose(gamma * A, G @ B.T, atol=1e-6)
    assert np.allclose(gamma * B, A.T @ G, atol=1e-6)
    assert np.allclose(A, B.T, atol=1e-5)
    by_theorem = lam[3:].sum() + sum(2 * gamma - gamma**2 / v for v in lam[:3])
    assert value == pytest.approx(by_theorem, rel=1e-9)
    variances, axes = a.axes_from_decoder(torch.from_numpy(A), gamma)
    assert np.allclose(variances, lam[:3], rtol=1e-3)
    assert np.allclose(np.abs(np.sum(axes.numpy() * U[:, :3], axis=0)), 1, atol=1e-4)
    for bad in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="gamma > 0"):
            a.axes_from_decoder(torch.from_numpy(A), bad)
    with pytest.raises(ValueError, match="all are below 1"):
        a.axes_from_decoder(torch.from_numpy(2 * A), gamma)
    with pytest.raises(ValueError, match="a NaN or an infinity"):
        a.axes_from_decoder(torch.from_numpy(A * np.nan), gamma)


def test_weight_decay_keeps_all_within_the_space_that_the_data_fill():
    _, lam, U = covariance(5)
    lam[3:] = 0  # ties among the unused ones, and a singular covariance
    A, B, value = least(torch.from_numpy((U * lam) @ U.T), 2, np.array([0.3, 0.8]))
    assert np.allclose(A.T @ U[:, 3:], 0, atol=1e-4)
    assert np.allclose(B @ U[:, 3:], 0, atol=1e-4)
    lengths = np.linalg.norm(A, axis=0)
    assert np.allclose(lengths**2, 1 - np.array([0.3, 0.8]) / lam[:2], atol=1e-3)
    assert np.allclose(np.abs(np.sum(A / lengths * U[:, :2], axis=0)), 1, atol=1e-3)
    assert value == pytest.approx(lam[2] + 2 * 1.1 - 0.09 / lam[0] - 0.64 / lam[1])


def test_rectifiers_with_large_offsets_pass_numbers_as_they_are():
    X = cloud(100, 6, mean=2.0)
    mu, W, _ = pca(X, 3)
    offset = 1 + np.abs((X - mu) @ W).max()
    passed = np.maximum(0, (X - mu) @ W + offset) - offset
    by_hand = np.mean(np.sum((X - mu - passed @ W.T) ** 2, axis=1))
    assert by_hand == pytest.approx(reconstruction_error(X, mu, W))


def test_different_weight_decays_make_the_columns_the_axes_in_order():
    C, lam, U = covariance(5)
    gammas = np.array([0.2, 0.5, 0.9])
    A, B, _ = least(C, 3, gammas)
    assert np.allclose(A, B.T, atol=1e-4)
    lengths = np.linalg.norm(A, axis=0)
    assert np.allclose(lengths**2, 1 - gammas / lam[:3], atol=1e-3)
    assert np.allclose(np.abs(np.sum(A / lengths * U[:, :3], axis=0)), 1, atol=1e-3)


def test_a_direction_dies_where_its_variance_is_below_the_decay():
    C, lam, _ = covariance(4)
    A, _, _ = least(C, 4, np.full(4, 1.5))  # variances 4, 3, 2, 1
    s = np.linalg.svd(A)[1]
    assert np.allclose(s**2, np.maximum(0, 1 - 1.5 / lam), atol=1e-3)


def test_tied_weights_give_orthonormal_columns_and_no_axes():
    C, lam, U = covariance(5)

    def cost(v: np.ndarray) -> float:
        A = v.reshape(5, 2)
        return np.trace((np.eye(5) - A @ A.T) @ C.numpy() @ (np.eye(5) - A @ A.T))

    found = scipy.optimize.minimize(cost, np.random.default_rng(0).normal(size=10))
    A = found.x.reshape(5, 2)
    assert found.fun == pytest.approx(lam[2:].sum(), rel=1e-6)
    assert np.allclose(A.T @ A, np.eye(2), atol=1e-3)
    assert np.degrees(scipy.linalg.subspace_angles(A, U[:, :2])).max() < 0.5
    assert np.abs(np.sum(A * U[:, :2], axis=0)).max() < 0.99


# --- the network and the estimator
# ---------------------------------------------------------------------------------


def test_the_network_starts_at_the_mean_image():
    X = torch.from_numpy(images()).float()
    network = AutoencoderNetwork(16, 2, (8,)).start_at(X)
    for p in network.decoder[-2].weight, network.decoder[0].bias:
        p.data.zero_()
    assert torch.allclose(network(X[:3]), X.mean(dim=0).clamp(0.01, 0.99), atol=1e-5)
    far = 1e3 + 5 * torch.randn(50, 4)
    linear = AutoencoderNetwork(4, 2, (), "linear").start_at(far)
    assert a.squared_error(linear, far) < 50 * far.var(dim=0).sum()
    constant = AutoencoderNetwork(4, 2, (), "linear").start_at(torch.ones(5, 4))
    assert constant.scale == 1
    with pytest.raises(ValueError, match="'sigmoid' or 'linear'"):
        AutoencoderNetwork(4, 2, output="tanh")


@parametrize_with_checks(
    [Autoencoder(1, hidden=(4,), output="linear", epochs=2, device="cpu")]
)
def test_scikit_learns_own_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks provoke some on purpose
        check(estimator)


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    return Autoencoder(2, hidden=(12,), epochs=60, batch_size=20, lr=1e-2).fit(images())


def test_the_verbs_agree_and_answer_in_kind(fitted):
    X = images()
    Z = fitted.encode(X)
    assert Z.shape == (60, 2)
    assert Z.dtype == np.float64
    assert np.array_equal(Z, fitted.transform(X))
    assert np.allclose(fitted.decode(Z), fitted.reconstruct(X))
    by_rows = np.mean(
        [np.sum((x - y) ** 2) for x, y in zip(X, fitted.decode(Z), strict=True)]
    )
    assert fitted.reconstruction_error(X) == pytest.approx(by_rows)
    assert fitted.score(X) == -fitted.reconstruction_error(X)
    tensor = fitted.encode(torch.from_numpy(X).float())
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.float32
    assert np.allclose(tensor, Z, atol=1e-4)
    assert isinstance(fitted.decode(tensor), torch.Tensor)
    assert fitted.encode(X.astype(np.float32)).dtype == np.float32
    assert list(fitted.get_feature_names_out()) == ["autoencoder0", "autoencoder1"]
    assert not hasattr(fitted, "sample")
    assert not hasattr(fitted, "log_prob")


def test_it_learns_and_the_same_seed_gives_the_same_network(fitted):
    X = images()
    assert fitted.history_.loss[-1] < 0.5 * fitted.history_.loss[0]
    assert fitted.reconstruction_error(X) < reconstruction_error(X, *pca(X, 1)[:2])
    before = torch.random.get_rng_state()
    again = clone(fitted).fit(torch.from_numpy(X))
    # nobody else's chance is touched
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(again.encode(X), fitted.encode(X))
    other = clone(fitted).set_params(random_state=1).fit(X)
    assert not np.allclose(other.encode(X), fitted.encode(X))


def test_a_linear_autoencoder_comes_to_pca_far_from_zero_and_in_any_unit():
    X = 1e3 * cloud(400, 6, mean=20.0)
    model = Autoencoder(
        2, hidden=(), output="linear", epochs=150, batch_size=50, lr=0.02
    ).fit(X)
    mu, W, _ = pca(X, 2)
    assert model.reconstruction_error(X) < 1.01 * reconstruction_error(X, mu, W)
    A = model.network_.decoder[0].weight.detach().numpy()
    assert np.degrees(scipy.linalg.subspace_angles(A, W)).max() < 5


def test_a_model_survives_a_file_and_a_pickle(fitted, tmp_path):
    save(fitted, tmp_path / "model.safetensors")
    X = images()
    loaded = load(Autoencoder, tmp_path / "model.safetensors")
    assert np.array_equal(loaded.encode(X), fitted.encode(X))
    assert loaded.get_params() == fitted.get_params()
    assert np.array_equal(
        pickle.loads(pickle.dumps(fitted)).decode(X[:, :2]), fitted.decode(X[:, :2])
    )
    save(fitted.network_, tmp_path / "network.safetensors")
    network = load(AutoencoderNetwork, tmp_path / "network.safetensors")
    x = torch.from_numpy(X).float()
    assert torch.equal(network(x), fitted.network_(x))


BAD = [
    (Autoencoder(0), images(), ValueError, "at least 1"),
    (Autoencoder(17), images(), ValueError, "nothing is compressed"),
    (Autoencoder(2.0), images(), ValueError, "whole number"),
    (Autoencoder(), 255 * images(), ValueError, "divide by 255"),
    (Autoencoder(), images() - 1, ValueError, "grey values are in"),
    (Autoencoder(), (255 * images()).astype(np.uint8), ValueError, "divide by 255"),
    (Autoencoder(), np.arange(10), ValueError, "pass the images"),
    (Autoencoder(), torch.arange(10), ValueError, "pass the images"),
    (Autoencoder(), np.ones(16), ValueError, "Reshape your data"),
    (Autoencoder(), np.ones((2, 1, 2, 4, 4)), ValueError, "flatten each image"),
    (Autoencoder(), [np.ones((4, 4)), np.ones((4, 5))], ValueError, "to one size"),
    (Autoencoder(), [3, 1, 4, 1], ValueError, "look like labels"),
    (Autoencoder(True), images(), ValueError, "whole number"),
    (Autoencoder(), np.where(images() > 0.9, np.nan, images()), ValueError, "NaN"),
    (Autoencoder(), np.ones((0, 16)), ValueError, "0 sample"),
    (Autoencoder(output="softmax"), images(), ValueError, "'sigmoid' or 'linear'"),
    (Autoencoder(hidden=(0,)), images(), ValueError, "each >= 1"),
    (Autoencoder(hidden=(4.5,)), images(), ValueError, "whole numbers"),
    (Autoencoder(hidden=(True,)), images(), ValueError, "whole numbers"),
    (Autoencoder(hidden=4), images(), ValueError, "a tuple of widths"),
    (Autoencoder(hidden=None), images(), ValueError, "a tuple of widths"),
    (Autoencoder(epochs=0), images(), ValueError, "at least 1"),
    (Autoencoder(epochs=1.5), images(), ValueError, "whole number, at least 1"),
    (Autoencoder(epochs=True), images(), ValueError, "whole number, at least 1"),
    (Autoencoder(batch_size=2.5), images(), ValueError, "whole number, at least 1"),
    (Autoencoder(lr="a"), images(), ValueError, "finite and above 0"),
    (Autoencoder(lr=math.nan), images(), ValueError, "finite and above 0"),
    (Autoencoder(lr=-1.0), images(), ValueError, "finite and above 0"),
]


@pytest.mark.parametrize(("estimator", "X", "kind", "cure"), BAD)
def test_bad_input_is_refused_with_a_cure(estimator, X, kind, cure):
    with pytest.raises(kind, match=cure):
        estimator.fit(X)


def test_bad_input_after_fitting(fitted):
    with pytest.raises(ValueError, match="expecting 16 features"):
        fitted.encode(images()[:, :5])
    with pytest.raises(ValueError, match="codes of 2 numbers"):
        fitted.decode(np.ones((3, 5)))
    with pytest.raises(ValueError, match="is not fitted yet"):
        Autoencoder().encode(images())
    with pytest.raises(ValueError, match="is not fitted yet"):
        Autoencoder().decode(np.ones((1, 2)))


def test_white_codes_decode_to_the_same_pictures(fitted):
    Z = torch.from_numpy(fitted.encode(images()))
    white, codes = a.whiten_codes(fitted.network_.decoder, Z)
    assert torch.allclose(codes.mean(dim=0), torch.zeros(2).double(), atol=1e-9)
    assert torch.allclose(codes.T @ codes / len(codes), torch.eye(2).double())
    with torch.no_grad():
        pictures = white(codes.float())
    assert np.allclose(pictures, fitted.decode(Z.numpy()), atol=1e-5)
    with pytest.raises(ValueError, match="lower n_components"):
        a.whiten_codes(fitted.network_.decoder, Z[:, :1].repeat(1, 2))
    with pytest.raises(ValueError, match="takes 2 numbers"):
        a.whiten_codes(fitted.network_.decoder, Z[:, :1])
    with pytest.raises(ValueError, match="drop such rows"):
        a.whiten_codes(fitted.network_.decoder, Z * math.nan)


def test_the_exercises_count_and_the_blur_of_the_mean():
    for L, hidden in itertools.product((1, 3), ((), (5,), (9, 4))):
        widths = [16, *hidden, L, *hidden[::-1], 16]
        network = AutoencoderNetwork(16, L, hidden)
        counted = sum(p.numel() for p in network.parameters())
        assert counted == sum(m * n + n for m, n in itertools.pairwise(widths))
