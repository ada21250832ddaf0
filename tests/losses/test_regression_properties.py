"""How regression losses relate to one another, and what they do at zeros, in columns and at the ends."""

import math

import numpy as np
import pytest
from ask import none, value
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lossctl.checking.checks import draw, gradients
from lossctl.errors import BadParameter, LossctlError, NotFinite, OutOfDomain, ShapeMismatch
from lossctl.losses import LOSSES

P, T = [1, 2, 3, 4], [1.5, 2, 1, 8]
moderate = arrays(np.float64, 5, elements=st.floats(-1e3, 1e3))


def test_quantiles_each_have_their_column():
    pred, target, quantiles = np.random.default_rng(1).normal(size=(5, 3)), np.arange(5.0), [0.1, 0.5, 0.95]
    found = none("multi_pinball", pred, target, quantiles=quantiles)
    wanted = [none("pinball", pred[:, j], target, q=q) for j, q in enumerate(quantiles)]
    np.testing.assert_allclose(found, np.transpose(wanted), rtol=1e-13)
    even = value("multi_pinball", pred, target)
    assert even == pytest.approx(value("multi_pinball", pred, target, quantiles=[0.25, 0.5, 0.75]), rel=1e-14)
    with pytest.raises(ShapeMismatch):
        value("multi_pinball", pred, target, quantiles=[0.1, 0.9])
    with pytest.raises(OutOfDomain):
        value("multi_pinball", pred, target, quantiles=[10, 50, 95])


@pytest.mark.parametrize("m", [1, 3])
def test_scaled_errors_are_in_units_of_the_naive_forecast_s(m):
    train = np.random.default_rng(2).normal(size=20).cumsum()
    step = train[m:] - train[:-m]
    assert value("mase", P, T, train, m=m) == pytest.approx(1.625 / np.mean(abs(step)), rel=1e-13)
    assert value("rmsse", P, T, train, m=m) == pytest.approx(math.sqrt(5.0625 / np.mean(step**2)), rel=1e-13)


@pytest.mark.parametrize("name", ["mase", "rmsse"])
@pytest.mark.parametrize(("train", "m"), [([1, 2, 3], 3), ([1, 2, 3], 7), ([1], 1)])
def test_a_season_fits_into_the_series(name, train, m):
    with pytest.raises(BadParameter, match=f"m={m}, but the series"):
        value(name, P, T, train, m=m)


@pytest.mark.parametrize("pred", [1.0, 2.0])
def test_a_series_that_never_moves_measures_neither_an_error_nor_none(pred):
    with pytest.raises(OutOfDomain, match="no scale to divide by"):
        value("mase", [pred], [2.0], [5, 5, 5])


@pytest.mark.parametrize(("by", "unit"), [("range", 7), ("std", np.std(T)), ("mean", np.mean(T))])
def test_nrmse_has_three_units(by, unit):
    assert value("nrmse", P, T, by=by) == pytest.approx(2.25 / unit, rel=1e-14)


def test_penalties_are_sums_of_one_array():
    w = np.random.default_rng(0).normal(size=(7, 3))
    assert value("l1_penalty", w, strength=0.1) == pytest.approx(0.1 * np.abs(w).sum(), rel=1e-13)
    assert value("l2_penalty", w, strength=0.1) == pytest.approx(0.1 * np.linalg.norm(w) ** 2, rel=1e-13)


def test_nothing_beside_nothing_is_zero_and_something_is_refused():
    assert value("smape", [0, 1], [0, 1]) == 0
    assert value("wape", [0, 0], [0, 0]) == 0
    assert value("nrmse", [2, 2], [2, 2]) == value("relative_mse", [2, 2], [2, 2]) == 0
    for name in ("wape", "nrmse", "relative_mse"):
        with pytest.raises(NotFinite):
            value(name, [1, 1], [0, 0])


def test_smape_has_two_definitions_and_percent():
    assert value("smape", [1.0], [3.0]) == 1
    assert value("smape", [1.0], [3.0], bounded=True) == 0.5
    assert value("smape", [1.0], [3.0], bounded=True, percent=True) == 50


@pytest.mark.parametrize("name", ["rmsle", "rmspe", "rmsse", "nrmse"])
def test_a_root_has_a_gradient_at_a_perfect_fit(name):
    drawn = draw(LOSSES.get(name), varied=False)
    drawn.arrays["pred"][...] = drawn.arrays["target"]
    assert all((np.asarray(found) == 0).all() for found in gradients(LOSSES.get(name), drawn).values())


def test_log_cosh_keeps_its_digits():
    assert value("log_cosh", [1e-9], [0]) == pytest.approx(5e-19, rel=1e-12)
    assert value("log_cosh", [1e6], [0]) == pytest.approx(1e6 - math.log(2), rel=1e-15)


@pytest.mark.parametrize(("alpha", "near"), [(0, 1e-9), (2, 2 - 1e-9), (2, 2 + 1e-9)])
def test_barron_is_continuous_in_its_shape(alpha, near):
    errors = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(
        none("barron", errors, np.zeros(11), alpha=near), none("barron", errors, np.zeros(11), alpha=alpha), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("pinball", {"q": 1.1}),
        ("lp", {"p": 0.5}),
        ("tukey", {"scale": 0}),
        ("barron", {"alpha": "nan"}),
        ("wing", {"width": -1}),
        ("nrmse", {"by": "iqr"}),
    ],
)
def test_parameters_outside_of_their_domain(name, named):
    with pytest.raises(LossctlError):
        value(name, P, T, **named)


def test_alpha_is_the_share_outside():
    with pytest.raises(BadParameter, match=r"\(0, 1\]"):
        value("interval_score", [1], [2], [3], alpha=90)


@given(moderate, moderate)
def test_cases_of_one_another(pred, target):
    half = value("mse", pred, target) / 2
    assert value("l2_half", pred, target) == pytest.approx(half, rel=1e-12)
    assert value("huber", pred, target, delta=1e6) == pytest.approx(half, rel=1e-12)
    assert value("expectile", pred, target) == pytest.approx(half, rel=1e-12)
    assert value("barron", pred, target, alpha=2) == pytest.approx(half, rel=1e-12)
    assert value("lp", pred, target, p=2) == pytest.approx(2 * half, rel=1e-12)
    assert value("tweedie_deviance", pred, target) == pytest.approx(2 * half, rel=1e-12)
    assert value("pinball", pred, target) == pytest.approx(value("l1", pred, target) / 2, rel=1e-12)
    assert value("lp", pred, target, p=1) == value("l1", pred, target)


@given(moderate, moderate, st.floats(0.1, 10))
def test_barron_s_family(pred, target, scale):
    cases = {1: "pseudo_huber", 0: "cauchy", -2: "geman_mcclure", "-inf": "welsch"}
    for alpha, name in cases.items():
        named = {} if name == "pseudo_huber" else {"scale": scale}
        wanted = value(name, pred, target, **named)
        assert value("barron", pred, target, alpha=alpha, **named) == pytest.approx(wanted, rel=1e-10, abs=1e-300)


@given(moderate, moderate, st.floats(0, 1), st.floats(0.01, 100))
def test_quantile_huber_mirrored(pred, target, q, kappa):
    found = value("quantile_huber", pred, target, q=q, kappa=kappa)
    assert found == pytest.approx(value("quantile_huber", -pred, -target, q=1 - q, kappa=kappa), rel=1e-9, abs=1e-12)
    middle = value("quantile_huber", pred, target, kappa=kappa)
    assert middle == pytest.approx(value("huber", pred, target, delta=kappa) / (2 * kappa), rel=1e-12)


@given(moderate, moderate)
def test_an_interval_is_scored_by_its_quantiles(ends, target):
    """Twice the pinball losses of both ends, over alpha."""
    lower, upper = np.minimum(ends, ends[::-1]), np.maximum(ends, ends[::-1])
    wanted = 2 / 0.2 * (value("pinball", lower, target, q=0.1) + value("pinball", upper, target, q=0.9))
    assert value("interval_score", lower, upper, target, alpha=0.2) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", ["cauchy", "welsch", "geman_mcclure", "tukey", "charbonnier", "log_cosh", "fair", "wing"])
@given(pred=moderate, target=moderate)
def test_robust_losses_do_not_care_which_is_which_and_pull_less_than_the_square(name, pred, target):
    assert value(name, pred, target) == value(name, target, pred) >= 0
    far, further = none(name, [10.0, 1000.0], [0.0, 0.0])
    assert further < 10000 * far
