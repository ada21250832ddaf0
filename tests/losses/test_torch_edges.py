"""The losses of torch.nn.functional at their edges: kinks, no samples, certain predictions, refusals, and names."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ask import ask, none, value

from lossctl.checking.checks import Drawn, gradients, twin_gradients
from lossctl.errors import BadParameter, NothingLeft, OutOfDomain, ShapeMismatch
from lossctl.losses import LOSSES
from lossctl.losses.loss import scalars
from lossctl.request.lookup import look_up
from lossctl.request.options import Options

KINKS = [
    ("smooth_l1", ([0.0, 1.0, -1.0], [0.0, 0.0, 0.0]), {"beta": 0.0}),
    ("smooth_l1", ([0.0, 0.5, -0.5], [0.0, 0.0, 0.0]), {"beta": 0.5}),
    ("hinge_embedding", ([1.0, 0.0], [-1.0, 1.0]), {}),
    ("margin_ranking", ([1.0, 2.0], [1.0, 1.0], [1.0, 1.0]), {"margin": 0.0}),
    ("margin_ranking", ([1.0, 2.0], [1.0, 1.0], [1.0, 1.0]), {"margin": 1.0}),
    ("soft_margin", ([0.0, 0.0], [1.0, -1.0]), {}),
    ("multi_margin", ([[1.0, 0.0, 0.5], [2.0, 1.0, 1.0]], [0, 0]), {}),
    ("multi_margin", ([[1.0, 0.0, 0.5], [2.0, 1.0, 1.0]], [0, 0]), {"p": 2}),
    ("multilabel_margin", ([[1.0, 0.0, 0.5], [2.0, 1.0, 2.0]], [[0, -1, -1], [0, 2, -1]]), {}),
    ("multilabel_soft_margin", ([[0.0, 0.0]], [[0.0, 1.0]]), {}),
    ("cosine_embedding", ([[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]], [-1.0, 1.0]), {"margin": 0.0}),
    ("triplet_margin_with_distance", ([[0.0]], [[0.0]], [[0.0]]), {"margin": 1.0}),
    ("bce", ([0.0, 1.0, 1e-60, 1e-3], [1.0, 0.0, 1.0, 1.0]), {}),
    ("poisson_nll", ([0.0, 0.0], [1.0, 2.0]), {"full": True}),
]


@pytest.mark.parametrize(("name", "arrays", "params"), KINKS)
def test_gradient_where_there_are_two(name, arrays, params):
    loss = LOSSES.get(name)
    inputs = dict(zip((argument.name for argument in loss.signature.inputs), arrays, strict=True))
    labels = {argument.name for argument in loss.signature.inputs if argument.word.index}
    kinds = {key: np.int64 if key in labels else np.float64 for key in inputs}
    given = Drawn({key: np.asarray(array, kinds[key]) for key, array in inputs.items()}, {}, params)
    found, wanted = gradients(loss, complete(loss, given)), twin_gradients(loss, given)[1]
    # By the target of bce torch has an infinite gradient, since it does not clamp there.
    for key in set(found) - ({"target"} if name == "bce" else set()):
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-12, atol=1e-12)


def complete(loss, given):
    """Our terms take every parameter."""
    return replace(given, params=scalars(loss, given.params))


@pytest.mark.parametrize("name", ["multi_margin", "multilabel_margin"])
def test_no_samples(name):
    # torch returns memory that was never written.
    target = np.zeros(0) if name == "multi_margin" else np.zeros((0, 3))
    with pytest.raises(NothingLeft, match="there are no samples"):
        ask(name, np.zeros((0, 3)), target)
    assert np.isnan(value(name, np.zeros((0, 3)), target, options=Options(nan="propagate")))
    assert value(name, np.zeros((0, 3)), target, options=Options(reduction="sum")) == 0


def test_soft_margin_does_not_overflow():
    assert none("soft_margin", [1000.0, -1000.0], [-1, -1]).tolist() == [1000.0, 0.0]


def test_bce_of_certain_predictions():
    # No logarithm is below -100; the next number above is exact.
    assert none("bce", [0, 1, 1, 0, 1e-44], [1, 0, 1, 0, 1]).tolist() == [100.0, 100.0, 0.0, 0.0, 100.0]
    np.testing.assert_allclose(none("bce", [4e-44, 1e-13], [1, 1]), [-np.log(4e-44), -np.log(1e-13)], rtol=1e-15)


@pytest.mark.parametrize("name", ["multi_margin", "multilabel_margin"])
def test_what_is_not_a_number_stays_so(name):
    # torch compares with > 0, and counts it as 0.
    pred, target = [[np.nan, 1.0], [0.0, 1.0]], [0, 0] if name == "multi_margin" else [[0, -1], [0, -1]]
    assert np.isnan(none(name, pred, target, options=Options(nan="propagate"))).tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "arrays", "named", "fault", "message"),
    [
        ("smooth_l1", ([1], [1]), {"beta": -1}, BadParameter, "beta"),
        ("nll", ([[0.0, -1.0]], [2]), {}, OutOfDomain, r"class 2, but 2 classes are 0\.\.1"),
        ("nll", ([[0.0, -1.0]], [-1]), {}, OutOfDomain, "class -1"),
        ("nll", ([[0.0, -1.0]], [[0.5, 0.5]]), {}, ShapeMismatch, "target"),
        ("bce", ([1.1], [1]), {}, OutOfDomain, r"1\.1, outside of \[0, 1\]"),
        ("bce", ([0.5], [2]), {}, OutOfDomain, r"target .* is 2, outside of \[0, 1\]"),
        ("bce", ([0.5, 0.5], [[1], [0]]), {}, ShapeMismatch, "shape"),
        ("poisson_nll", ([-1.0], [1]), {"log_input": "false"}, OutOfDomain, "pred .* is -1, outside of >= 0"),
        ("poisson_nll", ([1.0], [-1]), {}, OutOfDomain, "target .* is -1, outside of >= 0"),
        ("margin_ranking", ([1.0, 2.0], [1.0, 2.0], 1), {}, ShapeMismatch, "target"),
        ("multi_margin", ([[1.0, 2.0]], [2]), {}, OutOfDomain, "class 2"),
        ("multi_margin", ([[1.0, 2.0]], [-100]), {}, OutOfDomain, "class -100"),
        ("multi_margin", ([[1.0, 2.0]], [0]), {"p": 3}, BadParameter, "1 or 2, not 3"),
        ("multi_margin", ([[1.0, 2.0], [1.0, 2.0]], [[0, 1], [1, 0]]), {}, ShapeMismatch, "target"),
        ("multi_margin", (np.zeros((2, 3, 4)), np.zeros((2, 4))), {}, ShapeMismatch, "pred"),
        ("multilabel_margin", ([[1.0, 2.0]], [[2, -1]]), {}, OutOfDomain, "place 0 of sample 0 is 2"),
        ("multilabel_margin", ([[1.0, 2.0]] * 2, [[-1, 0], [-1, 7]]), {}, OutOfDomain, "place 1 of sample 1 is 7"),
        ("multilabel_margin", ([[1.0, 2.0]], [[-2, -1]]), {}, OutOfDomain, "is -2"),
        ("multilabel_margin", ([[1.0, 2.0]], [[0.5, -1]]), {}, OutOfDomain, "whole number"),
        ("multilabel_margin", ([[1.0, 2.0]], [[0]]), {}, ShapeMismatch, "target"),
        ("multilabel_soft_margin", ([[1.0, 2.0]], [[0, 1]]), {"weight": np.ones(3)}, ShapeMismatch, "weight"),
        ("cosine_embedding", ([[1.0], [2.0]], [[1.0], [2.0]], [1]), {}, ShapeMismatch, "target"),
        ("cosine_embedding", ([[1.0, 2.0]], [[1.0]], [1]), {}, ShapeMismatch, "input2"),
        ("triplet_margin_with_distance", ([[1.0]], [[1.0]], [[1.0]]), {"margin": 0}, BadParameter, "margin"),
        ("triplet_margin_with_distance", ([[1.0]], [[1.0]], [1.0]), {}, ShapeMismatch, "negative"),
        ("linear_cross_entropy", (np.eye(2), np.eye(2), np.eye(2)), {"ignore_index": 1}, BadParameter, "cannot ignore"),
        ("linear_cross_entropy", (np.eye(2), np.ones((3, 3)), [0, 1]), {}, ShapeMismatch, "linear_weight"),
        ("linear_cross_entropy", (np.eye(2), np.eye(2), [0, 2]), {}, OutOfDomain, "class 2"),
        ("linear_cross_entropy", (np.eye(2), np.eye(2), [0, 1]), {"linear_bias": np.ones(3)}, ShapeMismatch, "linear_bias"),
    ],
)
def test_refusals(name, arrays, named, fault, message):
    with pytest.raises(fault, match=message):
        ask(name, *arrays, **named)


def test_label_offset_without_ignore_index():
    pred = [[0.1, 0.2, 0.4], [0.5, 0.3, 0.3]]
    assert value("multi_margin", pred, [3, 1], options=Options(label_offset=-1)) == value("multi_margin", pred, [2, 0])


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("SmoothL1Loss", "smooth_l1"), ("smooth-mae", "smooth_l1"), ("fast_rcnn", "smooth_l1"), ("F.nll_loss", "nll"),
        ("negative_log_likelihood", "nll"), ("BCELoss", "bce"), ("binary_crossentropy", "bce"), ("lce", "linear_cross_entropy"),
        ("LinearCrossEntropyLoss", "linear_cross_entropy"), ("PoissonNLLLoss", "poisson_nll"), ("mlml", "multilabel_margin"),
        ("MultiLabelMarginLoss", "multilabel_margin"), ("mlsm", "multilabel_soft_margin"), ("mm", "multi_margin"),
        ("pairwise_hinge", "margin_ranking"), ("cosine_emb", "cosine_embedding"), ("SoftMarginLoss", "soft_margin"),
        ("TripletMarginWithDistanceLoss", "triplet_margin_with_distance"), ("hinge_emb", "hinge_embedding"),
    ],
)  # fmt: skip
def test_names(typed, name):
    assert look_up(typed).name == name


@pytest.mark.parametrize("name", ["hinge_embedding", "soft_margin"])
def test_targets_that_mean_nothing_are_computed_as_torch_does(name):
    # A warning says so; the formula stands.
    pred, target = np.array([0.5, -1.0, 2.0]), np.array([0.0, 0.5, -3.0])
    twin = getattr(torch.nn.functional, LOSSES.get(name).torch)
    assert value(name, pred, target) == pytest.approx(float(twin(torch.from_numpy(pred), torch.from_numpy(target))), rel=1e-14)
