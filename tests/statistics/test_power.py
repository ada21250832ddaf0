import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lossctl.errors import BadParameter
from lossctl.statistics.power import achieved, detectable, equivalent, needed, noninferior


def test_textbook_sample_size():
    # Cohen's medium effect of half a standard deviation: 34 pairs for a power of .8.
    assert needed(0.5, 1 / math.sqrt(10), 10) == 34
    # Small, medium and large effects, as G*Power gives them.
    assert [needed(size, 1 / math.sqrt(20), 20) for size in (0.2, 0.8)] == [199, 15]


@pytest.mark.parametrize("n", [2, 5, 30, 5000, 3_000_000])
def test_what_is_detectable_is_found_four_times_of_five(n):
    error = 0.3
    size = detectable(error, n)
    assert achieved(size, error, n) == pytest.approx(0.8)
    assert achieved(-size, error, n) == pytest.approx(0.8)
    assert needed(size, error, n) in {n, n + 1}


def test_many_samples_are_nearly_normal():
    assert detectable(1.0, 100_000) == pytest.approx(stats.norm.isf(0.025) + stats.norm.isf(0.2), rel=1e-4)


def test_power_is_what_simulation_finds():
    d = np.random.default_rng(0).standard_normal((20_000, 12)) + 0.7
    rejected = stats.ttest_1samp(d, 0, axis=1).pvalue <= 0.05
    assert achieved(0.7, 1 / math.sqrt(12), 12) == pytest.approx(rejected.mean(), abs=0.012)


@given(st.floats(0.01, 10), st.floats(0.01, 10), st.integers(2, 500))
def test_needed_is_the_first_that_is_enough(difference, error, n):
    count = needed(difference, error, n)
    at = lambda units: achieved(difference, error * math.sqrt(n / units), int(units))  # noqa: E731 - as short as its use
    assert at(count) >= 0.8 or math.isclose(at(count), 0.8)
    assert count == 2 or at(count - 1) < 0.8


def test_ends():
    assert needed(0.0, 1.0, 10) == math.inf
    assert needed(1.0, 0.0, 10) == 2
    assert needed(1e-12, 1.0, 10) == math.inf
    assert all(map(math.isnan, (detectable(1.0, 1), achieved(1.0, 1.0, 1), needed(1.0, math.nan, 1))))
    assert (achieved(0.0, 0.0, 9), achieved(1.0, 0.0, 9), detectable(0.0, 9)) == (0.05, 1.0, 0.0)
    assert achieved(0.0, 1.0, 9) == pytest.approx(0.05)


@pytest.mark.parametrize("asked", [{"alpha": 0}, {"alpha": 1.5}, {"power": 1}, {"power": 0.04}])
def test_faults(asked):
    with pytest.raises(BadParameter):
        detectable(1.0, 10, **asked)


@pytest.mark.parametrize(
    ("low", "high", "margin", "not_worse", "same"),
    [
        (-0.5, 0.5, 1.0, "yes", "yes"),
        (-2.0, 0.5, 1.0, "yes", "undecided"),
        (-3.0, -2.0, 1.0, "yes", "no"),
        (0.5, 1.0, 1.0, "undecided", "undecided"),
        (1.0, 2.0, 1.0, "no", "no"),
        (math.nan, math.nan, 1.0, "undecided", "undecided"),
    ],
)
def test_decisions(low, high, margin, not_worse, same):
    assert noninferior(high, margin, low) == not_worse
    assert equivalent(low, high, margin) == same
    assert equivalent(-high, -low, margin) == same


def test_an_upper_end_alone_never_says_no():
    assert noninferior(5.0, 1.0) == "undecided"
