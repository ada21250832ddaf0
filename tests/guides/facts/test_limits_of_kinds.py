"""Each number that decides what an array is taken for, on both sides of it."""

import numpy as np
import pytest
from arrays import facts

from lossctl.guides.facts.arrays import fitting, pair_facts, text_facts
from lossctl.guides.facts.counts import begun, ignored
from lossctl.guides.facts.kinds import _adds_up, _skewed, _thins_out
from lossctl.sources.readers import Memory
from lossctl.statistics.ordered import positions, rank_correlation, share_of_top, tail
from lossctl.statistics.ordered import sample_spread as spread

RNG = np.random.default_rng(5)


def counted(*heights):
    """How often each of 0, 1, 2 … occurs."""
    return dict(enumerate(heights))


@pytest.mark.parametrize(("n", "wanted"), [(19, False), (20, True)])
def test_twenty_numbers_that_differ_may_be_ids(n, wanted):
    assert facts(RNG.permutation(n) + 5_000_000).fits("ids") == wanted


@pytest.mark.parametrize(("n", "wanted"), [(20, "counts"), (21, "ids")])
def test_ids_come_first_where_chance_would_make_ten_pairs(n, wanted):
    # 20 of 20 numbers make 190 pairs, of which 9.5 would be equal; 21 of 21 make 210, and 10.
    assert facts(np.r_[n - 1, RNG.permutation(n - 1)] + 5_000_000)["kind"] == wanted


@pytest.mark.parametrize(("n", "wanted"), [(7, "labels"), (8, "ids")])
def test_eight_numbers_in_a_row_count_the_rows(n, wanted):
    assert facts(np.arange(n))["kind"] == wanted


@pytest.mark.parametrize(("labels", "wanted"), [([0, 1, 2, 3, 4, 5, 6, 9], True), ([0, 1, 2, 3, 4, 5, 9], False)])
def test_four_of_five_labels_must_occur(labels, wanted):
    assert facts(labels * 3).fits("labels") == wanted


@pytest.mark.parametrize(("low", "wanted"), [(-1, False), (0, True), (1, True), (2, False)])
def test_labels_begin_at_0_or_1(low, wanted):
    # Below 0 there is one label that stands for none.
    assert facts(np.tile(np.arange(5) + low, 4)[::-1]).fits("labels") == (wanted or low == -1)
    assert facts(np.tile(np.arange(5) + (low - 1 if low == -1 else low), 4)[::-1]).fits("labels") == wanted


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        (counted(100, 50, 10, 1), False),
        (counted(100, 50, 10, 1, 1), True),
        # The last of five makes 0.3 of the average at 14.04.
        (counted(100, 50, 40, 30, 14), True),
        (counted(100, 50, 40, 30, 15), False),
        # Spearman's correlations with the order are -0.7 and -0.6.
        (counted(100, 30, 20, 40, 5), True),
        (counted(100, 20, 30, 40, 5), False),
        # Behind the commonest are three heights, which say nothing, and four, which rise.
        (counted(1, 2, 3, 4, 100, 1, 2), True),
        (counted(1, 2, 3, 100, 1, 2, 3), False),
        # They rise to the commonest from both sides, or do not.
        (counted(1, 2, 3, 100, 4, 3, 1), True),
        (counted(3, 2, 1, 4, 100, 3, 1), False),
        ({0: 1, 1: 1, 2: 1, 3: 5, 65_535: 9}, False),
        ({0: 1, 1: 1, 2: 1, 3: 5, 65_536: 9}, True),
    ],
)
def test_counts_thin_out(counts, wanted):
    assert _thins_out(counts, None) == wanted


def test_the_label_for_none_does_not_count_among_heights():
    assert not _thins_out(counted(100, 50, 10, 1) | {5: 1}, 5)
    assert _thins_out(counted(100, 50, 10, 1) | {5: 1}, None)


@pytest.mark.parametrize(("skew", "shape", "wanted"), [(1.0, [9], False), (1.05, [9], True), (0.95, [9], False)])
def test_very_many_skewed_numbers_are_counts_in_a_series_alone(skew, shape, wanted):
    assert _skewed({"skew": skew, "shape": shape}) == wanted
    assert not _skewed({"skew": skew, "shape": [*shape, 2]})
    assert not _skewed({"skew": None, "shape": shape})


@pytest.mark.parametrize(("n", "wanted"), [(7, False), (8, True)])
def test_eight_numbers_make_a_grid_of_times(n, wanted):
    assert facts(0.5 + np.arange(n) * 0.25).fits("times") == wanted


@pytest.mark.parametrize(("n", "wanted"), [(7, False), (8, True)])
def test_eight_numbers_below_0_may_be_logarithms(n, wanted):
    assert facts(-RNG.random(n)).fits("log_probabilities") == wanted


@pytest.mark.parametrize(("n", "wanted"), [(4, False), (5, True)])
def test_five_boxes_are_boxes(n, wanted):
    low = RNG.uniform(0, 100, (n, 2))
    assert facts(np.c_[low, low + 1.5]).fits("boxes") == wanted
    assert not facts(np.c_[low, low + 1.5, low]).fits("boxes")


@pytest.mark.parametrize(
    ("off", "decimals", "wanted"),
    [
        (0.00097, None, True),
        (0.00103, None, False),
        # Half of the last digit for each of three classes.
        (0.015, 2, True),
        (0.0151, 2, False),
        # And no more than 0.05.
        (0.049, 1, True),
        (0.051, 1, False),
    ],
)
@pytest.mark.parametrize("side", [-1, 1])
def test_rows_of_probabilities_add_up_to_one(off, decimals, wanted, side):
    row = {"row_sum_low": min(1, 1 + side * off), "row_sum_high": max(1, 1 + side * off), "low": 0.0, "decimals": decimals}
    assert _adds_up(row | {"class_axis": 1, "shape": [5, 3]}) == wanted
    assert not _adds_up(row | {"class_axis": 1, "shape": [5, 3], "low": -0.1})
    assert not _adds_up(row | {"class_axis": 1, "shape": [5, 1]})


@pytest.mark.parametrize(("high", "wanted"), [(100.0, True), (100.5, False)])
def test_scores_are_100_at_most(high, wanted):
    assert facts([-0.5, 0.25, high]).fits("logits") == wanted
    assert facts([0.5, 0.25, -high]).fits("logits") == wanted
    assert facts([[0.5, 2.5], [0.25, high]]).fits("logits") == wanted
    assert not facts([0.5, 2.5, high]).fits("logits")


def test_numbers_from_0_to_1_are_no_scores():
    assert not facts([[0.5, 0.25], [0.25, 1.0]]).fits("logits")
    assert facts([[0.5, 0.25], [0.25, 1.01]]).fits("logits")


@pytest.mark.parametrize(("unit", "size"), [("seconds", 1), ("milliseconds", 10**3), ("nanoseconds", 10**9)])
def test_times_are_of_1980_to_2100(unit, size):
    first, last = 315_532_800 * size, 4_102_444_800 * size
    for values, wanted in {(first, last): True, (first - 1, last): False, (first, last + 1): False}.items():
        looks = facts(values)["looks"]
        assert any(look["reason"].startswith(unit) for look in looks if look["kind"] == "times") == wanted


@pytest.mark.parametrize(("levels", "wanted"), [([0.0, 0.5], False), ([0.0, 0.5, 1.0], True), ([0.0, 0.49, 1.0], False)])
def test_three_even_levels_are_proportions(levels, wanted):
    assert (facts(levels * 4)["kind"] == "proportions") == wanted


@pytest.mark.parametrize(("off", "wanted"), [(0.0004, True), (0.0006, False)])
def test_levels_are_even_to_a_thousandth_of_their_distance(off, wanted):
    assert (facts([0.0, 0.5 + off, 1.0] * 4)["kind"] == "proportions") == wanted


@pytest.mark.parametrize(("columns", "wanted"), [(2, False), (3, True)])
def test_rows_of_length_1_are_embeddings_from_three_columns_on(columns, wanted):
    points = RNG.normal(size=(20, columns))
    found = facts(points / np.linalg.norm(points, axis=1, keepdims=True))
    assert (found["kind"] == "real") == wanted


@pytest.mark.parametrize(("off", "wanted"), [(0.0009, "real"), (0.0011, "logits")])
def test_squares_of_embeddings_add_up_to_1_within_a_thousandth(off, wanted):
    rows = np.tile([[0.6, -0.48, 0.64]], (9, 1))
    rows[4] *= np.sqrt(1 + off)
    assert facts(rows)["kind"] == wanted


@pytest.mark.parametrize(
    ("counts", "label"),
    [
        ({-1: 3, 0: 1}, None),
        ({-1: 3, 0: 1, 1: 1}, -1),
        ({-100: 3, 0: 1, 1: 1}, -100),
        ({-2: 3, 0: 1, 1: 1}, None),
        ({-100: 3, -1: 1, 1: 1}, None),
        ({0: 1, 255: 1}, None),
        ({0: 1, 1: 1, 255: 1}, 255),
        ({0: 1, 1: 1, 254: 1}, None),
        # Below 255 labels reach to twice their number at most.
        ({0: 1, 6: 1, 255: 1}, 255),
        ({0: 1, 7: 1, 255: 1}, None),
        (dict.fromkeys([*range(0, 254, 2), 253, 255], 1), 255),
        (dict.fromkeys([*range(0, 255, 2), 255], 1), None),
        ({-3: 1, 0: 1, 255: 1}, None),
    ],
)
def test_labels_that_stand_for_none(counts, label):
    assert ignored({"distinct_counts": counts, "integral": True}) == label
    assert ignored({"distinct_counts": counts, "integral": False}) is None


@pytest.mark.parametrize(("n", "listed"), [(20, True), (21, False)])
def test_twenty_levels_are_listed(n, listed):
    levels = (RNG.permutation(n) + 0.5).tolist()
    assert facts(levels * 2)["levels"] == (sorted(levels) if listed else None)


@pytest.mark.parametrize(
    ("value", "decimals"), [(0.123456, 6), (0.1234567, None), (2.0**20 - 0.5, 1), (2.0**20 + 0.5, None), (3.0, 0)]
)
def test_six_decimals_are_looked_for_below_a_million(value, decimals):
    assert facts([value, 0.0])["decimals"] == decimals


@pytest.mark.parametrize(("distance", "share"), [(5.18, 0.0), (5.20, 1 / 61)])
def test_outliers_are_farther_than_three_and_a_half_deviations(distance, share):
    # Half of all lie 1 or more from the median, which is 1.4826 deviations of a normal distribution; 3.5 of them are 5.189.
    assert spread(np.array([-1.0] * 30 + [0.0] + [1.0] * 29 + [distance]))["outlier_share"] == share


@pytest.mark.parametrize(("n", "count"), [(199, 0), (200, 10), (219, 10), (220, 11)])
def test_the_tail_is_the_largest_twentieth_of_200_and_more(n, count):
    distance = np.ones(n)
    distance[: max(0, count - 1)] = np.e
    found = tail(distance)
    assert found is None if not count else found == pytest.approx(count / (count - 1))


def test_a_correlation_of_ranks_needs_three():
    assert rank_correlation(np.arange(2), np.arange(2)) is None
    assert rank_correlation(np.arange(3), np.arange(3)) == pytest.approx(1)


@pytest.mark.parametrize(("n", "count"), [(1, 1), (100, 1), (101, 2)])
def test_the_largest_hundredth_is_rounded_up(n, count):
    assert share_of_top(np.arange(1.0, n + 1)) == pytest.approx(sum(range(n - count + 1, n + 1)) / (n * (n + 1) / 2))


@pytest.mark.parametrize(("n", "sampled"), [(1 << 16, False), ((1 << 16) + 1, True)])
def test_all_of_65536_are_looked_at(n, sampled):
    assert positions(n).size == 1 << 16
    assert facts(np.zeros(n))["sampled"] == sampled


@pytest.mark.parametrize(("n", "distinct"), [(1000, 1000), (1001, None)])
def test_a_thousand_distinct_values_are_counted(n, distinct):
    assert facts(np.arange(n) + 0.5)["distinct"] == distinct
    (found,) = text_facts([[str(number)] for number in range(n)], 1)
    assert (found["distinct"], found["examples"]) == (distinct, ["0", "1", "2"])


@pytest.mark.parametrize(("columns", "kept"), [(1000, True), (1001, False)])
def test_means_of_a_thousand_columns_are_kept(columns, kept):
    assert (begun((3, columns))[1] is not None) == kept


@pytest.mark.parametrize(("size", "wanted"), [(2, False), (3, True)])
def test_distances_are_matrices_of_three_rows_or_more(size, wanted):
    points = RNG.normal(size=size)
    assert facts(np.abs(points[:, None] - points)).fits("distances")
    assert (begun((size, size))[2] is not None) == wanted


@pytest.mark.parametrize(("pred", "share"), [([0.5e-7, 0.5], 0.5), ([1e-7, 0.5], 0.5), ([1.05e-7, 0.5], 0.0)])
def test_probabilities_within_a_ten_millionth_of_0_and_1_are_saturated(pred, share):
    for values in (np.array(pred), 1 - np.array(pred)):
        assert pair_facts(Memory(values), Memory(np.array([0.0, 1.0])))["saturated_share"] == share


@pytest.mark.parametrize(("pred", "right"), [([0.5, 0.6], 1.0), ([0.51, 0.6], 0.5), ([0.5, 0.5], 0.5)])
def test_one_half_is_no_positive_decision(pred, right):
    assert pair_facts(Memory(np.array(pred)), Memory(np.array([0, 1])))["accuracy"] == right


@pytest.mark.parametrize(("pred", "right"), [([0.0, 1.6], 1.0), ([0.01, 1.6], 0.5), ([-1.5, 0.0], 0.5)])
def test_a_score_of_0_is_no_positive_decision(pred, right):
    assert pair_facts(Memory(np.array(pred)), Memory(np.array([0, 1])))["accuracy"] == right


@pytest.mark.parametrize(
    ("pred", "target", "classes"), [((5, 2), (5,), 1), ((5, 1), (5,), None), ((5, 4, 2), (5, 4), 2), ((5, 2, 4), (5, 4), 1)]
)
def test_the_axis_that_a_target_lacks_has_two_entries_or_more(pred, target, classes):
    fit = fitting(pred, target)
    assert fit is not None
    assert fit.classes == classes
