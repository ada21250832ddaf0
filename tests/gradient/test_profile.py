"""Figures of gradients in parts against NumPy on all of it, and counts in bins."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lossctl.gradient import profile
from lossctl.gradient.profile import LISTED, Profile, bins, lengths, look, upper_edges
from lossctl.gradient.profile import SizeCounts as Counts

SIZES = st.floats(1e-300, 1e300) | st.integers(-900, 900).map(lambda k: 2.0**k)
SIGNED = st.builds(lambda size, sign: size * sign, SIZES | st.just(0.0), st.sampled_from([1.0, -1.0]))
# Squares of these neither overflow nor vanish.
TAME = st.builds(lambda size, sign: size * sign, st.floats(1e-100, 1e100) | st.just(0.0), st.sampled_from([1.0, -1.0]))
MATRICES = arrays.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=TAME)


def profiled(array, axis=0, tiny=0.0, step=2):
    """The profile of an array that comes in parts of `step` samples."""
    found = Profile()
    for start in range(0, array.shape[axis], step):
        part = np.take(array, range(start, min(start + step, array.shape[axis])), axis)
        where = tuple(start if place == axis else 0 for place in range(array.ndim))
        found.add(look(part, where, axis, tiny))
    return found


@given(MATRICES, st.integers(0, 1), st.floats(1e-100, 1e100))
def test_parts_add_up_to_the_figures_of_the_whole(array, axis, tiny):
    found = profiled(array, axis, tiny)
    assert found.n == array.size
    assert found.zeros == np.sum(array == 0)
    assert found.small == np.sum(np.abs(array) < tiny)
    assert found.largest == np.abs(array).max()
    assert abs(array[found.at]) == found.largest
    assert found.norm == pytest.approx(np.linalg.norm(array), rel=1e-12)
    assert found.mean == pytest.approx(math.fsum(array.ravel()) / array.size, rel=1e-9, abs=1e-12 * found.largest)
    assert found.samples == array.shape[axis]
    assert found.sizes.sum(axis=1).tolist() == [np.sum(array > 0), np.sum(array < 0)]
    assert int(found.crowd.sum()) == np.sum(array.any(axis=1 - axis))


@given(MATRICES, st.integers(0, 1))
def test_the_share_of_the_longest(array, axis):
    rows = np.sort(np.linalg.norm(array, axis=1 - axis))[::-1]
    for share in (0.01, 0.3, 0.5, 1.0):
        found = profiled(array, axis).share_of_top(share)
        count = max(1, math.ceil(round(len(rows) * share, 6)))
        assert found == pytest.approx(rows[:count].sum() / rows.sum() if rows.any() else math.nan, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("hundreds", [1, 7, 14, 28, 29, 55, 57])
def test_one_percent_of_hundreds_is_a_whole_number(hundreds):
    sizes = np.ones(100 * hundreds)
    sizes[:hundreds] = 3.0
    assert profiled(sizes, step=1000).share_of_top() == pytest.approx(3 * hundreds / (102 * hundreds), rel=1e-12)


@pytest.mark.parametrize("spread", [0.0, 1.0, 5.0, 40.0])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.9])
def test_counting_agrees_with_sorting_to_2_percent(monkeypatch, spread, share):
    rng = np.random.default_rng(1)
    array = np.exp(spread * rng.normal(size=(5000, 2))) * rng.integers(0, 2, (5000, 1))
    found = profiled(array, step=700)
    by_sorting = found.share_of_top(share)
    monkeypatch.setattr(profile, "SORTED", 1500)
    counted = profiled(array, step=700)
    assert sum(len(part) for part in found.norms) == 5000
    assert counted.norms == []
    assert counted.share_of_top(share) == pytest.approx(by_sorting, rel=0.02)


def test_more_than_all_that_are_not_zero(monkeypatch):
    monkeypatch.setattr(profile, "SORTED", 4)
    sizes = np.zeros(10)
    assert math.isnan(profiled(sizes).share_of_top())
    sizes[3] = 2.0
    assert profiled(sizes).share_of_top(0.5) == 1.0


@given(SIZES)
def test_a_size_is_in_its_bin_and_the_upper_edge_belongs_to_it(size):
    (number,) = bins(np.array([size])).tolist()
    low, high = upper_edges(np.array([number - 1, number])).tolist()
    assert low < size <= high
    assert high <= low * (1 + 1.01 / profile.PER_OCTAVE)
    assert bins(np.array([low])).tolist() == [number - 1]


@given(st.lists(SIGNED, max_size=20))
def test_counts(values):
    total = np.zeros((2, profile.BINS), np.int64)
    Counts.of(np.array(values)).add_to(total)
    signed = [(int(value < 0), int(bins(np.array([abs(value)]))[0])) for value in values if value]
    assert all(total[place] == signed.count(place) for place in signed)
    assert int(total.sum()) == len(signed)


@given(st.lists(SIGNED, min_size=1, max_size=20))
def test_powers_of_two_are_counted_once_more(values):
    found = profiled(np.array(values)).powers
    exponents = [math.frexp(abs(value))[1] - 1 for value in values if math.frexp(abs(value))[0] == 0.5]
    assert all(found[exponent + 1023] == exponents.count(exponent) for exponent in exponents)
    assert int(found.sum()) == len(exponents)


@given(st.lists(SIGNED, min_size=1, max_size=20))
def test_octaves_hold_every_element_once(values):
    array = np.array(values)
    found = list(profiled(array).octaves())
    assert sum(above for *_, above, _ in found) == np.sum(array > 0)
    assert sum(below for *_, below in found) == np.sum(array < 0)
    for low, high, above, below in found:
        assert high == 2 * low
        assert above == np.sum((array > low) & (array <= high))
        assert below == np.sum((-array > low) & (-array <= high))
    assert all(left[1] == right[0] for left, right in itertools.pairwise(found))


def test_the_largest_and_the_smallest_numbers_have_a_bin():
    info = np.finfo(np.float64)
    found = list(profiled(np.array([info.max, -info.smallest_subnormal])).octaves())
    assert found[0] == (0.0, info.tiny, 0, 1)
    assert found[-1] == (2.0**1023, math.inf, 1, 0)


@pytest.mark.parametrize("tiny", [0.0, 1.0, math.nan])
def test_what_is_not_finite_is_counted_apart(tiny):
    array = np.array([[1.0, np.nan], [0.0, 2.0], [np.inf, 0.5], [np.nan, np.nan], [-np.inf, np.nan], [3.0, 4.0]])
    found = profiled(array, tiny=tiny)
    assert (found.missing, found.zeros, found.n) == (6, 1, 12)
    assert found.small == (2 if tiny == 1 else 0)
    assert found.places == [(0, 1), (2, 0), (3, 0), (3, 1), (4, 0)]
    assert len(found.places) == LISTED
    assert found.mean == pytest.approx(10.5 / 6)
    assert found.norm == pytest.approx(math.sqrt(1 + 4 + 0.25 + 25))
    assert (found.largest, found.at) == (4.0, (5, 1))
    assert found.share_of_top(0.1) == pytest.approx(5 / 8.5)


def test_nothing_but_what_is_not_finite():
    found = profiled(np.full((3, 2), np.nan))
    assert (found.missing, found.largest, found.norm) == (6, 0.0, 0.0)
    assert math.isnan(found.mean)


@pytest.mark.filterwarnings("error")
def test_squares_that_overflow_make_the_norm_infinite_and_nothing_else():
    found = profiled(np.array([[1e200, 1.0], [0.0, -3.0]]))
    assert (found.norm, found.missing, found.largest, found.at) == (math.inf, 0, 1e200, (0, 0))


def test_a_single_number_is_one_sample():
    found = Profile()
    found.add(look(np.array(-3.0), (), 0, 0.1))
    assert (found.n, found.samples, found.norm, found.at, found.share_of_top()) == (1, 1, 3.0, (), 1.0)


def test_nothing_at_all():
    found = profiled(np.zeros((0, 3)))
    found.add(look(np.zeros((0, 3)), (0, 0), 0, 0.1))
    assert (found.n, found.norm, list(found.octaves())) == (0, 0.0, [])
    assert math.isnan(found.mean)
    assert math.isnan(found.share_of_top())


def test_lengths_of_samples_along_any_axis():
    array = np.random.default_rng(2).normal(size=(3, 4, 5))
    for axis in range(3):
        others = tuple(place for place in range(3) if place != axis)
        np.testing.assert_allclose(lengths(array, axis), np.sqrt((array**2).sum(axis=others)), rtol=1e-14)
