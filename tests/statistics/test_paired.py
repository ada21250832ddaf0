import builtins
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lossctl.errors import BadParameter, MissingExtra, NothingLeft
from lossctl.statistics.arrays import diebold_mariano, mcnemar, paired_t, wilcoxon
from lossctl.statistics.sums import Moments


def moments(d):
    return Moments(len(d), float(np.mean(d)), float(np.sum((d - np.mean(d)) ** 2)))


@given(st.lists(st.floats(-100, 100).map(lambda x: round(x, 2)), min_size=2, max_size=30))
def test_paired_t_is_scipy_s(d):
    d = np.array(d)
    found = paired_t(moments(d))
    if np.ptp(d) > 0:
        theirs = stats.ttest_rel(d, np.zeros(len(d)))
        assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-6, abs=1e-9)
        assert found.error == pytest.approx(stats.sem(d), rel=1e-9)


def test_paired_t_of_merged_parts():
    d = np.random.default_rng(0).standard_normal(1000) + 0.05
    merged = moments(d[:300]).merge(moments(d[300:]))
    assert paired_t(merged).p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("given", "p", "statistic", "identical"),
    [
        (Moments(1, 2.0, 0.0), 1.0, math.nan, False),
        (Moments(9, 0.0, 0.0), 1.0, 0.0, True),
        (Moments(9, -2.0, 0.0), 0.0, -math.inf, False),
    ],
)
def test_paired_t_at_its_ends(given, p, statistic, identical):
    found = paired_t(given)
    assert (found.p, found.identical) == (p, identical)
    np.testing.assert_equal(found.statistic, statistic)


def test_paired_t_of_nothing():
    with pytest.raises(NothingLeft):
        paired_t(Moments())


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test(worse, better):
    found = mcnemar(worse, better)
    assert found.p == pytest.approx(stats.binomtest(worse, worse + better).pvalue if worse + better else 1.0)
    assert found.p == mcnemar(better, worse).p
    assert found.identical == (worse + better == 0)


def test_mcnemar_by_hand():
    # Of 5 samples that differ, all are worse: 2 / 2^5.
    found = mcnemar(5, 0)
    assert (found.p, found.difference) == (pytest.approx(0.0625), 0.5)
    with pytest.raises(BadParameter):
        mcnemar(-1, 2)


def test_diebold_mariano_of_one_step_is_student_s_t():
    # With one step, the correction turns the variance by n into that by n - 1.
    d = np.random.default_rng(1).standard_normal(30) + 0.4
    theirs = stats.ttest_1samp(d, 0)
    found = diebold_mariano(d)
    assert (found.statistic, found.p, found.df) == pytest.approx((theirs.statistic, theirs.pvalue, 29))


def test_diebold_mariano_by_hand():
    # Mean 2, deviations -1 0 1 0 ...: of 1 2 3 2 1 2 3 2 the variance is 1/2, the first autocovariance 0.
    d = [1, 2, 3, 2, 1, 2, 3, 2]
    found = diebold_mariano(d, horizon=2)
    correction = (8 + 1 - 4 + 2 / 8) / 8
    assert found.statistic == pytest.approx(2 / math.sqrt(0.5 / 8) * math.sqrt(correction))
    assert found.p == pytest.approx(2 * stats.t.sf(found.statistic, 7))
    # The second autocovariance is -6/16: weights 1, 2/3, 1/3 leave 1/2 - 2/8.
    bartlett = diebold_mariano(d, kernel="bartlett", lags=2)
    assert bartlett.error == pytest.approx(math.sqrt(0.25 / 8) / math.sqrt(7 / 8))


def test_diebold_mariano_without_a_positive_variance():
    # 1/2 - 2 * 6/16 < 0 with three whole lags.
    found = diebold_mariano([1, 2, 3, 2, 1, 2, 3, 2], horizon=3)
    assert found.note.startswith("bartlett")
    assert found.statistic == pytest.approx(2 / math.sqrt(0.25 / 8) * math.sqrt((8 + 1 - 6 + 6 / 8) / 8))


def test_correlated_differences_are_less_sure():
    random = np.random.default_rng(2)
    d = np.convolve(random.standard_normal(203), np.ones(4) / 2, "valid") + 0.2
    assert diebold_mariano(d, horizon=4).p > 2 * diebold_mariano(d).p
    assert diebold_mariano(d, horizon=4).p == diebold_mariano(-d, horizon=4).p


def test_diebold_mariano_of_constants():
    assert (diebold_mariano([0.0] * 5).p, diebold_mariano([0.0] * 5).identical) == (1.0, True)
    assert diebold_mariano([0.1] * 5, horizon=2).p == 0.0


@pytest.mark.parametrize("asked", [{"horizon": 0}, {"horizon": 5}, {"lags": 4}, {"lags": -1}])
def test_diebold_mariano_of_too_few(asked):
    with pytest.raises(BadParameter, match="5 samples"):
        diebold_mariano([1.0, 2, 3, 4, 6], **asked)


def test_wilcoxon():
    d = np.random.default_rng(3).standard_normal(25) + 0.3
    assert wilcoxon(d).p == stats.wilcoxon(d).pvalue
    assert (wilcoxon(np.zeros(3)).p, wilcoxon(np.zeros(3)).identical) == (1.0, True)


def test_wilcoxon_without_scipy(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="scipy"):
        wilcoxon([1.0, 2])


def test_diebold_mariano_without_a_positive_variance_where_some_differences_are_zero():
    found = diebold_mariano([0, 1, 2, 1, 0, 1, 2, 1], horizon=3)
    assert found.note.startswith("bartlett")
    assert not found.identical
    none = diebold_mariano([0, 0, 0, 0, 0, 0], horizon=3)
    assert (none.note, none.identical) == ("", True)
