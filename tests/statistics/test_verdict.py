import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lossctl.errors import ShapeMismatch
from lossctl.statistics.power import WinCounts as Tally
from lossctl.statistics.power import rank_correlation, tally, top_share, trimmed_mean, trimming_flips, verdict


@pytest.mark.parametrize(
    ("difference", "p", "word"),
    [(-1, 0.05, "better"), (1, 0.01, "worse"), (-1, 0.051, "undecided"), (1, math.nan, "undecided"), (0, 0.01, "undecided")],
)
def test_verdict(difference, p, word):
    assert verdict(difference, p) == word


def test_identical_is_a_word_of_its_own():
    assert verdict(0.0, 1.0, identical=True) == "identical"
    assert verdict(-1.0, 0.08, alpha=0.1) == "better"


def test_tally():
    assert tally([-1.0, -2, 0, 3]) == Tally(wins=2, ties=1, losses=1)


def test_top_share_by_hand():
    # 1 % of 200 samples are 2: -50 and 40 of a sum of 198 - 10.
    d = np.ones(200)
    d[[3, 70]] = [-50, 40]
    assert top_share(d) == pytest.approx(-10 / 188)
    assert top_share([5.0, 1, -2]) == pytest.approx(5 / 4)
    assert math.isnan(top_share([1.0, -1]))


def test_trimming():
    d = np.full(300, -1.0)
    d[:2] = 500
    assert trimmed_mean(d) == -1.0
    assert trimming_flips(d)
    assert trimming_flips(-d)
    assert not trimming_flips(d[2:])
    # 1 % of fewer than 100 samples is none.
    assert trimmed_mean(d[:99]) == d[:99].mean()
    assert not trimming_flips(d[:99])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=250))
def test_trimmed_mean_is_scipy_s(d):
    assert trimmed_mean(d) == pytest.approx(stats.trim_mean(d, 0.01), rel=1e-9, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=40))
def test_rank_correlation_is_scipy_s(pairs):
    one, other = np.array(pairs, float).T
    if np.ptp(one) and np.ptp(other):
        assert rank_correlation(one, other) == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)
    else:
        assert math.isnan(rank_correlation(one, other))


def test_rank_correlation_at_its_ends():
    assert rank_correlation([1.0, 5, 9], [0.1, 0.2, 7]) == 1.0
    assert rank_correlation([1.0, 5, 9], [3.0, 2, 1]) == -1.0
    with pytest.raises(ShapeMismatch):
        rank_correlation([1.0, 2], [1.0])
