"""The numbers on which ways of calculating part, on both sides of each."""

import math

import numpy as np
import pytest
from scipy import stats

from lossctl.statistics.arrays import MANY, Draws, t_power, t_upper
from lossctl.statistics.flips import flip_test
from lossctl.statistics.intervals import MOST, _grouped
from lossctl.statistics.power import achieved, detectable, needed, top_share, trimmed_mean, trimming_flips


@pytest.mark.parametrize(("resamples", "exact"), [(8191, False), (8192, True), (8193, True), (9999, True)])
def test_all_patterns_of_signs_are_tried_where_they_are_no_more_than_resamples(resamples, exact):
    values = np.random.default_rng(0).normal(size=13)
    test = flip_test(values, Draws(resamples))
    assert test.exact is exact
    assert len(test.null) == (2**13 if exact else resamples)
    assert test.least == (2 / 2**13 if exact else 1 / (resamples + 1))


@pytest.mark.parametrize(("off", "reached"), [(-1e-15, 6), (-1e-9, 4)])
def test_a_score_that_is_less_by_rounding_alone_is_a_tie(off, reached):
    # Of 16 patterns two reach further, two are the given signs or their opposite, and two exchange the samples of 0.1.
    assert flip_test([1.0, 0.1, -0.1 * (1 + off), 0.7]).p[0] == reached / 16


@pytest.mark.parametrize("df", [MANY - 1, MANY, MANY + 1])
@pytest.mark.parametrize("tail", [0.025, 0.05, 1e-6])
def test_quantiles_of_t_on_both_sides_of_a_million_degrees(df, tail):
    assert t_upper(tail, df) == pytest.approx(stats.t.isf(tail, df), rel=1e-7)


@pytest.mark.parametrize("df", [MANY, MANY + 1])
def test_power_on_both_sides_of_a_million_degrees(df):
    edge = stats.norm.isf(0.025)
    assert t_power(2.0, df, 0.05) == pytest.approx(stats.norm.sf(edge - 2) + stats.norm.cdf(-edge - 2), abs=1e-5)


@pytest.mark.parametrize(("size", "endless"), [(9e-8, False), (8.8e-8, True)])
def test_more_than_a_thousand_million_million_samples_are_no_plan(size, endless):
    # The normal distribution asks for (1.96 + 0.84)^2 / size^2 of them.
    count = needed(size, 1 / math.sqrt(100), 100)
    assert math.isinf(count) is endless
    if not endless:
        assert count == pytest.approx((stats.norm.isf(0.025) + stats.norm.isf(0.2)) ** 2 / size**2, rel=1e-5)


@pytest.mark.parametrize(("units", "known"), [(1, False), (2, True)])
def test_one_unit_has_no_power(units, known):
    for figure in (achieved(1.0, 1.0, units), detectable(1.0, units), needed(1.0, 1.0, units)):
        assert math.isnan(figure) is not known


@pytest.mark.parametrize(("alpha", "power", "fits"), [(0.05, 0.06, True), (0.05, 0.05, False), (0.2, 0.1, False)])
def test_a_power_lies_above_alpha(alpha, power, fits):
    if fits:
        assert detectable(1.0, 10, alpha, power) > 0
    else:
        with pytest.raises(Exception, match="no more than alpha"):
            detectable(1.0, 10, alpha, power)


@pytest.mark.parametrize(("n", "counted"), [(1, 1), (100, 1), (101, 2), (200, 2), (201, 3)])
def test_the_top_hundredth_is_rounded_up(n, counted):
    values = np.arange(1.0, n + 1)
    assert top_share(values) == pytest.approx(values[-counted:].sum() / values.sum(), rel=1e-12)


@pytest.mark.parametrize(("n", "cut"), [(99, 0), (100, 1), (199, 1), (200, 2)])
def test_a_trimmed_hundredth_is_rounded_down(n, cut):
    values = np.arange(n) ** 2.0
    assert trimmed_mean(values) == pytest.approx(values[cut : n - cut].mean(), rel=1e-12)


def test_no_winner_flips_where_a_mean_is_zero():
    assert not trimming_flips([1.0, -1.0])
    assert not trimming_flips(np.concatenate([[50.0], np.zeros(199), [-50.0]]))


def test_many_samples_are_resampled_in_groups_of_the_same_total():
    few, many = (np.random.default_rng(1).normal(size=(count, 2)) for count in (MOST, MOST + 1))
    assert _grouped(few, Draws()) is few
    grouped = _grouped(many, Draws())
    assert len(grouped) == (MOST + 1) // 2
    assert grouped.sum(axis=0) == pytest.approx(many.sum(axis=0), rel=1e-9)
