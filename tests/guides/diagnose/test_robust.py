import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, stats

from lossctl.guides.diagnose import history as robust

VALUES = arrays(np.float64, st.integers(2, 60), elements=st.floats(-100, 100))


@given(VALUES)
def test_falling_is_scipy_s_isotonic_regression(values):
    theirs = optimize.isotonic_regression(values, increasing=False).x
    np.testing.assert_allclose(robust.falling(values), theirs, atol=1e-9)


@given(arrays(np.float64, st.integers(3, 40), elements=st.floats(-100, 100), unique=True))
def test_kendall_is_scipy_s_tau(values):
    tau, _ = robust.kendall(values)
    assert tau == pytest.approx(stats.kendalltau(np.arange(len(values)), values).statistic)


def test_kendall_s_z_is_that_of_mann():
    _, z = robust.kendall(np.array([3.0, 1, 2, 5, 4]))
    assert z == pytest.approx((4 - 1) / np.sqrt(5 * 4 * 15 / 18))
    assert robust.kendall(np.ones(1)) == (0.0, 0.0)
    assert robust.kendall(np.ones(9)) == (0.0, 0.0)


def test_spread_and_noise_of_normal_values():
    values = 3 * np.random.default_rng(1).standard_normal(20_000)
    assert robust.spread(values) == pytest.approx(3, rel=0.03)
    assert robust.noise(values + np.linspace(0, 1e3, 20_000)) == pytest.approx(3, rel=0.03)
    assert robust.spread(np.empty(0)) == 0


def test_spread_is_not_moved_by_outliers():
    values = np.random.default_rng(1).standard_normal(1000)
    values[:100] = 1e9
    assert robust.spread(values) == pytest.approx(1, rel=0.25)


@pytest.mark.parametrize("count", [5, 39, 40, 41, 1000])
def test_medians_of_blocks(count):
    found = robust.medians(np.arange(float(count)), 40)
    assert len(found) == min(count, 40)
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("count", [13_000, 20_001])
def test_a_period_of_two_is_seen_in_a_long_curve(count):
    waves = (-1.0) ** np.arange(count)
    spread, crossings = robust.unsteady(waves)
    assert spread == pytest.approx(1.4826, rel=0.01)
    assert crossings > 3000


def test_a_step_up_crosses_its_falling_curve_rarely():
    values = np.append(np.zeros(100), np.ones(100)) + 0.01 * np.random.default_rng(0).standard_normal(200)
    assert robust.unsteady(values)[1] <= 2


def test_windows_are_running_medians():
    assert robust.windows(np.array([1.0, 9, 2, 8, 3]), 3).tolist() == [2, 8, 3]
