"""Places and samples that do not count: where they lie along each array, and that their values are asked for nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
from ask import ask, none, value

from lossctl.engine.block import BOX, Uncounted
from lossctl.errors import LossctlError, NotFinite, OutOfDomain
from lossctl.losses.loss import ANY
from lossctl.request.options import Options

NAN, INF = np.nan, np.inf
SKIP = Options(nan="skip")


def slot(shape, axis=0, name="pred"):
    word = SimpleNamespace(shape=shape, corners=False, domain=ANY)
    return SimpleNamespace(axis=axis, input=SimpleNamespace(name=name, word=word))


@pytest.mark.parametrize(
    ("places", "spec", "axis", "shape", "wanted"),
    [
        ((3,), "n", 0, (3,), (3,)),
        ((3,), "n c *d", 0, (3, 2, 5), (3, 1, 1)),
        ((3,), "t n c", 1, (5, 3, 2), (1, 3, 1)),
        ((3,), "c t n", 2, (2, 5, 3), (1, 1, 3)),
        ((3, 4), "n *d", 0, (3, 4), (3, 4)),
        ((3, 4), "n c *d", 0, (3, 2, 4), (3, 1, 4)),
        # What has no place for each element says nothing of this array.
        ((3, 4), "n c", 0, (3, 2), None),
        ((3,), "c", None, (2,), None),
        ((3, 4), "n *d", 0, (3, 5), None),
    ],
)
def test_places_lie_along_an_array(places, spec, axis, shape, wanted):
    found = Uncounted(np.ones(places, bool)).over(slot(spec, axis), shape)
    assert (None if found is None else found.shape) == wanted


def test_the_array_that_says_it_is_asked_itself():
    assert Uncounted(np.ones(3, bool), "target").over(slot("n", name="target"), (3,)) is None


# pred, target, what else, and the same without what does not count.
LOG = np.log


@pytest.mark.parametrize(
    ("loss", "arrays", "named", "wanted"),
    [
        # An element of weight 0 may hold anything.
        ("bce", ([[NAN, 0.5], [0.25, 0.5]], [[1, 1], [1, 0]]), {"weight": [[0, 1], [1, 1]]}, (2 * LOG(2) + LOG(4)) / 4),
        ("bce", ([[0.5, 0.5], [0.25, 7.0]], [[1, 1], [1, 0]]), {"weight": [[1, 1], [1, 0]]}, (2 * LOG(2) + LOG(4)) / 4),
        # A weight a column.
        ("bce", ([[0.5, NAN], [0.25, NAN]], [[1, 1], [1, 0]]), {"weight": [1, 0]}, (LOG(2) + LOG(4)) / 4),
        # A class of weight 0; classes 1 and 2 count.
        ("cross_entropy", ([[NAN, 0, 0], [0, 0, 0]], [0, 1]), {"weight": [0.0, 2.0, 1.0]}, LOG(3)),
        ("cross_entropy", ([[0, 0, 0], [0, NAN, 0]], [1, 2]), {"weight": [1.0, 2.0, 0.0]}, LOG(3)),
        # A label that is ignored, also where classes are weighted.
        ("cross_entropy", ([[NAN, 0], [0, 0]], [-100, 1]), {}, LOG(2)),
        ("cross_entropy", ([[NAN, 0], [0, 0], [INF, 0]], [-100, 1, 0]), {"weight": [0.0, 1.0]}, LOG(2)),
    ],
)
def test_what_weighs_nothing_may_hold_anything(loss, arrays, named, wanted):
    arrays = [np.asarray(array) for array in arrays]
    named = {name: np.asarray(given) for name, given in named.items()}
    assert value(loss, *arrays, **named) == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize(
    ("loss", "arrays", "named"),
    [
        ("bce", ([[NAN, 0.5]], [[1, 1]]), {"weight": [[1, 1]]}),
        ("cross_entropy", ([[NAN, 0], [0, 0]], [0, 1]), {"weight": [1.0, 0.0]}),
        # Smoothing gives every class a part in every sample.
        ("cross_entropy", ([[NAN, 0], [0, 0]], [0, 1]), {"weight": [0.0, 1.0], "label_smoothing": 0.1}),
        ("cross_entropy", ([[NAN, 0], [0, 0]], [0, 1]), {"ignore_index": 1}),
    ],
)
def test_what_counts_may_not(loss, arrays, named):
    arrays = [np.asarray(array) for array in arrays]
    named = {name: np.asarray(given) if isinstance(given, list) else given for name, given in named.items()}
    with pytest.raises(NotFinite):
        ask(loss, *arrays, **named)


def test_a_sample_of_weight_0_may_hold_anything():
    pred, target = np.array([[NAN, 1.0], [2.0, 3.0], [4.0, 4.0]]), np.zeros((3, 2))
    weights = np.array([0.0, 1.0, 3.0])
    assert ask("mse", pred, target, weights=weights).value == (4 + 9 + 3 * 32) / 8
    with pytest.raises(NotFinite):
        ask("mse", pred, target, weights=weights + 1)


def test_skipping_looks_at_what_counts_alone():
    pred = np.array([[NAN, 1.0], [2.0, 3.0], [4.0, NAN]])
    mask = np.array([[0, 1], [1, 1], [1, 1]])
    outcome = ask("mse", pred, np.zeros((3, 2)), mask=mask, options=SKIP)
    assert (outcome.value, outcome.n, outcome.skipped) == ((1 + 4 + 9) / 3, 2, 1)
    labels = np.array([-100, 1, 1])
    scores = np.array([[NAN, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, NAN, 0.0]])
    outcome = ask("cross_entropy", scores, labels, options=SKIP)
    assert (outcome.value, outcome.n, outcome.skipped) == (pytest.approx(LOG(3)), 2, 1)


def test_infinite_scores_are_skipped_where_the_loss_has_no_limit():
    scores = np.array([[0.0, -INF, 0.0], [-INF, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, NAN]])
    outcome = ask("cross_entropy", scores, np.array([0, 0, 2, 1]), options=SKIP)
    assert (outcome.value, outcome.n, outcome.skipped) == (pytest.approx((LOG(2) + LOG(3)) / 2), 2, 2)


def test_a_box_that_does_not_count_is_replaced_by_one():
    low_x, low_y, high_x, high_y = BOX
    assert low_x < high_x
    assert low_y < high_y
    boxes = np.array([[0.0, 0.0, 2.0, 2.0], [3.0, 3.0, 1.0, 1.0]])
    others = np.array([[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    assert ask("giou", boxes, others, weights=np.array([1.0, 0.0])).value == pytest.approx(0.5, abs=1e-7)
    with pytest.raises(LossctlError):
        ask("giou", boxes, others, weights=np.array([1.0, 1.0]))


@pytest.mark.parametrize(("weights", "place"), [([1, -1, 1], "[1]"), ([[1], [1], [NAN]], "[2, 0]"), ([INF, 1, 1], "[0]")])
def test_a_weight_that_is_none_is_named_by_its_place(weights, place):
    with pytest.raises(OutOfDomain) as caught:
        ask("mse", np.zeros(3), np.zeros(3), weights=np.asarray(weights, float))
    assert f"at {place}" in caught.value.message


@pytest.mark.parametrize(("mask", "place"), [([1, 2, 1], "[1]"), ([1, 1, -1], "[2]"), ([0.5, 1, 1], "[0]")])
def test_a_mask_holds_0_and_1(mask, place):
    with pytest.raises(OutOfDomain) as caught:
        ask("mse", np.zeros(3), np.zeros(3), mask=np.asarray(mask))
    assert f"at {place}" in caught.value.message


def test_losses_with_other_labels_share_no_array_that_was_cleaned():
    scores = np.array([[NAN, 0.0], [0.0, 0.0]])
    first, second = np.array([-100, 1]), np.array([0, -100])
    assert none("cross_entropy", scores, first).tolist() == [0.0, pytest.approx(LOG(2))]
    with pytest.raises(NotFinite):
        none("cross_entropy", scores, second)


@pytest.mark.parametrize(("labels", "offset"), [([1, 2], -1), ([-1, 0], 1), ([0, 1], 0)])
def test_a_class_of_weight_0_is_that_of_the_moved_label(labels, offset):
    scores, weight = np.array([[NAN, 0.0, 0.0], [0.0, 0.0, 0.0]]), np.array([0.0, 2.0, 1.0])
    options = Options(label_offset=offset)
    assert ask("cross_entropy", scores, np.array(labels), weight=weight, options=options).value == pytest.approx(LOG(3))
    with pytest.raises(NotFinite):
        ask("cross_entropy", scores[::-1], np.array(labels), weight=weight, options=options)
