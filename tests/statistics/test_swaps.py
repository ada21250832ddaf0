import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.errors import NotFinite, ShapeMismatch
from lossctl.statistics.arrays import Draws
from lossctl.statistics.flips import flip_test, swap_test


def rmse(sums):
    return np.sqrt(sums[:, 0] / sums[:, 1])


def ratio(sums):
    return sums[:, 0] / sums[:, 1]


def errors(n, seed, systems=1):
    """Squared errors and weights of a baseline and some systems."""
    random = np.random.default_rng(seed)
    weights = random.uniform(0.5, 2, n)
    return np.stack([np.stack([random.standard_normal(n) ** 2 * weights, weights], axis=1) for _ in range(systems + 1)])


@pytest.mark.parametrize("seed", range(4))
def test_exact_p_is_that_of_all_swaps(seed):
    first, other = errors(7, seed)
    differences = []
    for swap in itertools.product((False, True), repeat=7):
        mine = np.where(np.array(swap)[:, None], first, other)
        theirs = np.where(np.array(swap)[:, None], other, first)
        differences.append(rmse(mine.sum(axis=0)[None])[0] - rmse(theirs.sum(axis=0)[None])[0])
    found = swap_test(first, other, rmse)
    assert found.exact
    assert found.difference[0] == pytest.approx(differences[0], rel=1e-12)
    assert found.p[0] == np.mean(np.abs(differences) >= abs(differences[0]) - 1e-12)


@given(st.integers(2, 12), st.integers(0, 99))
def test_of_plain_means_it_is_the_sign_flip_test(n, seed):
    losses = np.random.default_rng(seed).exponential(size=(2, n, 1)).round(2)
    found = swap_test(losses[0], losses[1], lambda sums: sums[:, 0] / n)
    assert found.p[0] == flip_test(losses[1] - losses[0]).p[0]


@given(st.integers(1, 40), st.integers(0, 99))
def test_exchanging_the_systems_changes_the_sign_alone(n, seed):
    first, other = errors(n, seed)
    draws = Draws(resamples=199)
    one, two = swap_test(first, other, rmse, draws), swap_test(other, first, rmse, draws)
    assert (one.p[0], one.difference[0], one.statistic[0]) == (two.p[0], -two.difference[0], -two.statistic[0])


def test_several_systems_share_the_flips():
    first, *others = errors(50, 1, systems=3)
    found = swap_test(first, np.stack(others), rmse)
    assert found.p.shape == found.adjusted.shape == (3,)
    for column, other in enumerate(others):
        alone = swap_test(first, other, rmse)
        np.testing.assert_array_equal(alone.null[:, 0], found.null[:, column])
        assert alone.p[0] == found.p[column]
    assert np.all(found.adjusted >= found.p)


def test_a_clearly_worse_system():
    first, other = errors(200, 2)
    found = swap_test(first, other * [4, 1], rmse)
    assert found.p[0] == 1e-4
    assert found.difference[0] > 0.5


def test_identical_systems():
    first, _ = errors(30, 3)
    found = swap_test(first, first, rmse)
    assert (found.p[0], found.adjusted[0], found.identical[0], found.difference[0]) == (1.0, 1.0, True, 0.0)


def test_clusters_are_swapped_as_one():
    first, other = errors(6, 4)
    found = swap_test(first, other, rmse, clusters=[0, 0, 1, 1, 2, 2])
    summed = [each.reshape(3, 2, 2).sum(axis=1) for each in (first, other)]
    assert found.units == 3
    assert found.p[0] == swap_test(*summed, rmse).p[0]


def test_swaps_that_cannot_be_finished_count_against():
    # Only where each system keeps one of the two weights is there a ratio: half of all swaps, all of the same size.
    first, other = np.array([[1.0, 1], [1, 0]]), np.array([[3.0, 0], [1, 1]])
    found = swap_test(first, other, ratio)
    assert (found.exact, found.p[0]) == (True, 1.0)
    assert np.isinf(found.null).sum() == 2


def test_a_system_without_a_loss():
    with pytest.raises(NotFinite), np.errstate(all="ignore"):
        swap_test([[1.0, 0]], [[1.0, 1]], ratio)


def test_shapes_must_agree():
    with pytest.raises(ShapeMismatch, match=r"\(3, 2\)"):
        swap_test(np.ones((2, 2)), np.ones((3, 2)), rmse)
