import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lossctl.errors import BadParameter, NotFinite
from lossctl.statistics.arrays import Draws
from lossctl.statistics.intervals import METHODS, bootstrap_mean, bootstrap_sums, interval, quantile

FEW = Draws(resamples=199)


def skewed(n, k=1, seed=0):
    return np.random.default_rng(seed).exponential(size=(n, k)) - 0.5


def ends(bootstrap, level=0.95, method="bca"):
    found = interval(bootstrap, level, method)
    return float(found.low[0]), float(found.high[0])


@pytest.mark.parametrize("n", [30, 200])
@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_intervals_are_scipy_s(n, method):
    d = skewed(n)[:, 0]
    theirs = stats.bootstrap((d,), np.mean, n_resamples=9999, method=method, rng=np.random.default_rng(1))
    ours = ends(bootstrap_mean(d), method=method)
    # The Monte-Carlo error of a 1 % point of 9 999 normal values is about 0.04 standard deviations, and BCa's bias adds some.
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=5 * 0.05 * stats.sem(d))


def test_skewness_error_and_acceleration_are_the_closed_forms():
    d = skewed(40)[:, 0]
    found = bootstrap_mean(d, FEW)
    assert found.error[0] == pytest.approx(stats.sem(d))
    assert found.skewness[0] == pytest.approx(stats.skew(d))
    again = bootstrap_sums(np.stack([d, np.ones(40)], axis=1), lambda sums: sums[:, 0] / sums[:, 1], FEW)
    assert (again.error[0], again.skewness[0]) == pytest.approx((found.error[0], found.skewness[0]))
    np.testing.assert_allclose(again.values, found.values)


def test_t_interval():
    d = skewed(20)[:, 0]
    theirs = stats.ttest_1samp(d, 0).confidence_interval(0.9)
    assert ends(bootstrap_mean(d, FEW), 0.9, "t") == pytest.approx((theirs.low, theirs.high))


def test_bootstrap_t_leans_to_the_tail():
    d = skewed(50)[:, 0]
    found = bootstrap_mean(d, spread=True)
    low, high = ends(found, method="bootstrap-t")
    assert high - d.mean() > d.mean() - low
    # Over resamples, the studentised mean of normal values is as Student says.
    normal = bootstrap_mean(np.random.default_rng(2).standard_normal(400), spread=True)
    assert ends(normal, method="bootstrap-t") == pytest.approx(ends(normal, method="t"), abs=0.02)


def test_resamples_have_the_mean_and_error_of_the_samples():
    d = skewed(300)[:, 0]
    values = bootstrap_mean(d).values[:, 0]
    assert values.mean() == pytest.approx(d.mean(), abs=4 * stats.sem(d) / 100)
    assert values.std() == pytest.approx(stats.sem(d), rel=0.03)


@given(st.integers(2, 60), st.integers(1, 4), st.integers(0, 99), st.sampled_from(METHODS))
def test_negated_differences_have_negated_intervals(n, k, seed, method):
    d = skewed(n, k, seed)
    one, other = (interval(bootstrap_mean(each, FEW, spread=True), 0.9, method) for each in (d, -d))
    np.testing.assert_array_equal(one.low, -other.high)
    np.testing.assert_array_equal(one.high, -other.low)
    assert np.all(one.low <= one.high)


@given(st.integers(2, 300), st.integers(0, 99))
def test_neither_columns_nor_threads_nor_more_resamples_change_a_bit(n, seed):
    d = skewed(n, 3, seed)
    whole = bootstrap_mean(d, Draws(resamples=100, seed=seed, jobs=2))
    for column in range(3):
        alone = bootstrap_mean(d[:, column], Draws(resamples=41, seed=seed))
        np.testing.assert_array_equal(whole.values[:41, column], alone.values[:, 0])
        assert alone.error[0] == whole.error[column]


def test_random_groups_of_many_samples():
    d = skewed(40_000)[:, 0]
    found = bootstrap_mean(d, Draws(resamples=1999))
    assert found.units == 40_000
    assert found.error[0] == pytest.approx(stats.sem(d))
    assert found.values.mean() == pytest.approx(d.mean(), abs=4 * stats.sem(d) / math.sqrt(1999))
    assert found.values.std() == pytest.approx(stats.sem(d), rel=0.06)


def test_random_groups_of_sums():
    # All samples are 1 but for noise: groups of unequal size would shake the sum.
    terms = np.ones((20_000, 2)) + np.random.default_rng(0).standard_normal((20_000, 2)) * [0.01, 0]
    found = bootstrap_sums(terms, lambda sums: sums, Draws(resamples=999))
    assert found.values[:, 0].std() == pytest.approx(0.01 * math.sqrt(20_000), rel=0.1)
    np.testing.assert_allclose(found.values[:, 1], 20_000)


def test_difference_of_rmse():
    errors = np.random.default_rng(5).standard_normal((400, 2)) ** 2 * [1, 1.5]
    finish = lambda sums: np.sqrt(sums[:, 1] / 400) - np.sqrt(sums[:, 0] / 400)  # noqa: E731 - as short as its use

    def statistic(one, other):
        return np.sqrt(other.mean()) - np.sqrt(one.mean())

    theirs = stats.bootstrap(
        (errors[:, 0], errors[:, 1]), statistic, paired=True, vectorized=False, n_resamples=1999, rng=np.random.default_rng(1)
    )
    ours = bootstrap_sums(errors, finish)
    assert ours.error[0] == pytest.approx(theirs.standard_error, rel=0.1)
    assert ends(ours) == pytest.approx(tuple(theirs.confidence_interval), abs=0.3 * theirs.standard_error)


def test_clusters():
    random = np.random.default_rng(6)
    clusters = np.repeat(np.arange(80), 5)
    d = random.standard_normal(80)[clusters] + 0.1 * random.standard_normal(400)
    plain, clustered = bootstrap_mean(d), bootstrap_mean(d, clusters=clusters, spread=True)
    assert (plain.units, clustered.units) == (400, 80)
    means = d.reshape(80, 5).mean(axis=1)
    assert clustered.error[0] == pytest.approx(stats.sem(means))
    assert clustered.values.std() == pytest.approx(stats.sem(means), rel=0.05)
    assert clustered.error[0] > 2 * plain.error[0]
    np.testing.assert_allclose(clustered.values, bootstrap_mean(means).values, rtol=1e-9)
    np.testing.assert_allclose(clustered.spread, bootstrap_mean(means, spread=True).spread, rtol=1e-9)


def test_unequal_clusters_resample_a_ratio():
    found = bootstrap_mean([1.0, 1, 1, 5], FEW, clusters=[0, 0, 0, 1])
    # Both clusters, the first twice, the second twice.
    assert {round(value, 9) for value in found.values[:, 0].tolist()} == {2.0, 1.0, 5.0}


def test_identical_systems_have_no_width():
    assert {ends(bootstrap_mean(np.zeros(9), FEW, spread=True), method=method) for method in METHODS} == {(0.0, 0.0)}
    assert ends(bootstrap_mean(np.full(9, 0.5), FEW)) == (0.5, 0.5)


def test_flags():
    found = bootstrap_mean(np.stack([np.arange(49.0), np.eye(49)[0]], axis=1), FEW)
    assert (found.small, found.skewed.tolist()) == (True, [False, True])
    assert not bootstrap_mean(np.arange(50.0), FEW).small


def test_resamples_without_a_value_are_left_out():
    terms = np.array([[1.0, 1], [2, 0], [3, 0]])
    found = bootstrap_sums(terms, lambda sums: sums[:, 0] / sums[:, 1], Draws(resamples=999))
    # All three draws miss the first sample in 8 of 27 resamples.
    assert found.lost[0] / 999 == pytest.approx(8 / 27, abs=0.06)
    assert all(map(math.isfinite, ends(found)))


def test_quantiles_by_hand():
    values = np.array([1.0, 2, 4])
    # 3 values have ranks 1/4, 2/4 and 3/4.
    assert quantile(values, 0.0) == 2.0
    assert quantile(values, stats.norm.ppf(0.375)) == pytest.approx(1.5)
    assert quantile(values, stats.norm.ppf(0.625)) == pytest.approx(3.0)
    assert (quantile(values, -math.inf), quantile(values, math.inf)) == (1.0, 4.0)
    assert math.isnan(quantile(values[:0], 0.0))


@pytest.mark.parametrize("asked", [{"method": "bcaa"}, {"level": 95}, {"method": "bootstrap-t"}])
def test_faults(asked):
    with pytest.raises(BadParameter):
        interval(bootstrap_mean([1.0, 2], FEW), **asked)
    with pytest.raises(NotFinite, match="sample 1"):
        bootstrap_mean([1.0, math.nan])


@pytest.mark.parametrize("level", [0, 1, -0.5, 1.5, float("nan")])
def test_a_level_lies_between_0_and_1(level):
    with pytest.raises(BadParameter, match="cannot have the level"):
        interval(bootstrap_mean(np.arange(5.0)), level)


def test_levels_close_to_0_and_1_are_levels():
    bootstrap = bootstrap_mean(np.arange(9.0))
    narrow, wide = interval(bootstrap, 0.01), interval(bootstrap, 0.99)
    assert wide.low[0] < narrow.low[0] <= narrow.high[0] < wide.high[0]
