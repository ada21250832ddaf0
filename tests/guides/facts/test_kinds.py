"""Every kind is recognised, and those that are easily confused are told apart as docs/inspect.md says."""

import tracemalloc

import numpy as np
import pytest
from arrays import KINDS, SIZES, drawn, facts, one_hot, scores, softmax
from hypothesis import given
from hypothesis import strategies as st

from lossctl.guides.facts import facts_of
from lossctl.sources.readers import Memory
from lossctl.statistics.ordered import positions

NAMES = {name for name, _ in KINDS.values()}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_recognised_in_any_size(name, n):
    found = facts(drawn(name, n))
    assert found["kind"] == KINDS[name][0], found["looks"]
    assert found["looks"][0]["kind"] == found["kind"]
    assert all(look["kind"] in NAMES and look["reason"] for look in found["looks"])
    assert len({look["kind"] for look in found["looks"]}) == len(found["looks"])


@given(st.integers(0, 10**6), st.integers(2, 8), st.sampled_from([3, 4, 5, 6]))
def test_rounded_probabilities_still_add_up(seed, columns, digits):
    rng = np.random.default_rng(seed)
    found = facts(softmax(scores(rng, 50, columns)).round(digits))
    assert found["kind"] in {"simplex", "one_hot"}
    assert found["classes"] == columns


@given(st.integers(0, 10**6), st.integers(2, 12))
def test_logits_are_no_probabilities(seed, columns):
    found = facts(scores(np.random.default_rng(seed), 50, columns))
    assert found["kind"] == "logits"
    assert not found.fits("simplex")
    assert not found.fits("log_probabilities")


@given(st.integers(0, 10**6), st.integers(3, 30))
def test_labels_in_equal_shares_are_no_counts(seed, classes):
    labels = np.random.default_rng(seed).permutation(np.resize(np.arange(classes), 20 * classes))
    found = facts(labels.astype(float))
    assert (found["kind"], found["classes"]) == ("labels", classes)


@given(st.integers(0, 10**6), st.floats(1.5, 6))
def test_poisson_counts_from_0_are_no_labels(seed, rate):
    found = facts(np.r_[0, np.random.default_rng(seed).poisson(rate, 3000)])
    assert found["kind"] == "counts"
    assert 0.8 < found["dispersion"] < 1.2


def test_three_counts_are_taken_for_labels():
    assert facts([0, 1, 2, 0, 0, 1])["kind"] == "labels"
    assert facts([0, 1, 2, 0, 0, 1]).fits("counts")


def test_classes_sorted_by_frequency_are_taken_for_counts():
    found = facts(np.repeat(np.arange(10), 1024 >> np.arange(10)))
    assert found["kind"] == "counts"
    assert found.fits("labels")


def test_rare_classes_at_the_end_make_no_counts():
    found = facts(np.repeat(np.arange(9), [50, 10, 60, 20, 70, 40, 2, 1, 1]))
    assert found["kind"] == "labels"


def test_numbers_that_begin_above_1_are_no_labels():
    found = facts([3, 5, 2, 7])
    assert found["kind"] == "counts"
    assert not found.fits("labels")


def test_tokens_of_a_large_vocabulary_are_labels():
    rng = np.random.default_rng(0)
    found = facts(np.c_[np.zeros(200, int), rng.zipf(1.3, (200, 63)).clip(0, 30_000)])
    assert found["distinct"] is None
    assert found["kind"] == "labels"


def test_a_series_of_many_skewed_numbers_are_counts():
    found = facts(np.r_[0, np.random.default_rng(0).zipf(1.3, 9000).clip(0, 30_000)])
    assert found["distinct"] is None
    assert found["kind"] == "counts"


def test_zeros_and_ones_are_binary_and_no_probabilities():
    assert not facts([0.0, 1.0, 1.0, 0.0]).fits("probabilities")


def test_one_row_with_two_ones_is_multi_hot():
    hot = one_hot(np.random.default_rng(0), 40)
    assert facts(hot)["kind"] == "one_hot"
    hot[7] = [1, 1, 0, 0]
    assert facts(hot)["kind"] == "multi_hot"


def test_one_row_that_adds_up_to_less_is_no_simplex():
    rows = softmax(scores(np.random.default_rng(0), 40))
    rows[7] *= 0.9
    assert facts(rows)["kind"] == "probabilities"


def test_one_box_with_its_corners_swapped_is_none():
    boxes = drawn("boxes", 30)
    boxes[7] = boxes[7][[2, 3, 0, 1]]
    assert not facts(boxes).fits("boxes")


def test_one_distance_that_differs_both_ways_is_none():
    matrix = drawn("distances of all pairs", 30)
    matrix[3, 4] += 1e-3
    assert facts(matrix)["kind"] != "distances"


def test_two_ids_alike_are_none():
    ids = drawn("shuffled ids", 200)
    ids[1] = ids[0]
    assert not facts(ids).fits("ids")


def test_a_few_counts_that_happen_to_differ_are_no_sure_ids():
    found = facts(np.r_[0, np.cumsum(np.arange(1, 30))][::-1])
    assert found["kind"] == "counts"
    assert found.fits("ids")


@pytest.mark.parametrize(("axis", "name"), [(2, "classes last"), (1, "softmax of maps")])
def test_the_class_axis_is_found(axis, name):
    found = facts(drawn(name, 30))
    assert (found["class_axis"], found["classes"]) == (axis, 5)


@pytest.mark.parametrize(("values", "reason"), [([], "no values"), ([np.nan, np.inf], "every value is NaN or infinite (2)")])
def test_nothing_is_said_to_be_nothing(values, reason):
    found = facts(np.array(values, float))
    assert (found["kind"], found["low"], found["mean"]) == ("real", None, None)
    assert reason in found["looks"][0]["reason"]


def test_a_void_label_is_no_class():
    found = facts(drawn("labels and 255", 200))
    assert (found["ignored"], found["classes"], len(found["class_counts"])) == (255, 5, 5)
    assert sum(found["class_counts"]) == 200 - 10


@pytest.mark.parametrize(
    "values", [np.array([1e200, 3e200]), np.array([1, 2, 3], np.longdouble), np.array([-1e300, 1e300, 2.5e300] * 9)]
)
def test_facts_of_numbers_whose_squares_overflow_and_of_long_floats(values):
    found = facts_of(Memory(values))
    assert found["high"] == float(values.max())
    assert type(found["low"]) is float
    assert found["looks"]


def test_rows_without_elements_take_no_memory():
    tracemalloc.start()
    try:
        found = facts_of(Memory(np.empty((50_000_000, 0))))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert (found["n"], found["elements"], found["low"]) == (50_000_000, 0, None)


def test_a_skew_that_overflows_and_a_sample_of_what_a_damaged_file_claims():
    assert facts_of(Memory(np.array([1e120, -1e120, 3e140])))["kind"]
    assert facts_of(Memory(np.array([1e150, -1e150, 3e150] * 5)))["kind"]
    places = positions(2**62)
    assert (np.diff(places) > 0).all()
    assert 0 <= places[0] < places[-1] < 2**62
    np.testing.assert_array_equal(positions(50), np.arange(50))
