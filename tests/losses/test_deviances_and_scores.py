"""Deviances in their domains, and scores that are a property of all samples."""

import numpy as np
import pytest
from ask import value

from lossctl.checking.checks import Drawn, gradients, numeric_gradients
from lossctl.errors import BadParameter, NoSuchReduction, NotFinite, OutOfDomain
from lossctl.losses import LOSSES
from lossctl.request.options import Options

P, T = [1, 2, 3, 4], [1.5, 2, 1, 8]


@pytest.mark.parametrize("power", [-1, 0, 1, 1.3, 2, 2.5, 3])
def test_tweedie_deviance_is_the_integral_that_defines_it(power):
    """d(t, p) = 2 times the integral from p to t of (t - u) / u^power."""
    for pred, target in [(0.5, 2.0), (3.0, 1.2), (1.0, 1.0)]:
        u, step = np.linspace(pred, target, 20001, retstep=True)
        height = (target - u) / u**power
        wanted = 2 * step * (height.sum() - (height[0] + height[-1]) / 2)
        assert value("tweedie_deviance", [pred], [target], power=power) == pytest.approx(wanted, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("power", [1, 1.5])
def test_tweedie_deviance_takes_targets_of_zero_between_poisson_and_gamma(power):
    assert value("tweedie_deviance", [2.0], [0.0], power=power) == pytest.approx(2 * 2 ** (2 - power) / (2 - power))


@pytest.mark.parametrize("power", [-1.5, 1, 1.5, 2, 3])
@pytest.mark.parametrize("name", ["tweedie_deviance", "d2_tweedie"])
def test_tweedie_has_the_gradient_of_its_value(name, power):
    loss = LOSSES.get(name)
    pred, target = np.random.default_rng(5).gamma(3, size=(2, 6))
    drawn = Drawn({"pred": pred, "target": target}, {}, {"power": power})
    numeric = numeric_gradients(loss, drawn, lambda moved: value(name, *moved.arrays.values(), power=power))
    for side, found in gradients(loss, drawn).items():
        np.testing.assert_allclose(found, numeric[side], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["tweedie_deviance", "d2_tweedie"])
@pytest.mark.parametrize("power", [0.01, 0.5, 0.999])
def test_there_is_no_tweedie_between_normal_and_poisson(name, power):
    with pytest.raises(BadParameter, match="no distribution with a power between 0 and 1"):
        value(name, P, T, power=power)


@pytest.mark.parametrize(
    ("power", "pred", "target", "message"),
    [
        (-1, [1, 0], [1, 1], "pred at sample 1 is outside: power=-1 takes predictions > 0"),
        (1, [1, 1, -1], [1, 1, 1], "pred at sample 2"),
        (1.5, [1, 1], [-1, 1], "target at sample 0 is outside: power=1.5 takes targets >= 0"),
        (2, [1, 1], [1, 0], "target at sample 1 is outside: power=2 takes targets > 0"),
    ],
)
def test_tweedie_refuses_what_its_distribution_does_not_give(power, pred, target, message):
    with pytest.raises(OutOfDomain, match=message):
        value("tweedie_deviance", pred, target, power=power)


@pytest.mark.parametrize(
    ("name", "pred", "target"),
    [
        ("poisson_deviance", [0], [1]),
        ("poisson_deviance", [1], [-1]),
        ("gamma_deviance", [1], [0]),
        ("msle", [-1], [0]),
        ("rmsle", [0], [-5]),
    ],
)
def test_numbers_outside_of_the_domain_are_refused(name, pred, target):
    with pytest.raises(OutOfDomain):
        value(name, pred, target)


def test_a_count_of_zero_has_a_deviance():
    assert value("poisson_deviance", [2.5], [0]) == 5
    assert value("keras_poisson", [0.0], [0]) == 0


SCORES = ["r2", "explained_variance", "d2_absolute", "d2_pinball", "d2_tweedie"]


@pytest.mark.parametrize("name", SCORES)
def test_a_score_is_one_for_a_perfect_fit_and_zero_for_a_wrong_constant(name):
    assert value(name, T, T) == 1
    assert value(name, [3, 3, 3], [3, 3, 3]) == 1
    assert value(name, [3, 3, 4], [3, 3, 3]) == 0


@pytest.mark.parametrize("name", [*SCORES, "r2_loss"])
def test_a_score_of_one_sample_is_undefined(name):
    with pytest.raises(NotFinite):
        value(name, [1.0], [2.0])


@pytest.mark.parametrize("name", [*SCORES, "median_ae"])
def test_a_score_is_the_mean_of_its_columns(name):
    pred, target = np.random.default_rng(6).normal(size=(2, 9, 3)) * [1, 10, 100]
    columns = [value(name, pred[:, j], target[:, j]) for j in range(3)]
    assert value(name, pred, target) == pytest.approx(np.mean(columns), rel=1e-12)


@pytest.mark.parametrize("q", [0.1, 0.25, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("n", [4, 7])
def test_no_constant_beats_the_quantile_of_d2_pinball(q, n):
    target = np.random.default_rng(n).normal(size=n)
    pred = np.zeros(n)
    least = min(value("pinball", np.full(n, constant), target, q=q) for constant in target)
    lost = value("pinball", pred, target, q=q)
    assert lost - (1 - value("d2_pinball", pred, target, q=q)) * least == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["r2", "median_ae", "max_error", "nrmse", "wape", "rmsle", "l1_penalty"])
def test_a_property_of_all_samples_has_no_unreduced_values(name):
    with pytest.raises(NoSuchReduction):
        value(name, *([T] if "penalty" in name else [P, T]), options=Options(reduction="none"))


def test_names_with_and_without_loss_are_two_numbers():
    assert LOSSES.get("r2_loss").name == LOSSES.get("R2Loss").name == "r2_loss"
    assert LOSSES.get("r2").name == LOSSES.get("r2_score").name == "r2"
    assert value("r2", P, T) + value("r2_loss", P, T) == 1
