"""The estimators of mixtures: against scikit-learn, SciPy and extended precision, on
all kinds of mixtures and of data.
"""

import copy
import math
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings

import mpmath
import numpy as np
import psutil
import pytest
import scipy.sparse
import sklearn.mixture
import torch
from conftest import ROOT
from scipy import stats
from scipy.special import expit, logsumexp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_expfam import (
    clouds,
    data,
    dense,
    each_gaussian,
    each_kind,
    each_of_scikit_learn,
    log_joint,
    pixels,
    restricted,
    start,
)

from latent_book import expfam as e
from latent_book import mixture_models as models
from latent_book.denoising import posterior_mean
from latent_book.files import load, save
from latent_book.mixture_models import BernoulliMixture, GaussianMixture
from latent_book.pca import ProbabilisticPCA
from latent_book.plots import model_choice
from latent_book.rows import draw_seed


def test_far_from_zero_nothing_is_lost():
    """A mean of a million and a spread of one."""
    X = clouds(D=2)
    near, far = (
        GaussianMixture(
            3,
            means_init=X[:3] + shift,
            weights_init=np.ones(3) / 3,
            precisions_init=[np.eye(2)] * 3,
        ).fit(X + shift)
        for shift in (0.0, 1e6)
    )
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-6)
    assert far.lower_bound_ == pytest.approx(near.lower_bound_, abs=1e-8)


@each_gaussian
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_components_far_narrower_than_the_data_take_the_long_way(kind, dtype):
    """Two needles, 10^6 of their widths apart: the plain products would lose too many
    digits.
    """
    rng = np.random.default_rng(0)
    X = np.concatenate(
        [rng.normal(size=(200, 2)) * 1e-6, rng.normal(size=(200, 2)) * 1e-6 + 1]
    )
    m = GaussianMixture(2, covariance_type=kind, reg_covar=0.0, random_state=0).fit(
        X.astype(dtype)
    )
    engine = e.Engine(X.astype(dtype), None, kind, 0.0)
    assert engine._precision(m._parameters()) != dtype
    assert engine.e_step(m._parameters()).about is not None
    scale = float(
        np.sqrt(
            np.mean(
                np.diagonal(np.array(dense(kind, m._parameters())), axis1=1, axis2=2)
            )
        )
    )
    assert scale == pytest.approx(1e-6, rel=0.05 if dtype == np.float64 else 0.2)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_component_that_collapses_is_named(kind):
    X = np.concatenate([clouds(D=2), [[50.0, 50.0]]])
    unit = {"full": [np.eye(2)] * 2, "diag": np.ones((2, 2)), "spherical": np.ones(2)}[
        kind
    ]
    m = GaussianMixture(
        2,
        covariance_type=kind,
        reg_covar=0.0,
        weights_init=[0.5, 0.5],
        means_init=[X[0], X[-1]],
        precisions_init=unit,
    )
    with pytest.raises(
        e.CollapsedError, match=r"component 1 has .* increase reg_covar"
    ):
        m.fit(X)
    m.set_params(reg_covar=1e-3, max_iter=500).fit(X)
    assert np.isfinite(m.lower_bound_)


def test_a_component_that_dies_leaves_numbers_behind():
    X = clouds(D=2)
    start_far = {
        "weights_init": [0.5, 0.5],
        "means_init": [X.mean(0), [1e4, 1e4]],
        "precisions_init": [np.eye(2)] * 2,
    }
    m = GaussianMixture(2, **start_far, max_iter=5, tol=0)
    with pytest.warns(ConvergenceWarning):
        m.fit(X)
    assert np.isfinite(m.lower_bound_)
    assert np.isfinite(m.means_).all()
    assert m.weights_[1] == 0


UNIT = {
    "full": [np.eye(2)] * 3,
    "tied": np.eye(2),
    "diag": np.ones((3, 2)),
    "spherical": np.ones(3),
    "tied_diag": np.ones(2),
    "tied_spherical": 1.0,
}


def starved(kind, **settings):
    """Two clouds and three components, of which the last gets no row."""
    X = clouds(D=2)
    return X, GaussianMixture(
        3,
        covariance_type=kind,
        weights_init=np.ones(3) / 3,
        means_init=[X[0], X[1], [1e3, 1e3]],
        precisions_init=UNIT[kind],
        max_iter=500,
        **settings,
    )


@each_gaussian
@pytest.mark.parametrize("floor", [1e-6, 0.0])
def test_a_component_without_rows_is_named_and_takes_none(kind, floor):
    """What is left is the mixture of the two others, to the last digits."""
    X, m = starved(kind, reg_covar=floor)
    with pytest.warns(
        ConvergenceWarning, match=r"component 2 has no rows.*reseed=True"
    ):
        m.fit(X)
    two = GaussianMixture(
        2,
        covariance_type=kind,
        reg_covar=floor,
        weights_init=[0.5, 0.5],
        means_init=X[:2],
        precisions_init=UNIT[kind] if kind[:4] == "tied" else UNIT[kind][:2],
        max_iter=500,
    ).fit(X)
    assert m.weights_[2] == 0
    assert m.means_[2].tolist() == [1e3, 1e3]
    assert np.isfinite(m.history_).all()
    assert m.lower_bound_ == pytest.approx(two.lower_bound_, abs=1e-10)
    np.testing.assert_allclose(m.means_[:2], two.means_, rtol=1e-9)
    at = np.concatenate([X, [X.mean(axis=0)], [[1e3, 1e3]]])
    assert 2 not in m.predict(at)
    assert (m.predict_proba(at)[:, 2] == 0).all()
    np.testing.assert_allclose(m.score_samples(at), two.score_samples(at), rtol=1e-9)
    if not kind.startswith("tied"):
        np.testing.assert_array_equal(m.precisions_[2], UNIT[kind][2])


@each_kind
@pytest.mark.parametrize("long_way", [False, True])
def test_a_trace_of_a_row_is_none(kind, long_way):
    """Responsibilities that add up to 1e-20 of a row: the weight is 0, and the bound is
    still a number.
    """
    if kind == "bernoulli":
        X = np.zeros((20, 4))
        mu, Sigma = np.array([[1e-3] * 4, [1 - 1e-5] * 4]), None
    else:
        X = np.random.default_rng(0).normal(size=(50, 1)) * 0.1
        mu, Sigma = np.array([[0.0], [10.0]]), np.ones(e._spread_shape(kind, 2, 1))
    p = e.Parameters(np.array([0.5, 0.5]), mu, Sigma)
    engine = e.Engine(X, None, kind, 1e-6)
    if long_way and Sigma is None:
        return
    totals = engine._whitened(p) if long_way else engine._plain(p, np.float64)
    G = log_joint(kind, p, X)
    trace = np.exp(G - logsumexp(G, axis=1, keepdims=True))[:, 1].sum()
    assert 0 < trace < 2e-15
    new = engine.m_step(totals, p)
    assert new.pi.tolist() == [1, 0]
    np.testing.assert_array_equal(new.mu[1], mu[1])
    assert np.isfinite(engine.elbo(totals, p, new))


@each_gaussian
def test_reseeding_puts_it_at_the_row_of_the_least_density(kind):
    X, m = starved(kind, reseed=True)
    m.fit(X)
    assert m.converged_
    assert m.weights_.min() > 0
    assert len(set(m.predict(X))) == 3
    engine = e.Engine(X, None, kind, 1e-6)
    p = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)._parameters()
    none = (
        {"Sigma": p.Sigma}
        if kind.startswith("tied")
        else {"Sigma": np.concatenate([p.Sigma, p.Sigma[:1]])}
    )
    dead = e.Parameters(np.append(p.pi, 0), np.append(p.mu, [[9.0, 9.0]], 0), **none)
    new = engine.reseed(dead)
    density = sum(
        w * stats.multivariate_normal(mu, C).pdf(X)
        for w, mu, C in zip(p.pi, p.mu, dense(kind, p), strict=True)
    )
    np.testing.assert_array_equal(new.mu[2], X[density.argmin()])
    np.testing.assert_allclose(new.pi, np.append(p.pi * 2 / 3, 1 / 3))
    if not kind.startswith("tied"):
        np.testing.assert_allclose(
            new.Sigma[2], sum(w * C for w, C in zip(p.pi, p.Sigma, strict=True))
        )


def test_pixels_without_rows_likewise():
    X = np.zeros((60, 400))
    X[:30, :200] = X[30:, 200:] = 1
    start = {
        "weights_init": np.ones(3) / 3,
        "means_init": np.array([X[0], X[-1], np.full(400, 0.5)]) * 0.9 + 0.05,
    }
    with pytest.warns(ConvergenceWarning, match="component 2 has no rows"):
        m = BernoulliMixture(3, **start).fit(X)
    assert m.weights_[2] == 0
    np.testing.assert_allclose(m.means_[2], 0.5)
    assert 2 not in m.predict(X)
    with pytest.warns(ConvergenceWarning, match="component 2 has no rows"):
        BernoulliMixture(3, **start, reseed=True).fit(X)  # of two kinds of rows
    X[15:30, 200:] = 1  # now of three
    again = BernoulliMixture(3, **start, reseed=True).fit(X)
    np.testing.assert_allclose(np.sort(again.weights_), [0.25, 0.25, 0.5], atol=1e-6)


def test_a_start_that_leaves_a_component_without_rows():
    """Three different rows, four components: one of k-means' clusters is empty."""
    X = np.repeat(np.eye(3), 5, axis=0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        m = GaussianMixture(4, random_state=0, reg_covar=1e-3).fit(X)
    assert any("has no rows" in str(one.message) for one in said)
    (k,) = np.flatnonzero(m.weights_ == 0)
    np.testing.assert_allclose(m.means_[k], 1 / 3)
    np.testing.assert_allclose(
        m.covariances_[k], np.cov(X.T, bias=True) + 1e-3 * np.eye(3), atol=1e-12
    )


@each_gaussian
def test_a_floor_above_the_spread_of_the_data_is_told(kind):
    """A tenth of the variance is where: on one side a warning, on the other none."""
    X = clouds(D=3, apart=0.0)
    X = X / X.std(axis=0)
    m = GaussianMixture(2, covariance_type=kind, random_state=0, max_iter=500)
    for scale, told in ((1e-6, True), (3.0e-3, True), (3.3e-3, False), (1.0, False)):
        for offset, constant in ((0, False), (0.5, False), (0, True)):
            Y = X * scale + offset
            if constant:
                Y = np.column_stack([Y, np.ones((len(Y), 5))])
            m.set_params(tol=1e-3)
            if told:
                with pytest.warns(
                    UserWarning, match="reg_covar = 1e-06 is added.*Scale"
                ):
                    m.fit(Y)
            else:
                m.fit(Y)
    far = np.column_stack([X[:, 0] * 1e-6, X[:, 1]])  # in other units
    if "spherical" not in kind:  # which looks at their mean
        with pytest.warns(UserWarning, match="half of the columns have one of 1e-12"):
            m.fit(far)
    m.set_params(reg_covar=1e-15, covariance_type="diag").fit(X * 1e-6)


def test_pixels_that_hardly_vary_are_no_reason_to_warn():
    X = np.random.default_rng(0).uniform(size=(500, 40))
    X[:, :10] = 0
    X[1:, 10:25] = 0  # on once, in 500 pictures
    GaussianMixture(3, covariance_type="diag", random_state=0).fit(X)


# --- what fails leaves no trace
# -----------------------------------------------------------------------------


class Interrupted(Exception):
    pass


def bad_calls(model):
    """Changes of the settings, and what is given to fit: each of them fails."""
    X = pixels(60, 3)[:, :3] if isinstance(model, BernoulliMixture) else clouds(60, 3)
    yield {}, (np.where(X[0, 0] == X, np.nan, X),)
    yield {"warm_start": True}, (X[:, :2],)
    yield {"warm_start": True, "n_components": 5}, (X,)
    yield {"n_components": 0}, (X,)
    yield {"n_components": 7}, (X[:5],)
    yield {"tol": -1}, (X,)
    yield {"init_params": "best"}, (X,)
    yield {"weights_init": [1.0]}, (X[:, :2],)
    yield {"means_init": np.ones((2, 5))}, (X,)
    yield {}, (X, None, -np.ones(len(X)))
    yield {}, (X, None, np.ones(3))
    yield {}, (iter([X]),)
    yield {}, ([X[:, :2], X],)
    yield {"max_iter": 1}, (X[:, :2],)  # a warning, which is an error here
    if isinstance(model, GaussianMixture):
        yield {"reg_covar": 0.0}, (np.ones((9, 2)),)
        yield {"covariance_type": "round"}, (X[:, :2],)
        yield {"warm_start": True, "covariance_type": "diag"}, (X,)
        far = np.concatenate([X, [[50.0] * 3]])
        yield (  # collapses in the midst
            {
                "reg_covar": 0.0,
                "weights_init": [0.5, 0.5],
                "means_init": [X[0], far[-1]],
                "precisions_init": [np.eye(3)] * 2,
            },
            (far,),
        )
    else:
        yield {"reg_mean": 0.7}, (X[:, :2],)
        yield {"binarize": None}, (X[:, :2] * 3,)


@pytest.mark.parametrize("model", [GaussianMixture, BernoulliMixture])
@pytest.mark.parametrize("fitted", [True, False])
def test_a_fit_that_fails_leaves_the_model_as_it_was(model, fitted, monkeypatch):
    pd = pytest.importorskip("pandas")
    m = model(2, random_state=0, max_iter=500)
    X = pixels(60, 3)[:, :3] if model is BernoulliMixture else clouds(60, 3)
    if fitted:
        m.fit(pd.DataFrame(X, columns=["a", "b", "c"]))
    usual = m.get_params()

    def fails(arguments, error):
        before = dict(vars(m))
        for verb in (m.fit, m.fit_predict):
            with pytest.raises(error):
                verb(*arguments)
            after = vars(m)
            assert after.keys() == before.keys()
            assert all(after[name] is before[name] for name in before)

    for settings, arguments in bad_calls(m):
        if settings.get("warm_start") and not fitted:
            continue
        m.set_params(**usual).set_params(**settings)
        fails(arguments, (ValueError, ConvergenceWarning))
    m.set_params(**usual)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(e.Engine, "m_step", stop)
    fails((X[:, :2],), KeyboardInterrupt)


@each_gaussian
def test_a_collapse_at_the_start_is_one_as_well(kind):
    for X in (np.ones((9, 2)), np.repeat(np.eye(2), 5, axis=0)):
        for settings in ({}, {"means_init": X[[0, -1]]}, {"max_iter": 0}):
            m = GaussianMixture(2, covariance_type=kind, reg_covar=0.0, **settings)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                with pytest.raises(e.CollapsedError, match="increase reg_covar"):
                    m.fit(X)


@each_gaussian
@pytest.mark.parametrize("narrow", [1e-6, 1e-8, 1e-10])
def test_a_wide_start_on_narrow_clusters_does_not_look_like_a_collapse(kind, narrow):
    """The moments of the first pass have no digits left for clusters so narrow: a
    second pass is made about the new means.
    """
    rng = np.random.default_rng(0)
    z = np.arange(400) % 2
    X = rng.normal(size=(400, 2)) * narrow + z[:, None]
    wide = restricted(kind, [np.eye(2)] * 2, np.ones(2))
    m = GaussianMixture(
        2,
        covariance_type=kind,
        reg_covar=0.0,
        weights_init=[0.5, 0.5],
        means_init=[[-0.1, 0.0], [0.9, 1.0]],
        precisions_init=100 * wide,
    ).fit(X)
    exact = [np.cov(X[z == k].T, bias=True) for k in range(2)]
    one = restricted(kind, exact, np.ones(2))
    resolution = 1e-6 + (4e-16 / narrow) * 4  # the data themselves are rounded to 1e-16
    np.testing.assert_allclose(
        m.covariances_, one, rtol=resolution, atol=resolution * narrow**2
    )
    theirs = stats.multivariate_normal(
        X[z == 0].mean(axis=0), dense(kind, m._parameters())[0]
    )
    first = theirs.logpdf(X[z == 0]).mean() + math.log(0.5)
    assert m.score(X[z == 0]) == pytest.approx(first, abs=1e-4)
    assert np.all(np.diff(m.history_.ravel()) >= -1e-6)


@pytest.mark.parametrize("kind", ["diag", "spherical"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pixels_are_no_reason_for_the_long_way(kind, dtype):
    """Grey values, some pixels dead, some dead in one cluster only."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, size=(300, 50)) * (rng.uniform(size=(300, 50)) < 0.3)
    X[:, :10] = 0
    X[:150, 10:15] = 0
    engine = e.Engine(X, None, kind)
    m = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    assert engine.e_step(m._parameters()).about is None


# --- the estimators
# ----------------------------------------------------------------------------------------------------


CLASSIFIERS = {
    f"check_estimator_sparse_{form}": "takes all with a predict_proba for classifiers"
    for form in ("array", "matrix")
}


@parametrize_with_checks(
    [GaussianMixture(max_iter=20), BernoulliMixture()],
    expected_failed_checks=lambda model: CLASSIFIERS,
)
def test_scikit_learns_own_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


@each_of_scikit_learn
@pytest.mark.parametrize(
    ("N", "D", "K"), [(300, 1, 2), (500, 2, 4), (400, 5, 1), (800, 12, 3)]
)
def test_the_same_fit_as_scikit_learns_from_the_same_seed(kind, N, D, K):
    X = clouds(N, D, 3)
    arguments = {
        "covariance_type": kind,
        "random_state": 0,
        "tol": 1e-6,
        "max_iter": 300,
    }
    theirs = sklearn.mixture.GaussianMixture(K, **arguments).fit(X)
    ours = GaussianMixture(K, **arguments).fit(X)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
    for name in (
        "weights_",
        "means_",
        "covariances_",
        "precisions_",
        "precisions_cholesky_",
        "lower_bounds_",
    ):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-8
        )
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.n_features_in_ == theirs.n_features_in_


@each_of_scikit_learn
def test_the_same_numbers_at_the_same_parameters(kind):
    X = clouds(500, 4)
    theirs = sklearn.mixture.GaussianMixture(
        3, covariance_type=kind, random_state=1
    ).fit(X)
    ours = GaussianMixture(3, covariance_type=kind)
    vars(ours).update({k: v for k, v in vars(theirs).items() if k.endswith("_")})
    for name in ("predict_proba", "score_samples"):
        np.testing.assert_allclose(
            getattr(ours, name)(X), getattr(theirs, name)(X), rtol=1e-8, atol=1e-8
        )
    for name in ("bic", "aic", "score"):
        assert getattr(ours, name)(X) == pytest.approx(
            getattr(theirs, name)(X), rel=1e-8
        )
    ours.random_state = theirs.random_state = 3
    for a, b in zip(ours.sample(20), theirs.sample(20), strict=True):
        np.testing.assert_allclose(a, b)


@each_of_scikit_learn
@pytest.mark.parametrize("how", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_of_scikit_learns(how, kind):
    X = clouds()
    fits = [
        model(
            3,
            covariance_type=kind,
            init_params=how,
            random_state=2,
            n_init=2,
            tol=1e-2,
            max_iter=500,
        ).fit(X)
        for model in (GaussianMixture, sklearn.mixture.GaussianMixture)
    ]
    assert fits[0].n_iter_ == fits[1].n_iter_
    np.testing.assert_allclose(fits[0].lower_bounds_, fits[1].lower_bounds_, rtol=1e-8)


@each_of_scikit_learn
@pytest.mark.parametrize(
    "given", [["weights"], ["means"], ["precisions"], ["means", "weights"]]
)
def test_what_is_given_of_the_start_is_kept_as_scikit_learn_keeps_it(kind, given):
    X = clouds()
    known = sklearn.mixture.GaussianMixture(3, covariance_type=kind, random_state=1)
    known.fit(X[:200])
    start = {f"{name}_init": getattr(known, f"{name}_") for name in given}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours, theirs = (
            model(3, covariance_type=kind, max_iter=2, random_state=0, **start).fit(X)
            for model in (GaussianMixture, sklearn.mixture.GaussianMixture)
        )
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-7)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-7)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=1e-10)


def test_the_settings_are_scikit_learns_and_isinstance_takes_it_for_one():
    from inspect import signature

    ours, theirs = (
        {k: (v.default, v.kind) for k, v in signature(model).parameters.items()}
        for model in (GaussianMixture, sklearn.mixture.GaussianMixture)
    )
    assert {name: ours[name] for name in theirs} == theirs
    own = {"reseed", "learning_decay", "learning_offset"}
    assert ours.keys() - theirs.keys() == own
    model = GaussianMixture(2, random_state=0).fit(clouds())
    assert isinstance(model, sklearn.mixture.GaussianMixture)
    peer = sklearn.mixture.GaussianMixture(2, random_state=0).fit(clouds())
    assert {n for n in dir(peer) if not n.startswith("_")} <= set(dir(model))
    for value in (-1, 1.5, "two", None):  # of both kinds, as scikit-learn's error is
        for kind in (ValueError, TypeError):
            with pytest.raises(kind, match="n_components="):
                GaussianMixture(value).fit(clouds())


def test_what_a_fit_remembers():
    X = clouds()
    m = GaussianMixture(3, random_state=0, tol=1e-5, max_iter=200).fit(X)
    assert m.history_.shape == (m.n_iter_, 2)
    assert m.history_[:, 0].tolist() == m.lower_bounds_
    # reg_covar is a little off the best M-step
    assert np.all(np.diff(m.history_.ravel()) >= -1e-5)
    assert m.score(X) >= m.history_[-1, 0] - 1e-6
    np.testing.assert_array_equal(m.encode(X), m.predict_proba(X))
    np.testing.assert_array_equal(m.log_prob(X), m.score_samples(X))
    np.testing.assert_allclose(m.decode(np.eye(3)), m.means_)
    with pytest.raises(ValueError, match="codes of 3 numbers; encode gives them"):
        m.decode(np.eye(2))


def test_warm_start_goes_on():
    X = clouds(apart=1.0)
    whole = GaussianMixture(3, random_state=0, max_iter=12, tol=0)
    part = GaussianMixture(3, random_state=0, max_iter=6, tol=0, warm_start=True)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        whole.fit(X)
    with pytest.warns(ConvergenceWarning):
        part.fit(X).fit(X)
    np.testing.assert_allclose(part.means_, whole.means_, rtol=1e-9)


@pytest.mark.parametrize(
    "change", [{"n_components": 5}, {"covariance_type": "tied"}, {"width": 2}]
)
def test_a_warm_start_goes_on_from_the_same_kind_of_mixture_only(change):
    X = clouds(D=3)
    m = GaussianMixture(3, covariance_type="diag", random_state=0, warm_start=True)
    m.fit(X)
    width = change.pop("width", 3)
    with pytest.raises(ValueError, match="set warm_start=False"):
        m.set_params(**change).fit(X[:, :width])
    assert m.predict(X).shape == (len(X),)
    m.set_params(warm_start=False).fit(X[:, :width])
    assert m.means_.shape == (m.n_components, width)


def test_a_warm_start_on_other_rows_is_not_measured_by_the_last_bound():
    X = clouds()
    m = GaussianMixture(3, random_state=0, warm_start=True, tol=0.05).fit(X)
    bound = m.lower_bound_
    m.fit(X)
    assert m.n_iter_ == 1  # the same rows: nothing has changed
    other = X + np.random.default_rng(1).normal(scale=1e-3, size=X.shape)
    m.fit(other)
    assert abs(m.lower_bounds_[0] - bound) < 0.05
    assert m.n_iter_ > 1
    assert m.fit(other).n_iter_ == 1


class Cells(GaussianMixture):
    """Each row has a volume, as in SimPEG's mixtures: steps of scikit-learn's are
    replaced.
    """

    def __init__(self, volumes, n_components=1, random_state=None, **others):
        self.volumes = volumes
        super().__init__(n_components, random_state=random_state, **others)

    def _e_step(self, X, xp=None):
        log_p, log_R = self._estimate_log_prob_resp(X)
        return np.average(log_p, weights=self.volumes), log_R

    def _m_step(self, X, log_resp, xp=None):
        w = self.volumes / np.mean(self.volumes)
        super()._m_step(X, log_resp + np.log(w)[:, None], xp=xp)

    def fit(self, X, y=None, debug=False):
        return super().fit(X, y)


def test_steps_that_a_subclass_replaces_are_taken():
    """The volumes weigh the rows: as our own `sample_weight`, from the same start."""
    X = clouds(300, 2)
    w = np.random.default_rng(1).uniform(0.1, 3, len(X))
    start = {
        "weights_init": np.ones(3) / 3,
        "means_init": X[:3],
        "precisions_init": [np.eye(2)] * 3,
        "tol": 1e-6,
        "max_iter": 500,
    }
    theirs = Cells(w, 3, **start).fit(X, debug=True)
    ours = GaussianMixture(3, **start).fit(X, sample_weight=w)
    assert theirs.n_iter_ == ours.n_iter_
    np.testing.assert_allclose(theirs.means_, ours.means_, rtol=1e-8)
    np.testing.assert_allclose(theirs.weights_, ours.weights_, rtol=1e-8)
    assert theirs.lower_bound_ == pytest.approx(ours.lower_bound_, rel=1e-10)
    assert abs(theirs.means_ - GaussianMixture(3, **start).fit(X).means_).max() > 1e-3
    np.testing.assert_array_equal(theirs.fit_predict(X), theirs.predict(X))
    with pytest.raises(ValueError, match="knows no sample_weight"):
        GaussianMixture.fit_predict(theirs, X, sample_weight=w)


def test_a_verb_asks_the_densities_that_a_subclass_replaces():
    class Hot(GaussianMixture):
        def _estimate_log_prob(self, X, xp=None):
            return super()._estimate_log_prob(X) / 2

    class Peer(sklearn.mixture.GaussianMixture):
        def _estimate_log_prob(self, X, xp=None):
            return super()._estimate_log_prob(X) / 2

    X = clouds()
    ours, theirs = (kind(3, random_state=0).fit(X) for kind in (Hot, Peer))
    assert ours.score(X) == theirs.score(X)
    assert ours.bic(X) == theirs.bic(X)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_a_fit_means_the_fit_predict_of_a_subclass():
    class Counts(GaussianMixture):
        calls = ()

        def fit_predict(self, X, y=None, debug=False):
            self.calls = (*self.calls, "before")
            found = super().fit_predict(X)
            self.calls = (*self.calls, "after")
            return found

    X = clouds()
    m = Counts(3, random_state=0).fit(X)
    assert m.calls == ("before", "after")
    plain = GaussianMixture(3, random_state=0).fit(X)
    np.testing.assert_array_equal(m.means_, plain.means_)  # by our own loop
    assert isinstance(m, sklearn.mixture.GaussianMixture)


def test_bad_input_is_an_error_that_names_the_cure():
    X = clouds()
    for m, arguments, cure in [
        (GaussianMixture(3), (np.full((5, 2), np.nan),), "NaN"),
        (GaussianMixture(9), (X[:5],), "n_samples >= n_components"),
        (GaussianMixture(2), (iter([X]),), "pass a list of blocks"),
        (GaussianMixture(2), ([X], None, np.ones(len(X))), "goes with an array"),
        (GaussianMixture(2), (X, None, -np.ones(len(X))), "Negative values"),
        (GaussianMixture(0), (X,), "n_components"),
        (GaussianMixture(2, covariance_type="round"), (X,), "covariance_type"),
        (GaussianMixture(2, weights_init=[1.0]), (X,), "weights"),
        (GaussianMixture(2, weights_init=[0.5, 0.6]), (X,), "normalized"),
        (GaussianMixture(2, means_init=np.full((2, 3), np.nan)), (X,), "give numbers"),
        (GaussianMixture(2, precisions_init=[-np.eye(3)] * 2), (X,), "positive-def"),
        (GaussianMixture(1, precisions_init=[np.tri(3)]), (X,), "symmetric"),
        (
            GaussianMixture(2, covariance_type="spherical", precisions_init=[1, 0]),
            (X,),
            "should be positive",
        ),
        (BernoulliMixture(2, binarize=None), (X,), "between 0 and 1.*set binarize"),
        (BernoulliMixture(2, weights_init=[-1.0, 2.0]), (pixels(),), "range"),
        (
            BernoulliMixture(2, means_init=np.full((2, 12), np.nan)),
            (pixels(),),
            "probabilities",
        ),
        (GaussianMixture(2), (X, None, np.zeros(len(X))), "at least one non-zero"),
        (
            GaussianMixture(9),
            (X, None, np.r_[np.ones(5), np.zeros(len(X) - 5)]),
            "n_samples = 5",
        ),
        (GaussianMixture(2), (X * 1e150,), "scale them down"),
        (GaussianMixture(2), ((X * 1e25).astype("f4"),), "overflow float32"),
        (GaussianMixture(2), ([X, X[:, :2]],), "block 1 has shape"),
        (GaussianMixture(2), ([X.astype(object)],), "rows of numbers"),
        (BernoulliMixture(2, reg_mean=0.7), (pixels(),), "reg_mean"),
        (
            BernoulliMixture(2, means_init=np.ones((3, 3))),
            (pixels(),),
            "means_init should have",
        ),
    ]:
        with pytest.raises(ValueError, match=cure):
            m.fit(*arguments)


def test_bernoulli_mixture_finds_what_made_the_pixels():
    rng = np.random.default_rng(0)
    mu = np.array([[0.9] * 10 + [0.1] * 10, [0.1] * 10 + [0.9] * 10])
    z = rng.integers(2, size=3000)
    X = (rng.uniform(size=(3000, 20)) < mu[z]).astype(float)
    m = BernoulliMixture(2, random_state=0, tol=1e-6).fit(X)
    order = np.argsort(-m.means_[:, 0])
    np.testing.assert_allclose(m.means_[order], mu, atol=0.04)
    assert np.mean(order[z] == m.predict(X)) > 0.99
    p = m._parameters()
    np.testing.assert_allclose(
        m.score_samples(X), logsumexp(log_joint("bernoulli", p, X), axis=1)
    )
    np.testing.assert_allclose(m.predict_proba(X).sum(axis=1), 1)
    drawn, which = m.sample(2000)
    np.testing.assert_allclose(drawn[which == 0].mean(0), m.means_[0], atol=0.06)
    assert m.bic(X) - m.aic(X) == pytest.approx(41 * (math.log(3000) - 2))


@pytest.mark.parametrize(("K", "sample"), [(4, 5_000), (30, 9_000), (100, 20_000)])
def test_a_start_takes_all_of_twenty_thousand_rows_and_of_more_a_sample(
    K, sample, monkeypatch
):
    """Up to there a seed gives scikit-learn's start."""
    taken, guess = [], models._guess
    monkeypatch.setattr(
        models,
        "_guess",
        lambda how, X, *rest: (taken.append(X.copy()), guess(how, X, *rest))[1],
    )
    X = clouds(20_001, 2, 4)
    for rows in (X[:20_000], X):
        for weights in (None, np.ones(len(rows))):
            GaussianMixture(
                K, init_params="random_from_data", random_state=0, max_iter=2, tol=1e9
            ).fit(rows, sample_weight=weights)
    assert [len(rows) for rows in taken] == [20_000, 20_000, sample, sample]
    assert np.array_equal(taken[0], X[:20_000])
    assert len(np.unique(taken[2], axis=0)) == sample  # no row twice


def test_large_data_start_from_a_sample_and_end_as_well():
    X = clouds(30_000, 2, 4, apart=4.0)
    theirs = sklearn.mixture.GaussianMixture(
        4, random_state=0, tol=1e-5, max_iter=500
    ).fit(X)
    ours = GaussianMixture(4, random_state=0, tol=1e-5, max_iter=500).fit(
        [X[:10_000], X[10_000:]]
    )
    assert ours.lower_bound_ >= theirs.lower_bound_ - 1e-3
    assert ours.predict(X[:5]).shape == (5,)


def test_only_the_ratios_of_weights_count():
    X = np.concatenate([clouds(D=2), np.full((50, 2), 1e3)])
    w = np.r_[np.random.default_rng(0).uniform(1, 3, 400), np.zeros(50)]
    fits = [
        GaussianMixture(3, random_state=0).fit(X, sample_weight=w * c)
        for c in (1.0, 1e-20, 1e300)
    ]
    without = GaussianMixture(3, random_state=0).fit(X[:400], sample_weight=w[:400])
    for m in fits:
        np.testing.assert_allclose(m.means_, without.means_, rtol=1e-9)
        assert m.lower_bound_ == pytest.approx(without.lower_bound_, abs=1e-9)
    plain = GaussianMixture(3, random_state=0).fit(X[:400])
    twice = GaussianMixture(3, random_state=0).fit(
        X[:400], sample_weight=np.full(400, 2.0)
    )
    np.testing.assert_allclose(twice.means_, plain.means_, rtol=1e-9)


def test_whole_numbers_and_booleans_are_not_copied(tmp_path):
    """Images as bytes, in memory, in a file and in blocks."""
    rng = np.random.default_rng(0)
    X = (
        rng.uniform(size=(3000, 30))
        * 255
        * rng.uniform(size=(2, 30))[rng.integers(2, size=3000)]
    ).astype("u1")
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    blocks = [X[:1000], X[:0], X[1000:]]
    for model, wanted in (
        (GaussianMixture(2, covariance_type="diag", random_state=0), X.astype(float)),
        (BernoulliMixture(2, binarize=100, random_state=0), X.astype(float)),
    ):
        here = clone(model).fit(wanted)
        for source in (X, mapped, blocks):
            m = clone(model).fit(source)
            assert type(m) is type(here)
            assert m.lower_bound_ == pytest.approx(here.lower_bound_, abs=1e-10)
            np.testing.assert_allclose(m.means_, here.means_, rtol=1e-9)
        np.testing.assert_allclose(
            here.predict_proba(X), here.predict_proba(X.astype(float))
        )
    with pytest.raises(ValueError, match="predict each of them"):
        model.fit_predict(blocks)


def test_blocks_that_change_between_passes_are_found():
    class Leaking:
        def __init__(self):
            self.left = 400

        def __iter__(self):
            self.left -= 1
            yield clouds()[: self.left]

    with pytest.raises(ValueError, match="must be the same each time"):
        GaussianMixture(2, random_state=0).fit(Leaking())
    leaking = e.Rows(Leaking())
    with pytest.raises(ValueError, match="must be the same each time"):
        leaking.pick(np.arange(399))


@pytest.mark.parametrize("kind", ["tied_diag", "tied_spherical"])
def test_one_component_shares_with_nobody(kind):
    """So it is the kind that is not tied, of which scikit-learn knows the answer."""
    X = clouds(300, 3)
    m = GaussianMixture(1, covariance_type=kind, random_state=0).fit(X)
    kind = kind.removeprefix("tied_")
    peer = sklearn.mixture.GaussianMixture(1, covariance_type=kind).fit(X)
    for name in ("covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(m, name), getattr(peer, name)[0], rtol=1e-10)
    np.testing.assert_allclose(m.score_samples(X), peer.score_samples(X), rtol=1e-10)
    assert m.bic(X) == pytest.approx(peer.bic(X), rel=1e-10)


@pytest.mark.parametrize(
    ("kind", "shape", "count"),
    [("tied_diag", (3,), 3), ("tied_spherical", (), 1)],
)
def test_a_shared_covariance_is_the_best_that_all_can_share(kind, shape, count):
    """By SciPy: the density, and that no other shared variances are better; the
    number of parameters; points drawn from it; single precision; a given start.
    """
    X = clouds(600, 3)
    m = GaussianMixture(
        3, covariance_type=kind, reg_covar=0, random_state=0, tol=1e-10, max_iter=2000
    ).fit(X)
    assert m.covariances_.shape == m.precisions_.shape == shape
    np.testing.assert_allclose(m.precisions_ * m.covariances_, 1, rtol=1e-12)
    p = m._parameters()
    np.testing.assert_allclose(
        m.score_samples(X), logsumexp(log_joint(kind, p, X), axis=1), rtol=1e-10
    )
    top = m.score(X)
    for change in 1 + 0.01 * np.random.default_rng(0).normal(size=(20, *shape)):
        other = p._replace(Sigma=np.asarray(p.Sigma * change))
        assert logsumexp(log_joint(kind, other, X), axis=1).mean() < top
    assert m.bic(X) + 2 * top * 600 == pytest.approx((9 + 2 + count) * math.log(600))
    drawn, z = m.sample(20_000)
    spread = [(drawn[z == k] - m.means_[k]).var(axis=0) for k in range(3)]
    np.testing.assert_allclose(spread, np.ones((3, 3)) * m.covariances_, rtol=0.1)
    again = GaussianMixture(
        3,
        covariance_type=kind,
        weights_init=m.weights_,
        means_init=m.means_,
        precisions_init=m.precisions_,
        reg_covar=0,
    )
    assert again.fit(X).score(X) == pytest.approx(top, abs=1e-9)
    single = clone(m).set_params(tol=1e-3).fit(X.astype(np.float32))
    assert single.covariances_.dtype == np.float32
    assert single.score(X) == pytest.approx(top, abs=1e-2)
    with pytest.raises(ValueError, match="precisions_init should have the shape"):
        again.set_params(precisions_init=np.ones(2)).fit(X)


def test_scikit_learns_own_loop_knows_no_shared_variances():
    class Own(GaussianMixture):
        def _m_step(self, X, log_resp):
            super()._m_step(X, log_resp)

    X = clouds(D=2)
    with pytest.raises(ValueError, match="'tied_diag' is none of scikit-learn's"):
        Own(2, covariance_type="tied_diag").fit(X)
    m = GaussianMixture(2, covariance_type="tied_diag", random_state=0).fit(X)
    m.set_params(warm_start=True, covariance_type="tied_spherical")
    with pytest.raises(ValueError, match="goes on from a mixture whose"):
        m.fit(X)


@each_gaussian
@pytest.mark.parametrize("far", [1e80, 1e160, 1e300])
def test_a_row_however_far_out_does_not_refuse_the_others(kind, far):
    """Its density is no number any more; whose it is, fifty digits tell."""
    X = clouds(D=2)
    m = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    at, rest = [3, 9], np.delete(np.arange(len(X)), [3, 9])
    Y = X.copy()
    Y[at] = far * np.array([[1.0, -0.5], [-0.3, 1.0]])
    log_p, R = m.score_samples(Y), m.predict_proba(Y)
    assert np.array_equal(log_p[rest], m.score_samples(X)[rest])
    assert np.array_equal(R[rest], m.predict_proba(X)[rest])
    assert np.array_equal(R.argmax(axis=1), m.predict(Y))
    assert np.array_equal(np.isinf(log_p[at]), [far > 1e155] * 2)
    pi, mu, _ = m._parameters()
    with mpmath.workdps(700):
        for n in at:
            logs = []
            for k in range(3):
                S = mpmath.matrix(dense(kind, m._parameters())[k].tolist())
                away = mpmath.matrix(Y[n].tolist()) - mpmath.matrix(mu[k].tolist())
                square = (away.T * mpmath.lu_solve(S, away))[0]
                logs.append(
                    mpmath.log(pi[k]) - (mpmath.log(mpmath.det(S)) + square) / 2
                )
            assert R[n, logs.index(max(logs))] == 1
            if far < 1e155:
                assert log_p[n] == pytest.approx(float(max(logs)), rel=1e-12)
    assert m.score(Y) == (-np.inf if far > 1e155 else log_p.mean())


@each_gaussian
def test_far_rows_of_equal_components_are_shared_by_their_distance(kind):
    """Equal covariances: the squares are the same to all digits, and what decides is
    linear in x; along the border between the means it is their weights.
    """
    m = GaussianMixture(2, covariance_type=kind, random_state=0).fit(clouds(D=2))
    C = np.broadcast_to(np.eye(2), (2, 2, 2)) * 4
    given = {"full": C, "tied": C[0], "diag": np.full((2, 2), 4.0)}
    m.weights_, m.means_ = np.array([0.25, 0.75]), np.array([[-1.0, 0.0], [1.0, 0.0]])
    m.covariances_ = given.get(kind, np.full(2, 4.0))
    roots = {"full": C / 8, "tied": C[0] / 8, "diag": np.full((2, 2), 0.5)}
    m.precisions_cholesky_ = roots.get(kind, np.full(2, 0.5))
    far = [[0.0, 1e200], [1e200, 0.0], [-1e200, 1e200]]
    np.testing.assert_allclose(m.predict_proba(far), [[0.25, 0.75], [0, 1], [1, 0]])
    assert np.all(m.score_samples(far) == -np.inf)


@each_gaussian
@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint8, bool, np.float32])
def test_the_type_of_the_rows_is_no_reason_for_other_answers(kind, dtype):
    X = (3 * clouds(D=2)).clip(0, 90).astype(dtype)
    m = GaussianMixture(2, covariance_type=kind, random_state=0)
    m.fit(X.astype(float) + 1e-3 * np.random.default_rng(0).normal(size=X.shape))
    b = BernoulliMixture(2, binarize=0.5, random_state=0).fit(X)
    for one in (m, b):
        R, log_p = one.predict_proba(X), one.score_samples(X)
        assert R.dtype == log_p.dtype == np.float64
        np.testing.assert_allclose(R.sum(axis=1), 1, rtol=1e-15)
        np.testing.assert_allclose(R, one.predict_proba(X.astype(float)), atol=1e-15)
        np.testing.assert_allclose(log_p, one.score_samples(X.astype(float)))
        assert np.array_equal(one.predict(X), one.predict(X.astype(float)))
    single = GaussianMixture(2, covariance_type=kind).fit(clouds(D=2).astype("f4"))
    R = single.predict_proba(clouds(D=2).astype("f4"))
    assert R.dtype == np.float32  # scikit-learn's too
    np.testing.assert_allclose(R.sum(axis=1), 1, rtol=1e-6)


def test_weights_of_rows_in_score_bic_and_aic():
    """A weight says how often a row counts."""
    rng = np.random.default_rng(0)
    X, w = clouds(D=2), rng.integers(0, 4, 400)
    X[w == 0] = 1e200  # -inf, and nobody minds
    often = np.repeat(X, w, axis=0)
    for m, Y, many in (
        (GaussianMixture(2, random_state=0).fit(often), X, often),
        (BernoulliMixture(2, random_state=0).fit(often), X, often),
    ):
        assert m.score(Y, sample_weight=7 * w) == pytest.approx(m.score(many))
        n = np.count_nonzero(w)
        p = m._n_parameters()
        wanted = -2 * n * m.score(many)
        assert m.bic(Y, 3 * w) == pytest.approx(wanted + p * math.log(n))
        assert m.aic(Y, sample_weight=w) == pytest.approx(wanted + 2 * p)
        assert m.bic(many, np.ones(len(many))) == pytest.approx(m.bic(many))
        with pytest.raises(ValueError, match="one number a row"):
            m.score(Y, sample_weight=[1.0])


@each_of_scikit_learn
def test_points_are_drawn_by_the_chance_that_is_passed_in(kind):
    X = clouds(D=2)
    m = GaussianMixture(3, covariance_type=kind, random_state=4).fit(X)
    theirs = sklearn.mixture.GaussianMixture(3, covariance_type=kind, random_state=4)
    theirs = theirs.fit(X)
    vars(theirs).update({k: v for k, v in vars(m).items() if k.endswith("_")})
    for ours, wanted in zip(m.sample(50), theirs.sample(50), strict=True):
        np.testing.assert_array_equal(ours, wanted)
    b = BernoulliMixture(2, random_state=4).fit(X)
    for model in (m, b):
        for chance in (7, np.random.default_rng(7), np.random.RandomState(7)):
            again = 7 if chance == 7 else copy.deepcopy(chance)
            one, two = model.sample(20, rng=chance)[0], model.sample(20, rng=again)[0]
            assert np.array_equal(one, two)
            if chance != 7:  # a generator moves on
                assert not np.array_equal(model.sample(20, rng=chance)[0], one)
        assert np.array_equal(model.sample(20)[0], model.sample(20)[0])
        model.random_state = np.random.default_rng(0)
        assert not np.array_equal(model.sample(20)[0], model.sample(20)[0])
        for wrong in (0, -1):
            with pytest.raises(ValueError, match="whole number of samples"):
                model.sample(wrong)
    # weights in single precision do not quite add up to one
    b = BernoulliMixture(3, random_state=0, binarize=None).fit(expit(X).astype("f4"))
    assert b.weights_.dtype == np.float32
    assert b.sample(10)[0].shape == (10, 2)


def test_a_prediction_holds_little_beside_the_rows():
    X = np.random.default_rng(0).integers(0, 2, (20_000, 200)).astype("u1")
    for m in (
        BernoulliMixture(2, random_state=0, max_iter=2, tol=1e9),
        GaussianMixture(2, covariance_type="diag", max_iter=2, tol=1e9),
    ):
        m.fit(X[:500])
        m.predict(X[:10])
        for rows in (X, X.astype(float)):
            tracemalloc.start()
            m.predict(rows)
            held = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert held < 0.3 * X.size * 8, "a fifth of the rows in double precision"


@each_gaussian
def test_scoring_by_products_and_by_whitening_agree(kind):
    X = clouds(700, 4)
    m = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    p = m._parameters()
    plain = e._plain_log_joints(X, kind, p, p.mu.mean(axis=0))
    np.testing.assert_allclose(
        plain, e.log_joints(X, e.whitening(kind, p)), rtol=1e-10, atol=1e-10
    )
    np.testing.assert_allclose(plain, log_joint(kind, p, X), rtol=1e-10, atol=1e-10)


def test_progress_is_shown_where_it_is_wanted(capsys):
    X = clouds()
    GaussianMixture(3, random_state=0, n_init=2, verbose=1, verbose_interval=1).fit(X)
    told = capsys.readouterr().err
    assert "start 2 of 2" in told
    assert "nats a row" in told
    GaussianMixture(3, random_state=0).fit(X)
    assert capsys.readouterr().err == ""


@each_kind
def test_a_dask_array_gives_what_the_array_gives(kind):
    da = pytest.importorskip("dask.array")
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(3000, 4)) + 3 * rng.integers(2, size=(3000, 1)) * (
        kind != "bernoulli"
    )
    model = (
        BernoulliMixture(2, max_iter=20, tol=0, random_state=0)
        if kind == "bernoulli"
        else GaussianMixture(
            2, covariance_type=kind, max_iter=20, tol=0, random_state=0
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        here = clone(model).fit(X)
        with_dask = clone(model).fit(da.from_array(X, chunks=(700, 2)))
    assert np.allclose(here.lower_bounds_, with_dask.lower_bounds_, rtol=0, atol=1e-11)
    assert np.allclose(here.means_, with_dask.means_, rtol=0, atol=1e-9)
    assert with_dask.n_features_in_ == 4


def test_a_fit_survives_the_loss_of_a_worker(tmp_path):
    """Two processes, one of them killed in the middle of the fit: the same numbers as
    in memory.
    """
    distributed = pytest.importorskip("distributed")
    da = pytest.importorskip("dask.array")
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40_000, 5)) + 4 * rng.integers(3, size=(40_000, 1))
    model = GaussianMixture(3, max_iter=12, tol=0, random_state=0)
    killed = []
    with warnings.catch_warnings(), distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
        local_directory=str(tmp_path), silence_logs=50,
    ) as cluster, distributed.Client(cluster) as client:  # fmt: skip
        warnings.simplefilter("ignore")
        here = clone(model).fit(X)
        data = da.from_array(X, chunks=(5000, 5)).persist()
        distributed.wait(data)
        pids = list(client.run(os.getpid).values())
        step = e.Engine.e_step

        def fatal(self, p):
            if len(killed) == 5:  # in the sixth pass
                threading.Timer(0.02, os.kill, (pids[0], signal.SIGKILL)).start()
            killed.append(1)
            return step(self, p)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(e.Engine, "e_step", fatal)
            fitted = clone(model).fit(data)
        deadline = time.monotonic() + 30
        while psutil.pid_exists(pids[0]) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not psutil.pid_exists(pids[0])
    assert fitted.n_iter_ == 12
    assert np.allclose(here.lower_bounds_, fitted.lower_bounds_, rtol=0, atol=1e-11)
    assert np.allclose(here.means_, fitted.means_, rtol=0, atol=1e-9)


def test_a_dask_array_of_unknown_length_or_with_weights_is_refused():
    da = pytest.importorskip("dask.array")
    X = da.from_array(np.random.default_rng(0).normal(size=(50, 2)), chunks=(20, 2))
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        GaussianMixture(2).fit(X[X[:, 0] > 0])
    with pytest.raises(ValueError, match="sample_weight goes with an array in memory"):
        GaussianMixture(2).fit(X, sample_weight=np.ones(50))
    with pytest.raises(ValueError, match="NaN"):
        GaussianMixture(2).fit(
            da.where(X > 2, np.nan, X) if (X > 2).any() else X * np.nan
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("portions", ["map", "blocks", "dask"])
def test_what_is_no_number_is_found_in_any_portion(portions, bad, tmp_path):
    X = (np.random.default_rng(0).random((70_000, 3)) < 0.5).astype(float)
    X[-1, 2] = bad
    np.save(tmp_path / "rows.npy", X)
    given = {
        "map": lambda: np.load(tmp_path / "rows.npy", mmap_mode="r"),
        "blocks": lambda: [X[:40_000], X[40_000:]],
        "dask": lambda: pytest.importorskip("dask.array").from_array(
            X, chunks=(20_000, 3)
        ),
    }[portions]()
    models = [GaussianMixture(2), GaussianMixture(2, covariance_type="diag")]
    models += [BernoulliMixture(2), BernoulliMixture(2, binarize=None)]
    for model in models:
        with pytest.raises(ValueError, match="NaN or infinity"):
            model.set_params(random_state=0).fit(given)


def test_blocks_may_be_data_frames_or_tensors():
    pd, torch = pytest.importorskip("pandas"), pytest.importorskip("torch")
    X = np.random.default_rng(0).normal(size=(600, 3))
    known = GaussianMixture(2, random_state=0).fit([X[:300], X[300:]]).means_
    for kind in (pd.DataFrame, torch.from_numpy):
        assert np.allclose(
            GaussianMixture(2, random_state=0)
            .fit([kind(X[:300]), kind(X[300:])])
            .means_,
            known,
        )


@pytest.mark.parametrize(("K", "N"), [(2, 3000), (2, 20), (9, 20), (9, 3000)])
def test_many_features_are_whitened_and_nothing_else_changes(K, N):
    """Few components of many features go the long way in fit, few rows in predict: the
    same fit as scikit-learn's, and the same scores.
    """
    rng = np.random.default_rng(0)
    X = (
        rng.normal(size=(3000, 40))
        + 4 * rng.normal(size=(K, 40))[rng.integers(K, size=3000)]
    )
    settings = {
        "n_components": K,
        "means_init": X[:K],
        "weights_init": np.full(K, 1 / K),
    }
    settings |= {
        "precisions_init": np.tile(np.eye(40), (K, 1, 1)),
        "tol": 0,
        "max_iter": 5,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours, theirs = (
            GaussianMixture(**settings).fit(X),
            sklearn.mixture.GaussianMixture(**settings).fit(X),
        )
    assert np.isclose(ours.lower_bound_, theirs.lower_bound_, atol=1e-9)
    assert np.allclose(
        ours.score_samples(X[:N]), theirs.score_samples(X[:N]), atol=1e-8
    )


MEMORY = """
import resource, sys
import numpy as np
from latent_book.mixture_models import GaussianMixture
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
X = np.memmap(sys.argv[1], dtype="float32", mode="r", shape=(2_000_000, 16))
import warnings; warnings.simplefilter("ignore")
m = GaussianMixture(4, covariance_type="diag", max_iter=2, random_state=0).fit(X)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, np.isfinite(m.lower_bound_))
"""


def test_a_file_larger_than_what_is_held(tmp_path):
    """122 MiB on disk; a fit holds far less."""
    place = tmp_path / "X.bin"
    X = np.memmap(place, dtype="float32", mode="w+", shape=(2_000_000, 16))
    rng = np.random.default_rng(0)
    for i in range(0, len(X), 100_000):
        X[i : i + 100_000] = rng.normal(size=(100_000, 16)) + rng.integers(
            4, size=(100_000, 1)
        )
    X.flush()
    del X
    out = subprocess.run(
        [sys.executable, "-c", MEMORY, str(place)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    held, fine = out.split()
    assert fine == "True"
    assert int(held) < 90


ARRAY_API = """
import warnings; warnings.simplefilter("ignore")
import numpy as np, sklearn, torch
from latent_book.mixture_models import GaussianMixture
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 3)) + 3 * rng.integers(2, size=(300, 1))
with sklearn.config_context(array_api_dispatch=True):
    for kind in ("full", "tied", "diag", "spherical"):
        here, there = (GaussianMixture(2, covariance_type=kind, init_params="random", random_state=0).fit(x) for x in (X, torch.from_numpy(X)))
        found = there.predict_proba(torch.from_numpy(X))
        assert isinstance(found, torch.Tensor) and isinstance(there.means_, torch.Tensor)
        np.testing.assert_allclose(found.numpy(), here.predict_proba(X), atol=1e-9)
        assert there.decode(np.eye(2)).shape == (2, 3)
print("fine")
"""


def test_torch_in_and_torch_out_where_scikit_learn_dispatches():
    """In a process of its own: SciPy reads the setting when it is imported."""
    pytest.importorskip("torch")
    found = subprocess.run(
        [sys.executable, "-c", ARRAY_API],
        cwd=ROOT,
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert found.stdout == "fine\n", found.stderr


# --- Dask
# ------------------------------------------------------------------------------------------------------------


def fitted(kind, D=3, **settings):
    X = clouds(D=D, apart=2.0) @ np.random.default_rng(1).normal(size=(D, D))
    return X, GaussianMixture(3, covariance_type=kind, random_state=0, **settings).fit(
        X
    )


def three_parts(m):
    return m.weights_, m.means_, np.array(dense(m.kind, m._parameters()))


@each_gaussian
@pytest.mark.parametrize("sigma", [0.0, 0.3, 5.0, 1e6])
def test_slope_and_denoiser_of_a_fitted_mixture(kind, sigma):
    """Against automatic differentiation, and against the chapter's functions."""
    X, m = fitted(kind)
    pi, mu, Sigma = map(torch.tensor, three_parts(m))
    x = torch.tensor(X, requires_grad=True)
    part = torch.distributions.MultivariateNormal(
        mu, Sigma + sigma**2 * torch.eye(3, dtype=torch.float64)
    )
    log_p = torch.logsumexp(pi.log() + part.log_prob(x[:, None]), dim=1)
    log_p.sum().backward()
    scale = x.grad.abs().max().item()
    slope = m.grad_log_prob(X, sigma)
    np.testing.assert_allclose(slope, x.grad.numpy(), rtol=1e-7, atol=1e-9 * scale)
    clean = m.denoise(X, sigma)
    np.testing.assert_allclose(
        clean, posterior_mean(X, *three_parts(m), sigma), rtol=1e-8, atol=1e-10
    )
    if sigma < 1e3:  # beyond, Tweedie's formula has no digits left
        np.testing.assert_allclose(clean, X + sigma**2 * slope, rtol=1e-8, atol=1e-9)
    asked = torch.tensor(X[:3], dtype=torch.float32)
    assert isinstance(m.denoise(asked, sigma), torch.Tensor)
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="0 or more"):
            m.denoise(X, wrong)
        with pytest.raises(ValueError, match="0 or more"):
            m.grad_log_prob(X, wrong)


def test_the_slope_of_a_row_far_out_is_a_number():
    _, m = fitted("full")
    far = np.array([[1e160, 0.0, 1.0]])
    k = m.predict(far)[0]
    wanted = -np.linalg.solve(m.covariances_[k], far[0] - m.means_[k])
    np.testing.assert_allclose(m.grad_log_prob(far)[0], wanted, rtol=1e-8)


@each_gaussian
@pytest.mark.parametrize("known", [[0], [2, 0], [1, 2]])
def test_a_conditional_times_its_marginal_is_the_joint(kind, known):
    X, m = fitted(kind)
    rest = [i for i in range(3) if i not in known]
    rows = X[::40]
    marginal = m.marginal(known)
    found = m.conditional(rows[:, known], known)
    assert len(found) == len(rows)
    for x, one in zip(rows, found, strict=True):
        assert one.kind == kind
        assert one.n_features_in_ == len(rest)
        total = one.log_prob(x[None, rest]) + marginal.log_prob(x[None, known])
        np.testing.assert_allclose(total, m.log_prob(x[None]), rtol=1e-9)
    alone = m.conditional(rows[0, known], known)
    np.testing.assert_allclose(alone.means_, found[0].means_)
    assert alone.sample(4, rng=0)[0].shape == (4, len(rest))
    # however far out: the one component that may have made it
    far = m.conditional(np.full(len(known), 1e160), known)
    assert far.weights_.max() == 1


@each_gaussian
def test_a_marginal_is_the_integral_over_the_other_columns(kind):
    X, m = fitted(kind, D=2)
    grid = np.linspace(-40, 40, 20_001)
    for x in X[:3, 1]:
        log_p = m.log_prob(np.column_stack([grid, np.full(len(grid), x)]))
        wanted = np.log(np.exp(log_p).sum() * (grid[1] - grid[0]))
        assert m.marginal([1]).log_prob([[x]])[0] == pytest.approx(wanted, abs=1e-9)


def test_a_conditional_is_what_is_left_of_the_draws_with_such_columns():
    _, m = fitted("full", D=2)
    x = float(m.means_[:, 0].mean())
    drawn, _ = m.sample(2_000_000, rng=0)
    left = drawn[abs(drawn[:, 0] - x) < 0.02, 1]
    again, _ = m.conditional([x], [0]).sample(len(left), rng=1)
    assert len(left) > 2000
    assert stats.ks_2samp(left, again[:, 0]).pvalue > 1e-3


def test_columns_by_number_name_or_mask(tmp_path):
    pandas = pytest.importorskip("pandas")
    X, _ = fitted("full")
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    m = GaussianMixture(2, random_state=0).fit(table)
    wanted = m.conditional([0.5, 1.0], [2, 0])
    assert list(wanted.feature_names_in_) == ["b"]
    for values, known in [
        ([0.5, 1.0], ["c", "a"]),
        ([1.0, 0.5], [True, False, True]),
        (pandas.DataFrame({"a": [1.0], "c": [0.5]}), ["c", "a"]),
        (torch.tensor([[0.5, 1.0]]), np.array([2, 0])),
    ]:
        found = m.conditional(values, known)
        found = found[0] if isinstance(found, list) else found
        np.testing.assert_allclose(found.means_, wanted.means_)
        np.testing.assert_allclose(found.weights_, wanted.weights_)
    assert list(m.marginal(["c", "a"]).feature_names_in_) == ["c", "a"]
    save(wanted, tmp_path / "m")
    again = load(GaussianMixture, tmp_path / "m")
    np.testing.assert_array_equal(again.means_, wanted.means_)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of names that an array has not
        m.denoise(table, 0.1)
        m.conditional(table[["a"]], ["a"])
    for values, known, cure in [
        ([1.0], ["d"], "'d' is not among those that were fitted, .'a', 'b', 'c'."),
        ([1.0], [3], "numbers from 0 to 2, each once"),
        ([1.0], [-1], "numbers from 0 to 2"),
        ([1.0, 1.0], [0, 0], "each once"),
        ([1.0], [], "numbers from 0 to 2"),
        ([1.0], [False] * 3, "one True at least"),
        ([1.0], [True], "a mask of 3"),
        ([1.0], [0.5], "numbers from 0 to 2"),
        (X, [0], r"pass one number for each, such as X\[:, \[0\]\]"),
        ([1.0, 2.0, 3.0], [0, 1, 2], "leave out those that are asked for"),
        ([np.nan], [0], "NaN"),
    ]:
        with pytest.raises(ValueError, match=cure):
            m.conditional(values, known)
    with pytest.raises(ValueError, match="which have no names"):
        GaussianMixture(1).fit(X).marginal(["a"])


def test_scikit_learns_own_object():
    for kind in ("full", "tied", "diag", "spherical"):
        X, m = fitted(kind)
        theirs = m.to_sklearn()
        assert type(theirs) is sklearn.mixture.GaussianMixture
        np.testing.assert_allclose(theirs.score_samples(X), m.score_samples(X))
        np.testing.assert_allclose(theirs.predict_proba(X), m.predict_proba(X))
        assert theirs.n_features_in_ == 3
        assert theirs.n_iter_ == m.n_iter_
    _, own = fitted("tied_diag")
    with pytest.raises(ValueError, match="covariance_type='tied_diag'; fit one of its"):
        own.to_sklearn()


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_how_many_components(n_jobs):
    """The numbers are those of a loop by hand, the same folds for all."""
    X = clouds(D=2, apart=6.0)
    model = GaussianMixture(covariance_type="diag", random_state=3)
    found = models.choose_components(
        X, range(1, 5), model, by="held_out", folds=4, random_state=0, n_jobs=n_jobs
    )
    deal = list(KFold(4, shuffle=True, random_state=draw_seed(0)).split(X))
    for i, K in enumerate(range(1, 5)):
        mine = clone(model).set_params(n_components=K)
        scores = [mine.fit(X[a]).score(X[b]) for a, b in deal]
        assert found.held_out[i] == pytest.approx(np.mean(scores))
        assert found.held_out_error[i] == pytest.approx(stats.sem(scores))
        mine.fit(X)
        assert found.bic[i] == pytest.approx(mine.bic(X))
        assert found.aic[i] == pytest.approx(mine.aic(X))
    assert found.n_components.tolist() == [1, 2, 3, 4]
    assert found.chosen["bic"] == 1 + found.bic.argmin()
    assert found.chosen["held_out"] == 1 + found.held_out.argmax()
    assert found.model.n_components == found.chosen["held_out"]
    assert found.model.means_.shape == (found.model.n_components, 2)
    assert model.n_components == 1, "what was passed in is left alone"
    assert found.n_rows == len(X)


def test_components_of_pixels_frames_and_other_models():
    pandas = pytest.importorskip("pandas")
    X = pixels()
    found = models.choose_components(
        pandas.DataFrame(X).add_prefix("p"), (1, 2, 4), BernoulliMixture(), folds=3
    )
    assert type(found.model) is BernoulliMixture
    assert len(found.model.feature_names_in_) == X.shape[1]
    lines = clouds(D=4)
    other = models.choose_components(
        lines, [1, 3], ProbabilisticPCA(), by="held_out", random_state=0
    )
    assert set(other.chosen) == {"held_out"}
    assert np.isnan(other.bic).all()
    ax = model_choice(other)
    assert len(ax.texts) == 1
    assert len(model_choice(found).texts) == 2
    for given, cure in [
        (([],), "give some, such as range"),
        (([0],), "candidates=0 must be a whole number"),
        (([1], None, "luck"), "by='luck' is unknown"),
        (([1], None, "bic", 1), "folds=1 must be"),
        (([1], ProbabilisticPCA()), "has no bic; take by='held_out'"),
    ]:
        candidates, *rest = given
        more = dict(zip(("model", "by", "folds"), rest, strict=False))
        with pytest.raises(ValueError, match=cure):
            models.choose_components(lines, candidates, **more)


# --- stepwise EM
# ----------------------------------------------------------------------------------------------------------


def test_partial_fit_is_the_chapters_stepwise_em():
    from latent_book.em import stepwise_em_gaussian

    X, rng = clouds(600, 2, 3), np.random.default_rng(0)
    start = (np.full(3, 1 / 3), X[:3], np.stack([np.cov(X.T)] * 3))
    found, _ = stepwise_em_gaussian(X, *start, 1, 600, rng, decay=0.8, offset=4.0)
    model = GaussianMixture(
        3,
        weights_init=start[0],
        means_init=start[1],
        precisions_init=np.linalg.inv(start[2]),
        reg_covar=0.0,
        learning_decay=0.8,
        learning_offset=4.0,
    ).partial_fit(X)
    assert np.allclose(model.weights_, found[0])
    assert np.allclose(model.means_, found[1])
    assert np.allclose(model.covariances_, found[2])


@each_kind
def test_blocks_lead_near_to_where_a_fit_leads(kind):
    X = data(kind)
    make = BernoulliMixture if kind == "bernoulli" else GaussianMixture
    more = {"binarize": None} if kind == "bernoulli" else {"covariance_type": kind}
    whole = make(3, random_state=0, tol=1e-7, max_iter=500, **more).fit(X)
    model = make(3, random_state=0, learning_decay=0.6, **more)
    rng = np.random.default_rng(0)
    for _ in range(40):
        order = rng.permutation(len(X))
        for rows in np.array_split(order, 6):
            model.partial_fit(X[rows])
    assert model.n_batch_iter_ == len(model.lower_bounds_) == 240
    assert model.score(X) > whole.score(X) - 0.02
    assert model.means_.shape == whole.means_.shape
    if kind != "bernoulli":
        assert model.covariances_.shape == whole.covariances_.shape
    model.fit(X)
    assert not hasattr(model, "n_batch_iter_")


@each_kind
def test_all_rows_in_one_block_with_a_full_step_is_a_step_of_em(kind):
    """offset 0: the first step has length 1 and forgets the start."""
    X = data(kind)
    make = BernoulliMixture if kind == "bernoulli" else GaussianMixture
    more = {"binarize": None} if kind == "bernoulli" else {"covariance_type": kind}
    model = make(3, random_state=0, learning_offset=0.0, **more)
    engine = e.Engine(X, None, kind, model._floor)
    begun = model._start(engine, np.random.RandomState(0))
    stepped = engine.m_step(engine.e_step(begun), begun)
    model.partial_fit(X)
    assert np.allclose(model.weights_, stepped.pi)
    assert np.allclose(model.means_, stepped.mu)
    if stepped.Sigma is not None:
        assert np.allclose(model.covariances_, stepped.Sigma)


def test_partial_fit_goes_on_and_refuses_and_keeps(tmp_path):
    from latent_book import load, save

    X = clouds(300, 2, 3)
    model = GaussianMixture(3, random_state=0).partial_fit(X[:100])
    path = tmp_path / "half.zip"
    save(model, path)
    for one in (model, again := load(GaussianMixture, path)):
        one.partial_fit(X[100:200]).partial_fit(X[200:201])  # one row will do
    assert np.array_equal(model.means_, again.means_)
    assert model.n_batch_iter_ == again.n_batch_iter_ == 3
    before = dict(vars(model))
    for bad, why in (
        (X[:, :1], "features"),
        (np.full((4, 2), np.nan), "NaN"),
        ([X, X], "one block of rows"),
    ):
        with pytest.raises(ValueError, match=why):
            model.partial_fit(bad)
        assert vars(model) == before
    with pytest.raises(ValueError, match="take a new estimator"):
        model.set_params(n_components=4).partial_fit(X)
    with pytest.raises(ValueError, match="begin with a larger one"):
        GaussianMixture(8).partial_fit(X[:5])
    with pytest.raises(ValueError, match=r"above 0\.5"):
        GaussianMixture(2, learning_decay=0.5).partial_fit(X)
    w = np.r_[np.zeros(50), np.full(50, 2.0)]
    some = GaussianMixture(3, random_state=0).fit(X)
    twin = GaussianMixture(3, random_state=0).fit(X)
    some.partial_fit(X[:100], sample_weight=w)
    twin.partial_fit(X[50:100])
    assert np.allclose(some.means_, twin.means_)


# --- sparse rows
# ----------------------------------------------------------------------------------------------------------


def words(kind: str, N: int = 600, D: int = 40) -> scipy.sparse.csr_array:
    """Counts of words in documents of three subjects, or whether they occur; a column
    of zeros, and one that tells a subject.
    """
    rng = np.random.default_rng(0)
    z = rng.integers(3, size=N)
    rate = rng.gamma(0.3, 0.5, size=(3, D)) + 0.01
    X = rng.poisson(rate[z]).astype(float)
    X[:, 0], X[:, 1] = 0, z == 1
    return scipy.sparse.csr_array((X > 0).astype(float) if kind == "bernoulli" else X)


def mixture_of(kind: str, K: int, **settings):
    settings = {"random_state": 0, "tol": 1e-6, "max_iter": 30, **settings}
    if kind == "bernoulli":
        return BernoulliMixture(K, **settings)
    return GaussianMixture(K, covariance_type=kind, **settings)


@each_kind
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["kmeans", "k-means++", "random", "random_from_data"])
def test_sparse_rows_give_what_dense_ones_give(kind, how):
    S = words(kind)
    X, w = S.toarray(), np.random.default_rng(1).uniform(size=S.shape[0])
    for weights in (None, w):
        full, sparse = (
            mixture_of(kind, 3, init_params=how).fit(rows, sample_weight=weights)
            for rows in (X, S)
        )
        assert sparse.lower_bound_ == pytest.approx(full.lower_bound_, rel=1e-10)
        assert sparse.n_iter_ == full.n_iter_
        np.testing.assert_allclose(sparse.means_, full.means_, rtol=0, atol=1e-8)
        for verb in ("predict", "predict_proba", "score_samples"):
            ask = getattr(full, verb)
            np.testing.assert_allclose(ask(S), ask(X), rtol=1e-12, atol=1e-12)
        wanted = full.score(X, sample_weight=w)
        assert full.score(S, sample_weight=w) == pytest.approx(wanted, rel=1e-12)
        assert full.bic(S) == pytest.approx(full.bic(X), rel=1e-12)


@pytest.mark.parametrize(
    "form", ["csr", "csc", "coo", "lil", "dok", "old", "parts", "bool", "blocks"]
)
@pytest.mark.filterwarnings("ignore")
def test_sparse_rows_of_every_form(form):
    S = words("bernoulli")
    # two entries at each place
    twice = (np.repeat(S.data / 2, 2), np.repeat(S.indices, 2), 2 * S.indptr)
    rows = {
        "old": lambda: scipy.sparse.csr_matrix(S),
        "parts": lambda: scipy.sparse.csr_array(twice, S.shape),
        "bool": lambda: S.astype(bool),
        "blocks": lambda: [S[:100], S[100:]],
    }.get(form, lambda: S.asformat(form))()
    for kind, settings in (("diag", {}), ("bernoulli", {"binarize": None})):
        wanted = mixture_of(kind, 2, **settings).fit(S.toarray())
        found = mixture_of(kind, 2, **settings).fit(rows)
        assert found.lower_bound_ == pytest.approx(wanted.lower_bound_, rel=1e-10)
        if form != "blocks":
            R = found.predict_proba(rows)
            np.testing.assert_allclose(R, wanted.predict_proba(S), atol=1e-9)


@pytest.mark.parametrize("kind", ["diag", "spherical", "tied_diag", "tied_spherical"])
def test_sparse_columns_of_one_large_number_lose_no_digits(kind):
    """A million in all rows of a component: counted from zero, squares would cancel."""
    rng = np.random.default_rng(0)
    z = np.arange(300) % 3
    X = rng.normal(size=(300, 6)) * (rng.uniform(size=(300, 6)) < 0.2)
    X[:, 0] = (1e6 + 1e-2 * rng.normal(size=300)) * (z == 0)
    X[:, 1] = (z == 1) * 5.0
    start = {
        "weights_init": np.ones(3) / 3,
        "means_init": [X[z == k].mean(axis=0) for k in range(3)],
        "precisions_init": restricted(kind, [np.eye(6)] * 3, np.ones(3)),
    }
    full, sparse = (
        GaussianMixture(3, covariance_type=kind, **start).fit(rows)
        for rows in (X, scipy.sparse.csc_matrix(X))
    )
    assert sparse.lower_bound_ == pytest.approx(full.lower_bound_, rel=1e-10)
    np.testing.assert_allclose(sparse.covariances_, full.covariances_, rtol=1e-8)
    engine = e.Engine(scipy.sparse.csr_array(X), None, kind)
    assert engine.e_step(sparse._parameters()).about is not None


@each_kind
def test_a_pass_over_sparse_rows(kind):
    """By SciPy's densities, one by one; and whether the zeros were left alone."""
    S = words(kind)
    X, w = S.toarray(), np.random.default_rng(1).uniform(size=S.shape[0])
    p = start(kind, X)
    engine = e.Engine(S, w, kind)
    G = log_joint(kind, p, X)
    R = np.exp(G - logsumexp(G, axis=1, keepdims=True)) * w[:, None]
    totals = engine.e_step(p)
    assert totals.log_prob == pytest.approx(w @ logsumexp(G, axis=1), rel=1e-10)
    mu = R.T @ X / R.sum(axis=0)[:, None]
    mu = np.clip(mu, 1e-6, 1 - 1e-6) if kind == "bernoulli" else mu
    new = engine.m_step(totals, p)
    np.testing.assert_allclose(new.mu, mu, rtol=1e-10, atol=1e-12)
    assert engine._sparse == (kind not in ("full", "tied"))
    wanted = e.Engine(X, w, kind).digest()
    np.testing.assert_allclose(engine.digest(), wanted, rtol=1e-12)


def test_what_sparse_rows_may_not_be():
    S = words("bernoulli")
    with pytest.raises(ValueError, match="binarize=-1 takes the zeros"):
        BernoulliMixture(2, binarize=-1).fit(S)
    with pytest.raises(ValueError, match="between 0 and 1, not 0 to 2"):
        BernoulliMixture(2, binarize=None).fit(2 * S)
    S.data[5] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        GaussianMixture(2, covariance_type="diag").fit(S)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["diag", "tied_spherical", "bernoulli"])
def test_no_dense_copy_of_sparse_rows_is_made(kind):
    """20,000 rows of 4,000 columns are 640 MB when written out."""
    chance = np.random.default_rng(0)
    S = scipy.sparse.random_array((20_000, 4_000), density=2e-3, rng=chance).tocsr()
    S.data[:] = 1
    m = mixture_of(kind, 2, init_params="random_from_data", max_iter=2)
    for act in (m.fit, m.predict, m.predict_proba, m.score_samples):
        tracemalloc.start()
        act(S)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert held < 160e6, f"{act.__name__} holds {held:.3g} bytes"


def test_the_number_of_components_is_chosen_on_sparse_rows():
    S, start = words("bernoulli"), BernoulliMixture(init_params="random_from_data")
    found, wanted = (
        models.choose_components(rows, [1, 3], start, random_state=0)
        for rows in (S.tocoo(), S.toarray())
    )
    assert found.chosen == wanted.chosen
    np.testing.assert_allclose(found.held_out, wanted.held_out, rtol=1e-9)


@each_kind
@pytest.mark.filterwarnings("ignore")
def test_blocks_of_sparse_rows_one_after_the_other(kind):
    S = words(kind)
    X, w = S.toarray(), np.random.default_rng(1).uniform(size=S.shape[0])
    full, sparse = (mixture_of(kind, 3, init_params="random") for _ in range(2))
    for part in (slice(0, 200), slice(200, 350), slice(350, 600)):
        full.partial_fit(X[part], sample_weight=w[part])
        sparse.partial_fit(S[part], sample_weight=w[part])
    np.testing.assert_allclose(sparse.means_, full.means_, rtol=1e-8, atol=1e-12)
    assert sparse.lower_bound_ == pytest.approx(full.lower_bound_, rel=1e-10)


def test_bic_takes_the_score_of_a_subclass():
    class Halved(GaussianMixture):
        def score(self, X, y=None):
            return 0.5 * super().score(X)

    X = clouds(D=2)
    own = Halved(2, random_state=0).fit(X)
    plain = GaussianMixture(2, random_state=0).fit(X)
    cost = 11 * np.log(len(X))
    assert np.isclose(own.bic(X) - cost, 0.5 * (plain.bic(X) - cost))
    assert np.isclose(own.aic(X) - 22, 0.5 * (plain.aic(X) - 22))
    assert np.isclose(plain.bic(X.tolist()), plain.bic(X))
