"""Regression losses against other libraries' printed values and formulas written a second time."""

import math

import numpy as np
import pytest
from ask import ask, none, value
from scipy import special, stats

from lossctl.errors import OutOfDomain
from lossctl.losses import LOSSES

P, T = [1, 2, 3, 4], [1.5, 2, 1, 8]

# Printed by Keras 3.15.1, optax 0.2.8, scikit-learn 1.9.1, SMP 0.6.0 and scoringrules 0.10.0 for p and t above.
PRINTED = [
    ("log_cosh", {}, 1.18807650),
    ("msle", {}, 0.21893481),
    ("rmsle", {}, 0.46790470),
    ("mape", {}, 0.70833333),
    ("mape", {"percent": True, "eps": 1e-7}, 70.8333),
    ("pinball", {"q": 0.9}, 1.0625),
    ("pinball", {"q": 0.5}, 0.8125),
    ("median_ae", {}, 1.25),
    ("max_error", {}, 4.0),
    ("r2", {}, 0.37087379),
    ("r2_loss", {}, 1 - 0.37087379),
    ("d2_tweedie", {"power": 1}, 0.41766423),
    ("d2_absolute", {}, 0.13333333),
    ("d2_pinball", {"q": 0.9}, -1.17948718),
    ("poisson_deviance", {}, 1.27738141),
    ("gamma_deviance", {}, 0.41666667),
    ("tweedie_deviance", {"power": 0}, 5.0625),
    ("tweedie_deviance", {"power": 1}, 1.27738),
    ("tweedie_deviance", {"power": 1.5}, 0.70305708),
    ("tweedie_deviance", {"power": 2}, 0.41666667),
    ("tweedie_deviance", {"power": 3}, 0.18402778),
    ("tweedie_deviance", {"power": -1}, 23.7395833),
    ("keras_poisson", {}, -0.89381546),
]
IN_FLOAT32 = {"log_cosh", "keras_poisson"}


@pytest.mark.parametrize(("name", "named", "wanted"), PRINTED, ids=lambda x: str(x) if isinstance(x, str) else "")
def test_printed_value(name, named, wanted):
    decimals = min(len(repr(wanted).partition(".")[2]), 8)
    rounding = 1.2e-7 if name in IN_FLOAT32 else 0
    assert value(name, P, T, **named) == pytest.approx(wanted, abs=0.51 * 10.0**-decimals, rel=rounding)


def test_printed_value_of_single_errors():
    assert value("log_cosh", [0.5], [0]) == pytest.approx(0.1201145, abs=1e-7)
    assert none("l2_half", [1, 2], [0, 0]).tolist() == [0.5, 2]
    assert value("msle", [1], [-0.5]) == pytest.approx(1.92181, abs=1e-5)
    assert value("interval_score", [1], [2], [2.5], alpha=0.1) == pytest.approx(11, rel=1e-14)
    assert value("mape", [1], [0]) == pytest.approx(4.5036e15, rel=1e-5)
    assert value("mape", [1], [0], percent=True, eps=1e-7) == pytest.approx(1e9)


KORNIA = [1.0, -2.0, 0.5]


@pytest.mark.parametrize(
    ("name", "named", "wanted"),
    [
        ("charbonnier", {"eps": 1, "shifted": True}, [0.41421354, 1.23606801, 0.11803400]),
        ("pseudo_huber", {}, [0.41421354, 1.23606801, 0.11803400]),
        ("cauchy", {}, [0.40546510, 1.09861231, 0.11778303]),
        ("geman_mcclure", {}, [0.4, 1, 0.11764706]),
        ("welsch", {}, [0.39346933, 0.86466473, 0.11750311]),
    ],
)
def test_kornia_s_printed_values(name, named, wanted):
    np.testing.assert_allclose(none(name, KORNIA, [0, 0, 0], **named), wanted, rtol=0, atol=5e-8)


BARRON = {
    -math.inf: [0, 0.11750310, 0.39346933, 0.86466473, 1],
    -2: [0, 0.11764705, 0.39999998, 1, 1.92307687],
    0: [0, 0.11778303, 0.40546510, 1.09861231, 3.93182564],
    1: [0, 0.11803401, 0.41421354, 1.23606801, 9.04987526],
    2: [0, 0.125, 0.5, 2, 50],
}


@pytest.mark.parametrize("alpha", BARRON)
def test_barron_s_printed_values(alpha):
    found = none("barron", [0, 0.5, 1, 2, -10], np.zeros(5), alpha=alpha)
    np.testing.assert_allclose(found, BARRON[alpha], rtol=1e-7, atol=5e-8)


def huber_of(size, delta):
    return np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


def wing_of(e, w, c):
    return np.where(abs(e) < w, w * np.log(1 + abs(e) / c), abs(e) - (w - w * np.log(1 + w / c)))


FORMULAS = {
    "l2_half": lambda p, t: (p - t) ** 2 / 2,
    "log_cosh": lambda p, t: np.log(np.cosh(p - t)),
    "fair": lambda p, t, scale=1: scale**2 * (abs(p - t) / scale - np.log(1 + abs(p - t) / scale)),
    "wing": lambda p, t, width=5, curvature=0.5: wing_of(p - t, width, curvature),
    "lp": lambda p, t, p_=1.5: abs(p - t) ** p_,
    "charbonnier": lambda p, t, eps=1e-3, shifted=False: np.hypot(p - t, eps) - (eps if shifted else 0),
    "pseudo_huber": lambda p, t, delta=1: special.pseudo_huber(delta, p - t),
    "cauchy": lambda p, t, scale=1: np.log(1 + ((p - t) / scale) ** 2 / 2),
    "welsch": lambda p, t, scale=1: 1 - np.exp(-(((p - t) / scale) ** 2) / 2),
    "geman_mcclure": lambda p, t, scale=1: 2 * ((p - t) / scale) ** 2 / (((p - t) / scale) ** 2 + 4),
    "tukey": lambda p, t, scale=4.685: scale**2 / 6 * (1 - np.maximum(1 - ((p - t) / scale) ** 2, 0) ** 3),
    "barron": lambda p, t, a=1, c=1: abs(a - 2) / a * ((((p - t) / c) ** 2 / abs(a - 2) + 1) ** (a / 2) - 1),
    "pinball": lambda p, t, q=0.5: np.where(t >= p, q * (t - p), (1 - q) * (p - t)),
    "expectile": lambda p, t, tau=0.5: np.where(t >= p, tau, 1 - tau) * (t - p) ** 2,
    "quantile_huber": lambda p, t, q=0.5, k=1: np.where(t >= p, q, 1 - q) * huber_of(abs(t - p), k) / k,
    "mape": lambda p, t: abs((p - t) / t),
    "smape": lambda p, t: abs(p - t) / ((abs(p) + abs(t)) / 2),
    "mspe": lambda p, t: ((p - t) / t) ** 2,
}
NAMED = [
    ("fair", {"scale": 2.5}),
    ("wing", {"width": 1.5, "curvature": 0.3}),
    ("lp", {"p": 3}),
    ("charbonnier", {"eps": 0.5, "shifted": True}),
    ("pseudo_huber", {"delta": 0.4}),
    ("cauchy", {"scale": 2}),
    ("welsch", {"scale": 2}),
    ("geman_mcclure", {"scale": 2}),
    ("tukey", {"scale": 1.5}),
    ("barron", {"alpha": -1.5, "scale": 2}),
    ("barron", {"alpha": 3, "scale": 2}),
    ("pinball", {"q": 0.9}),
    ("expectile", {"tau": 0.8}),
    ("quantile_huber", {"q": 0.8, "kappa": 0.6}),
    *((name, {}) for name in FORMULAS),
]


@pytest.mark.parametrize(("name", "named"), NAMED)
def test_loss_is_its_formula(name, named):
    pred, target = np.random.default_rng(3).normal(scale=3, size=(2, 6, 4))
    wanted = FORMULAS[name](pred, target, *named.values())
    np.testing.assert_allclose(none(name, pred, target, **named), wanted, rtol=1e-11, atol=1e-13)
    assert value(name, pred, target, **named) == pytest.approx(wanted.mean(), rel=1e-12)


POSITIVE = {
    "msle": lambda p, t: np.mean((np.log1p(p) - np.log1p(t)) ** 2),
    "rmsle": lambda p, t: np.sqrt(np.mean((np.log1p(p) - np.log1p(t)) ** 2)),
    "rmspe": lambda p, t: np.sqrt(np.mean(((p - t) / t) ** 2)),
    "wape": lambda p, t: np.sum(abs(p - t)) / np.sum(t),
    "poisson_deviance": lambda p, t: 2 * np.mean(special.kl_div(t, p)),
    "gamma_deviance": lambda p, t: 2 * np.mean(stats.gamma(1, scale=t).logpdf(t) - stats.gamma(1, scale=p).logpdf(t)),
    "keras_poisson": lambda p, t: np.mean(p - t * np.log(p + 1e-7)),
    "relative_mse": lambda p, t: np.mean((p - t) ** 2) / np.var(t),
    "r2": lambda p, t: 1 - np.mean((p - t) ** 2) / np.var(t),
    "explained_variance": lambda p, t: 1 - np.var(t - p) / np.var(t),
    "nrmse": lambda p, t: np.sqrt(np.mean((p - t) ** 2)) / np.ptp(t),
    "median_ae": lambda p, t: np.median(abs(p - t)),
    "max_error": lambda p, t: np.linalg.norm(p - t, np.inf),
    "d2_absolute": lambda p, t: 1 - np.sum(abs(p - t)) / np.sum(abs(t - np.median(t))),
}


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("n", [8, 9])
def test_loss_of_positive_numbers_is_its_formula(name, n):
    pred, target = np.random.default_rng(n).gamma(2, size=(2, n))
    assert value(name, pred, target) == pytest.approx(POSITIVE[name](pred, target), rel=1e-12)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("mean_absolute_percentage_error", "mape"),
        ("mean_squared_logarithmic_error", "msle"),
        ("quantile_loss", "pinball"),
        ("winkler", "interval_score"),
        ("wmape", "wape"),
        ("LogCosh", "log_cosh"),
        ("lorentzian", "cauchy"),
        ("chebyshev", "max_error"),
        ("mean_tweedie_deviance", "tweedie_deviance"),
    ],
)
def test_names_of_other_libraries(alias, name):
    assert LOSSES.get(alias).name == name


@pytest.mark.parametrize("name", ["mase", "rmsse"])
@pytest.mark.parametrize(("train", "m"), [([5, 5, 5], 1), ([5, 6, 5, 6], 2), ([0, 0], 1)])
def test_a_series_without_change_gives_no_scale(name, train, m):
    with pytest.raises(OutOfDomain, match="no scale to divide by"):
        ask(name, [1, 2], [1, 3], train, m=m)
    # A least divisor that someone has chosen is taken: errors of 0 and 1, squared or not.
    wanted = {"mase": (0 + 1) / 2 / 0.25, "rmsse": ((0 + 1) / 2 / 0.25) ** 0.5}
    assert value(name, [1, 2], [1, 3], train, m=m, eps=0.25) == pytest.approx(wanted[name], rel=1e-14)


def test_a_series_in_tiny_units_has_a_scale_once_eps_is_0():
    arrays = np.multiply([6, 8], 1e-20), np.multiply([7, 10], 1e-20), np.multiply([1, 2, 4, 5], 1e-20)
    with pytest.raises(OutOfDomain, match="no scale"):
        ask("mase", *arrays)
    assert value("mase", *arrays, eps=0) == pytest.approx(1.125, rel=1e-14)
