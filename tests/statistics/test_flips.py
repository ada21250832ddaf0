import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from lossctl.errors import NotFinite, NothingLeft, ShapeMismatch
from lossctl.statistics import flips as signs
from lossctl.statistics.arrays import Draws, mcnemar
from lossctl.statistics.flips import flip_test

ALL = Draws(resamples=1 << 13)
SOME = Draws(resamples=999)
numbers = st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda x: round(x, 3))


def by_hand(d):
    """The exact p-value by the textbook: all signs, Student's t of each."""
    flips = np.array(list(itertools.product((-1, 1), repeat=len(d)))) * d
    sums, squares = np.abs(flips.sum(axis=1)), np.sum(d * d)
    return np.mean(sums >= abs(d.sum()) - 1e-9 * np.sqrt(squares))


def test_three_samples_by_hand():
    # Of the 8 patterns of signs of 1, 2, 3, two have a sum of size 6: 2 / 8.
    found = flip_test([1.0, 2, 3])
    assert (found.exact, found.units, found.p[0], found.least) == (True, 3, 0.25, 0.25)
    assert found.difference[0] == 2.0
    # The standard deviation is 1.
    assert found.statistic[0] == pytest.approx(2 * np.sqrt(3))
    # 1, 2, -3 sums to 0, as nothing can be nearer.
    assert flip_test([1.0, 2, -3]).p[0] == 1.0


@given(st.lists(numbers, min_size=2, max_size=10))
def test_exact_p_is_that_of_all_signs(d):
    assert flip_test(d, ALL).p[0] == by_hand(np.array(d))


@given(arrays(float, st.tuples(st.integers(1, 20), st.integers(1, 3)), elements=numbers), st.randoms())
def test_what_changes_nothing(d, random):
    found = flip_test(d, SOME)
    for other, sign in ((-d, -1), (d * 0.125, 1), (d * 2.0**600, 1)):
        again = flip_test(other, SOME)
        np.testing.assert_array_equal(found.p, again.p)
        np.testing.assert_array_equal(found.adjusted, again.adjusted)
        np.testing.assert_allclose(found.statistic, sign * again.statistic)
    if found.exact:
        order = list(range(len(d)))
        random.shuffle(order)
        np.testing.assert_array_equal(found.p, flip_test(d[order], SOME).p)


@given(st.integers(1, 300), st.integers(2, 5), st.integers(0, 5))
def test_a_column_has_the_same_p_next_to_others(n, k, seed):
    d = np.random.default_rng(seed).standard_normal((n, k))
    draws = Draws(resamples=99, seed=seed)
    together = flip_test(d, draws)
    for column in range(k):
        alone = flip_test(d[:, column], draws)
        assert (alone.p[0], alone.statistic[0]) == (together.p[column], together.statistic[column])
        np.testing.assert_array_equal(alone.null[:, 0], together.null[:, column])


def test_chunks_change_no_bit(monkeypatch):
    d = np.random.default_rng(0).standard_normal((700, 3))
    whole = flip_test(d, SOME)
    monkeypatch.setattr(signs, "CACHED", 21)
    np.testing.assert_array_equal(whole.null, flip_test(d, SOME).null)


def test_more_resamples_and_more_samples_begin_with_the_same_flips():
    d = np.random.default_rng(0).standard_normal((300, 1))
    few, many = (signs.flipped(d, Draws(resamples=count))[1] for count in (50, 81))
    np.testing.assert_array_equal(few, many[:50])
    longer = np.concatenate([d, np.zeros((500, 1))])
    np.testing.assert_array_equal(few, signs.flipped(longer, Draws(resamples=50))[1])


def test_signs_are_those_of_the_words():
    # Values that are powers of two show in their sum which signs they had.
    values = 2.0 ** np.arange(40)[:, None]
    words = Draws(resamples=64).words("flips", 0, 256)[::4]
    _, sums, exact = signs.flipped(values, Draws(resamples=64))
    kept = ((sums[:, 0] + values.sum()) / 2).astype(np.uint64)
    assert not exact
    np.testing.assert_array_equal(kept, words & np.uint64(2**40 - 1))
    assert 0.4 < np.mean([int(word).bit_count() for word in words]) / 64 < 0.6


def test_seeds_give_other_flips():
    d = np.random.default_rng(0).standard_normal(50)
    one, other = (flip_test(d, Draws(resamples=999, seed=seed)) for seed in (0, 1))
    assert not np.array_equal(one.null, other.null)
    assert one.p[0] == pytest.approx(other.p[0], abs=0.1)


@pytest.mark.parametrize("n", [12, 40])
def test_p_agrees_with_scipy_s(n):
    d = np.random.default_rng(n).standard_normal(n) + 0.3
    ours = flip_test(d)
    theirs = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(1))
    assert ours.exact == (n == 12)
    assert ours.p[0] == pytest.approx(theirs.pvalue, abs=1e-12 if ours.exact else 4 * np.sqrt(2 * 0.25 / 9999))
    assert ours.statistic[0] == pytest.approx(stats.ttest_1samp(d, 0).statistic)


def test_random_p_counts_the_observed_value():
    # No flip of 40 equal differences can reach the observed sum by chance: 0 + 1 of 9 999 + 1.
    found = flip_test(np.ones(40))
    assert (found.p[0], found.least, found.statistic[0]) == (1e-4, 1e-4, np.inf)


def test_identical_systems():
    found = flip_test(np.stack([np.zeros(30), np.full(30, -0.1)], axis=1))
    assert found.identical.tolist() == [True, False]
    assert found.p[0] == found.adjusted[0] == 1.0
    assert found.statistic.tolist() == [0.0, -np.inf]


@pytest.mark.parametrize(("d", "statistic"), [([0.0], 0.0), ([-3.0], -np.inf)])
def test_one_sample_decides_nothing(d, statistic):
    found = flip_test(d)
    assert (found.p[0], found.statistic[0], found.exact) == (1.0, statistic, True)


def test_ties_broken_by_rounding_count():
    # 0.1 + 0.2 - 0.3 is not 0 in floats, but flips that give 0 in numbers must count as reaching it, and it them.
    d = np.array([0.1, 0.2, -0.3, 0.1, 0.2, -0.3])
    assert flip_test(d).p[0] == 1.0


def test_zero_one_losses_have_mcnemar_s_p():
    d = np.array([1] * 9 + [-1] * 2 + [0] * 2)
    assert flip_test(d, ALL).p[0] == pytest.approx(mcnemar(9, 2).p, rel=1e-12)


def test_clusters_are_flipped_as_one():
    d = np.array([[1.0, 2], [2, 0], [3, 1], [-1, 5]])
    found = flip_test(d, clusters=[7, 7, 3, 3])
    sums = flip_test([[2.0, 6], [3, 2]])
    np.testing.assert_array_equal(found.p, sums.p)
    np.testing.assert_array_equal(found.statistic, sums.statistic)
    np.testing.assert_array_equal(found.difference, d.mean(axis=0))
    assert found.units == 2
    alone = flip_test(d, clusters=range(4))
    np.testing.assert_array_equal(alone.p, flip_test(d).p)


@pytest.mark.parametrize(
    ("d", "clusters", "error"),
    [
        ([], None, NothingLeft),
        ([[]], None, NothingLeft),
        ([[[1.0]]], None, ShapeMismatch),
        ([1.0, np.nan], None, NotFinite),
        ([np.inf], None, NotFinite),
        ([1.0, 2], [0], ShapeMismatch),
    ],
)
def test_faults(d, clusters, error):
    with pytest.raises(error):
        flip_test(d, clusters=clusters)
