"""Figures against NumPy and SciPy, by hand, and at the ends of the range of numbers."""

import math

import numpy as np
import pytest
from arrays import drawn, facts
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as any_arrays
from scipy import stats

from lossctl.statistics.ordered import MOST, rank_correlation, ranked_above, share_of_top, tail
from lossctl.statistics.ordered import sample_spread as spread


@given(any_arrays(np.float64, st.integers(2, 60), elements=st.floats(-1e6, 1e6)))
def test_counts_and_moments_are_numpy_s(values):
    found = facts(values)
    assert (found["low"], found["high"], found["n"]) == (values.min(), values.max(), values.size)
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-12, abs=1e-9)
    assert found["std"] == pytest.approx(values.std(ddof=1), rel=1e-9, abs=1e-9)
    assert found["distinct"] == np.unique(values).size
    assert found["zero_share"] == np.mean(values == 0)
    assert found["negative_share"] == np.mean(values < 0)
    assert found["median"] == np.median(values)


@pytest.mark.parametrize("name", ["prices", "values", "sales", "softmax"])
def test_skew_and_kurtosis_are_scipy_s(name):
    values = drawn(name, 5000).reshape(-1)
    found = facts(values)
    assert found["skew"] == pytest.approx(stats.skew(values), rel=1e-10)
    assert found["kurtosis"] == pytest.approx(stats.kurtosis(values), rel=1e-10)
    assert found["mad"] == pytest.approx(1.4826 * stats.median_abs_deviation(values))
    assert found["dispersion"] == pytest.approx(values.var() / values.mean())


def test_a_large_mean_hides_no_moment():
    values = np.random.default_rng(0).gamma(2, size=5000)
    plain, moved = facts(values), facts(values + 1e7)
    assert moved["skew"] == pytest.approx(plain["skew"], rel=1e-5)
    assert moved["kurtosis"] == pytest.approx(plain["kurtosis"], rel=1e-5)


def test_missing_values_are_counted_and_left_out():
    found = facts([1.0, np.nan, 3.0, np.inf, -np.inf])
    assert (found["missing"], found["nan"], found["infinite"], found["elements"]) == (3, 1, 2, 5)
    assert (found["low"], found["high"], found["mean"], found["median"]) == (1, 3, 2, 2)
    assert found["sorted"] is False


@pytest.mark.parametrize("values", [[1e300, -1e300, 1e299], [1e-300, 2e-300, 4e-300]])
def test_the_ends_of_the_range_give_facts_or_none(values):
    found = facts(values)
    assert found["mean"] == pytest.approx(np.mean(values))
    assert all(value is None or math.isfinite(value) for value in found.values.values() if isinstance(value, float))


def test_whole_numbers_keep_all_their_digits():
    found = facts(np.array([2**62 + 1, 2**62 + 3]))
    assert (found["low"], found["high"], found["levels"]) == (2**62 + 1, 2**62 + 3, [2**62 + 1, 2**62 + 3])


@pytest.mark.parametrize(("n", "distinct"), [(1000, 1000), (1001, None)])
def test_distinct_values_are_counted_to_a_thousand(n, distinct):
    assert facts(np.arange(n) / 7)["distinct"] == distinct
    assert facts(np.repeat(np.arange(n), 400))["distinct"] == distinct


def test_class_balance_by_hand():
    found = facts([0] * 4 + [1] * 2 + [2] * 2)
    assert (found["classes"], found["class_counts"], found["imbalance"]) == (3, [4, 2, 2], 2)
    assert (found["smallest_share"], found["entropy"]) == (0.25, 1.5)


def test_columns_are_classes_too():
    found = facts(np.eye(3)[[0, 0, 0, 1, 2, 2]])
    assert (found["class_counts"], found["column_means"]) == ([3, 1, 2], [0.5, 1 / 6, 1 / 3])
    assert (found["row_sum_low"], found["row_sum_high"], found["columns"]) == (1, 1, 3)


def test_the_foreground_of_masks():
    mask = np.zeros((2, 5, 5))
    mask[0, 0] = 1
    assert facts(mask)["foreground_share"] == pytest.approx(0.1)
    assert facts(mask * 255)["positive_share"] == pytest.approx(0.1)


def test_intermittent_demand_by_hand():
    found = facts([0, 0, 3, 0, 0, 0, 5, 0, 4.0])
    assert found["adi"] == 3
    assert found["cv2"] == pytest.approx((2 / 3) / 16)


@pytest.mark.parametrize(("values", "ordered"), [([1, 2, 2], True), ([3, 2, 0], True), ([1, 3, 2], False), ([5], True)])
def test_order(values, ordered):
    assert facts(values)["sorted"] is ordered


def test_the_tail_index_of_pareto_is_found():
    rng = np.random.default_rng(0)
    heavy, light = (tail(rng.pareto(alpha, 60_000)) for alpha in (1.5, 6))
    assert heavy == pytest.approx(1.5, rel=0.1)
    assert light > 2.5
    assert tail(np.ones(1000)) is None
    assert tail(rng.pareto(2, 150)) is None


def test_outliers_are_what_lies_far_from_the_median():
    values = np.r_[np.random.default_rng(0).normal(size=990), np.full(10, 50.0)]
    assert spread(values)["outlier_share"] == pytest.approx(0.01, abs=0.003)
    assert spread(np.r_[np.zeros(60), np.arange(5)])["outlier_share"] is None


def test_medians_of_many_come_from_a_sample_that_never_changes():
    values = np.random.default_rng(0).normal(3, 2, 3 * MOST)
    found = facts(values)
    assert found["sampled"] is True
    assert found["median"] == pytest.approx(3, abs=0.05)
    assert found["mad"] == pytest.approx(2, rel=0.03)
    assert found == facts(values)
    assert facts(values[:MOST])["sampled"] is False


@given(any_arrays(np.float64, 12, elements=st.integers(0, 5)), any_arrays(np.float64, 12, elements=st.integers(0, 5)))
def test_rank_correlation_is_scipy_s(x, y):
    found = rank_correlation(x, y)
    if found is None:
        assert len({*x}) == 1 or len({*y}) == 1
    else:
        assert found == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_the_area_under_the_curve_counts_ties_half():
    assert ranked_above(np.array([1.0, 2, 2, 3]), np.array([False, False, True, True])) == 0.875
    assert ranked_above(np.ones(3), np.ones(3, bool)) is None


def test_the_share_of_the_largest():
    assert share_of_top(np.r_[np.ones(199), 101]) == pytest.approx(102 / 300)
    assert share_of_top(np.zeros(3)) is None
