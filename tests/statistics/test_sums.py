import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lossctl.statistics.sums import KEPT, Higher, Joint, Moments, Sums, exact_sum, shortened

finite = st.floats(allow_nan=False, allow_infinity=False)
moderate = st.floats(-1e6, 1e6)


@given(st.lists(finite), st.randoms())
def test_order_changes_no_bit(numbers, random):
    shuffled = list(numbers)
    random.shuffle(shuffled)
    assert exact_sum(shuffled) == exact_sum(numbers)


@given(st.lists(finite, max_size=60), st.integers(0, 60))
def test_sums_that_were_kept_short_add_up_the_same(numbers, cut):
    kept = [*shortened(numbers[:cut]), *shortened(numbers[cut:])]
    assert exact_sum(kept) == exact_sum(numbers)


@given(st.lists(moderate))
def test_one_rounding(numbers):
    assert exact_sum(numbers) == float(sum(map(Fraction, numbers)))


@pytest.mark.parametrize(
    ("numbers", "total"),
    [
        ([], 0.0),
        ([1e308, 1e308, -1e308], 1e308),
        ([-1e308, 1e308, 1e308], 1e308),
        ([1e308, 1e308], math.inf),
        ([-1e308, -1e308], -math.inf),
        ([math.inf, 1.0], math.inf),
        ([math.inf, 1e308, 1e308], math.inf),
        ([1.0, -math.inf], -math.inf),
    ],
)
def test_large_and_infinite(numbers, total):
    assert exact_sum(numbers) == total


@pytest.mark.parametrize(
    "numbers", [[math.nan], [1.0, math.nan], [math.inf, -math.inf], [math.nan, math.inf], [1e308, 1e308, math.nan]]
)
def test_not_a_number(numbers):
    assert math.isnan(exact_sum(numbers))


def test_sums_merge_by_name():
    one, other = Sums(), Sums()
    one.add("value", 1.0)
    other.add("value", 2.0)
    other.add("weight", 3.0)
    one.merge(other)
    assert one.finish() == {"value": 3.0, "weight": 3.0}
    assert other.finish() == {"value": 2.0, "weight": 3.0}


def moments(numbers):
    """The moments of a part, merged one number at a time."""
    total = Moments()
    for number in numbers:
        total = total.merge(Moments(1, number))
    return total


@given(st.lists(moderate, min_size=1), st.lists(moderate, min_size=1))
def test_merged_moments_are_numpy_s(one, other):
    merged = moments(one).merge(moments(other))
    every = np.array(one + other)
    assert merged.n == len(every)
    np.testing.assert_allclose(merged.mean, every.mean(), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(merged.std, every.std(ddof=1), rtol=1e-6, atol=1e-5)


def test_moments_keep_small_spread_on_a_large_mean():
    # E[x^2] - E[x]^2 gives 0 here, or less.
    assert moments([1e9, 1e9 + 1, 1e9 + 2]).std == 1.0


def test_nothing_changes_nothing():
    one = Moments(2, 3.0, 4.0)
    assert one.merge(Moments()) == one
    assert Moments().merge(one) == one
    assert Moments().merge(Moments()) == Moments()


@pytest.mark.parametrize("few", [Moments(), Moments(1, 5.0)])
def test_std_of_fewer_than_two(few):
    assert math.isnan(few.std)


@given(st.lists(finite | st.sampled_from([math.inf, -math.inf, math.nan, 1e-310]), max_size=200), st.integers(1, 50))
def test_many_blocks_in_few_numbers_have_the_same_sum(numbers, size):
    sums = Sums()
    for start in range(0, len(numbers), size):
        part = Sums()
        for number in numbers[start : start + size]:
            part.add("value", number)
        sums.merge(part)
    found = sums.finish().get("value", 0.0)
    assert found == exact_sum(numbers) or (math.isnan(found) and math.isnan(exact_sum(numbers)))


def test_moderate_totals_do_not_pile_up():
    sums = Sums()
    for number in range(10_000):
        part = Sums()
        part.add("value", 0.1 * number)
        sums.merge(part)
    assert len(sums.totals["value"]) <= KEPT
    assert sums.finish()["value"] == math.fsum(0.1 * number for number in range(10_000))


@pytest.mark.parametrize(("count", "kept"), [(64, 64), (65, 1)])
def test_sixty_four_totals_are_kept_as_they_are(count, kept):
    sums = Sums()
    for number in range(count):
        sums.merge(Sums({"value": [float(number)]}))
    assert len(sums.totals["value"]) == kept
    assert sums.finish() == {"value": count * (count - 1) / 2}


@pytest.mark.parametrize("sign", [1, -1])
def test_totals_of_two_to_the_960_and_more_are_left_as_they_are(sign):
    large, below = sign * 2.0**960, sign * math.nextafter(2.0**960, 0)
    assert shortened([1.0, large, 2.0, 3.0]) == [1.0, large, 2.0, 3.0]
    assert shortened([1.0, below, 2.0, 3.0]) == [6.0, below]


@pytest.mark.parametrize(("totals", "short"), [([1.0, math.inf], [math.inf]), ([-math.inf, 2.0**970, 1.0], [-math.inf])])
def test_an_infinite_total_is_all_that_is_left(totals, short):
    assert shortened(totals) == short


def test_parts_are_added_without_rounding_however_many():
    assert shortened([2.0**53, 1.0, -(2.0**53), 2.0**-1000]) == [2.0**-1000, 1.0]
    assert shortened([1e16, 1.0, 1.0]) == [1e16 + 2]


def test_moments_of_two_parts_by_hand():
    assert Moments(1, 1.0).merge(Moments(3, 5.0, 2.0)) == Moments(4, 4.0, 14.0)
    assert Moments(2, 0.0, 8.0).std == math.sqrt(8)


VALUES = np.array([2.0, 3.0, 5.0, 8.0, 13.0, 21.0, -4.0])


@pytest.mark.parametrize("cut", range(8))
def test_higher_moments_of_two_parts_are_those_of_all(cut):
    whole, merged = Higher.of(VALUES), Higher.of(VALUES[:cut]).merge(Higher.of(VALUES[cut:]))
    off = VALUES - VALUES.mean()
    wanted = [len(VALUES), VALUES.mean(), (off**2).sum(), (off**3).sum(), (off**4).sum()]
    for found in (whole, merged):
        assert [found.low.n, found.low.mean, found.low.m2, found.m3, found.m4] == pytest.approx(wanted, rel=1e-13)
        assert found.variance == pytest.approx(VALUES.var(), rel=1e-13)
        assert found.skew == pytest.approx(stats.skew(VALUES), rel=1e-13)
        assert found.kurtosis == pytest.approx(stats.kurtosis(VALUES), rel=1e-12)


def test_higher_moments_of_many_parts():
    parts = [Higher.of(VALUES[start : start + 2]) for start in range(0, 7, 2)]
    merged = Higher()
    for part in parts:
        merged = merged.merge(part)
    assert (merged.skew, merged.kurtosis) == pytest.approx((stats.skew(VALUES), stats.kurtosis(VALUES)), rel=1e-12)


@pytest.mark.parametrize(("values", "variance"), [([], math.nan), ([3.0], 0.0), ([3.0, 3.0], 0.0)])
def test_nothing_varies(values, variance):
    found = Higher.of(np.array(values))
    assert (found.low.n, found.m3, found.m4) == (len(values), 0.0, 0.0)
    assert found.variance == pytest.approx(variance, nan_ok=True)
    assert math.isnan(found.skew)
    assert math.isnan(found.kurtosis)


@pytest.mark.parametrize("cut", range(8))
def test_joint_moments_of_two_parts_are_those_of_all(cut):
    other = np.array([1.0, -1.0, 4.0, 4.0, 9.0, 30.0, 2.0])
    whole = Joint.of(VALUES, other)
    merged = Joint.of(VALUES[:cut], other[:cut]).merge(Joint.of(VALUES[cut:], other[cut:]))
    product = ((VALUES - VALUES.mean()) * (other - other.mean())).sum()
    for found in (whole, merged):
        assert (found.x.n, found.x.mean, found.y.mean) == pytest.approx((7, VALUES.mean(), other.mean()), rel=1e-13)
        assert found.product == pytest.approx(product, rel=1e-13)
        assert found.correlation == pytest.approx(np.corrcoef(VALUES, other)[0, 1], rel=1e-13)


def test_a_correlation_needs_two_sides_that_vary():
    same = np.ones(4)
    assert math.isnan(Joint.of(same, np.arange(4.0)).correlation)
    assert math.isnan(Joint.of(np.arange(4.0), same).correlation)
    assert math.isnan(Joint().merge(Joint()).correlation)
    assert Joint.of(np.arange(4.0), -np.arange(4.0)).correlation == pytest.approx(-1)


@pytest.mark.parametrize(("totals", "finite"), [([], True), ([1.0], True), ([1.0, math.inf], False), ([math.nan, 1.0], False)])
def test_sums_are_finite_where_every_total_is(totals, finite):
    sums = Sums()
    sums.add("first", 0.0)
    for total in totals:
        sums.add("second", total)
    assert sums.finite is finite
