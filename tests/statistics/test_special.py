import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from lossctl.statistics.arrays import beta_tail, binomial_two_sided, normal_cdf, normal_quantile, t_power, t_two_sided, t_upper

degrees = st.one_of(st.integers(1, 100), st.sampled_from([1e3, 1e5, 1e6, 3e6]))


def below(t, df):
    """The probability that Student's t is below t."""
    tail = t_two_sided(t, df) / 2
    return tail if t < 0 else 1 - tail


@given(st.floats(0.1, 500), st.floats(0.1, 500), st.floats(1e-6, 1 - 1e-6))
def test_incomplete_beta(a, b, x):
    assert beta_tail(a, b, x, 1 - x) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-12)


def test_incomplete_beta_at_its_ends():
    assert (beta_tail(2, 3, 0.0, 1.0), beta_tail(2, 3, 1.0, 0.0)) == (0.0, 1.0)
    # I_x(1, 1) = x.
    assert beta_tail(1, 1, 0.25, 0.75) == pytest.approx(0.25, rel=1e-15)


@given(st.floats(-50, 50), degrees)
def test_t(t, df):
    assert below(t, df) == pytest.approx(stats.t.cdf(t, df), rel=1e-8, abs=1e-300)
    assert t_two_sided(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-8, abs=1e-300)


def test_t_by_hand():
    # One degree of freedom is Cauchy's distribution: 1/2 + atan(t) / pi.
    assert below(1, 1) == pytest.approx(0.75, rel=1e-14)
    assert t_two_sided(math.inf, 5) == 0.0


@given(st.floats(1e-8, 0.5), degrees)
def test_t_quantiles(tail, df):
    assert t_upper(tail, df) == pytest.approx(stats.t.isf(tail, df), rel=1e-8, abs=1e-12)


@given(st.integers(0, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_binomial(counts):
    k, n = counts
    expected = stats.binomtest(k, n).pvalue if n else 1.0
    assert binomial_two_sided(k, n) == pytest.approx(expected, rel=1e-9)


def test_binomial_of_many():
    assert binomial_two_sided(499_000, 1_000_000) == pytest.approx(stats.binomtest(499_000, 1_000_000).pvalue, rel=1e-8)


@pytest.mark.parametrize("df", [1, 2, 5, 19, 199, 1999])
@pytest.mark.parametrize("shift", [0.0, 0.5, 2.8, 6.0])
def test_power(df, shift):
    edge = stats.t.isf(0.025, df)
    expected = stats.nct.sf(edge, df, shift) + stats.nct.cdf(-edge, df, shift) if shift else 0.05
    assert t_power(shift, df, 0.05) == pytest.approx(expected, abs=2e-7)


def test_power_of_very_many():
    assert t_power(2.8, 2e6, 0.05) == pytest.approx(t_power(2.8, 9e5, 0.05), abs=1e-5)


@given(st.floats(-30, 30))
def test_normal(x):
    assert normal_cdf(x) == pytest.approx(stats.norm.cdf(x), rel=1e-12)


@given(st.floats(1e-10, 0.5))
def test_normal_quantiles_are_symmetric(p):
    assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-9, abs=1e-12)
    if 1 - (1 - p) == p:
        assert normal_quantile(1 - p) == -normal_quantile(p)


def test_normal_quantiles_at_the_ends():
    assert (normal_quantile(0.0), normal_quantile(1.0)) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("successes", "trials", "p"),
    [(0, 0, 1.0), (0, 1, 1.0), (1, 2, 1.0), (5, 10, 1.0), (4, 9, 1.0), (3, 10, 0.34375), (7, 10, 0.34375), (0, 10, 2 / 1024)],
)
def test_a_count_of_tosses_on_both_sides(successes, trials, p):
    assert binomial_two_sided(successes, trials) == pytest.approx(p, rel=1e-14)
    assert binomial_two_sided(successes, trials) <= 1
