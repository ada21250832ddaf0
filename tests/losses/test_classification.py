import itertools

import numpy as np
import pytest
from ask import ask, none, value

from lossctl.errors import BadParameter, OutOfDomain, ShapeMismatch
from lossctl.request.options import Options

REDUCTIONS = ("mean", "sum", "none")
SHAPES = [(4,), (5, 4), (5, 4, 3), (3, 4, 2, 3), (1, 1), (2, 4, 1, 1)]


def torch_ce(pred, target, weight=None, **more):
    import torch

    target = torch.tensor(target) if target.dtype.kind == "f" else torch.tensor(target.astype(np.int64))
    weight = None if weight is None else torch.tensor(weight)
    return torch.nn.functional.cross_entropy(torch.tensor(pred), target, weight=weight, **more).numpy()


def drawn(shape, *, soft, seed=0):
    """Scores, labels or probabilities, and class weights."""
    rng = np.random.default_rng(seed)
    axis = 0 if len(shape) == 1 else 1
    pred = 3 * rng.normal(size=shape)
    if soft:
        target = rng.uniform(size=shape)
        target /= target.sum(axis=axis, keepdims=True)
    else:
        target = rng.integers(0, shape[axis], size=(*shape[:axis], *shape[axis + 1 :]))
    return pred, target, rng.uniform(0.2, 3, size=shape[axis])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_is_torch_s(shape, soft, reduction):
    pred, target, weight = drawn(shape, soft=soft)
    for weighted, ignore, smoothing in itertools.product((False, True), (-100, 2), (0.0, 0.3, 1.0)):
        if ignore >= 0 and (soft or not (target != ignore).any()):
            continue
        numbers = {"ignore_index": ignore, "label_smoothing": smoothing}
        wanted = torch_ce(pred, target, weight if weighted else None, reduction=reduction, **numbers)
        found = value(
            "ce", pred, target, **numbers, **({"weight": weight} if weighted else {}), options=Options(reduction=reduction)
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("axis", [0, 2, 3, -1, -3])
def test_class_dim(soft, axis):
    pred, target, weight = drawn((3, 4, 2, 5), soft=soft)
    moved = np.moveaxis(pred, 1, axis), np.moveaxis(target, 1, axis) if soft else target
    assert value("ce", *moved, weight=weight, options=Options(class_dim=axis)) == value("ce", pred, target, weight=weight)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint8, np.uint64, np.float64, np.float16, ">i4"])
def test_labels_of_any_type(dtype):
    pred, target, weight = drawn((5, 4), soft=False)
    assert value("ce", pred, target.astype(dtype), weight=weight) == value("ce", pred, target, weight=weight)


def test_labels_of_two_classes_may_be_true_and_false():
    pred, target, _ = drawn((5, 2), soft=False)
    assert value("ce", pred, target.astype(bool)) == value("ce", pred, target)


@pytest.mark.parametrize("ignore", [0, 3, -1, 255, -100])
def test_label_offset_with_ignore_index(ignore):
    # ignore_index is a label as it stands in the file: shifted labels that come to the same number still count.
    pred, target, weight = drawn((40, 3), soft=False)
    ignored = np.arange(40) % 5 == 0
    file = np.where(ignored, ignore, (target + 1) if ignore != 3 else (target + 4))
    offset = -1 if ignore != 3 else -4
    wanted = value("ce", pred, np.where(ignored, -100, target), weight=weight)
    assert value("ce", pred, file, weight=weight, ignore_index=ignore, options=Options(label_offset=offset)) == wanted


@pytest.mark.parametrize(
    ("labels", "options", "message", "hint"),
    [
        ([1, 2, 3], {}, r"target \(target\) at \[2\] is class 3, but 3 classes are 0\.\.2", "use --label-offset -1"),
        ([0, 255, 1], {}, "is class 255", "use --ignore-index 255"),
        ([0, -1, 7], {}, "is class -1", "one column a class"),
        ([1, 0, 3], {"label_offset": -1}, r"at \[1\] is 0, with --label-offset -1 class -1", "use --ignore-index 0"),
        ([0, 0.5, 1], {}, r"at \[1\] is 0\.5, outside of what a label may be: a whole number", "class indices"),
        ([0, 1, 1e30], {}, r"at \[2\] is 1e\+30", "class indices"),
        ([0, 1, -(2**63)], {}, "is class -9223372036854775808", "ignore-index"),
        (np.array([0, 1, 2**64 - 1], np.uint64), {}, r"at \[2\] is 1\.84467e\+19", "class indices"),
    ],
)
def test_labels_that_are_no_classes(labels, options, message, hint):
    with pytest.raises(OutOfDomain, match=message) as caught:
        ask("ce", np.eye(3), labels, options=Options(**options))
    assert hint in caught.value.hint


@pytest.mark.parametrize("labels", [[0, 1, 1, 0], [0, 0, 0, 0], [0, 1, 2, 3]])
def test_one_axis_of_scores_with_one_axis_of_labels(labels):
    # torch reads floats like these as one sample with four classes, whose probabilities are the labels.
    with pytest.raises(OutOfDomain, match=r"adds up to|outside of"):
        ask("ce", [0.1, 0.2, 0.3, 0.4], labels)


def test_probabilities_outside_of_their_range():
    with pytest.raises(OutOfDomain, match=r"at \[0, 1\] is -0\.5, outside of \[0, 1\]"):
        ask("ce", np.eye(2), [[1, -0.5], [0, 1]])


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_probabilities_cannot_be_ignored(backend):
    with pytest.raises(BadParameter, match="cannot ignore class 1"):
        ask("ce", np.eye(2), np.eye(2), ignore_index=1, options=Options(backend=backend))


@pytest.mark.parametrize("target", [[0, 1, 0], [[0], [1]], [[0, 1, 0]], np.zeros((2, 3, 1))])
def test_targets_that_do_not_fit(target):
    with pytest.raises(ShapeMismatch, match=r"pred \(pred\) has shape \(2, 3\) and target"):
        ask("ce", np.zeros((2, 3)), target)


def test_channels_last_is_recognised():
    with pytest.raises(ShapeMismatch) as caught:
        ask("ce", np.zeros((2, 5, 3)), np.zeros((2, 5)))
    assert "--class-dim -1" in caught.value.hint


@pytest.mark.parametrize("shape", [(2, 0), (0, 0), (0,), (2, 0, 3)])
def test_no_classes(shape):
    with pytest.raises(ShapeMismatch, match="there are no classes"):
        ask("ce", np.zeros(shape), np.full((*shape[:1], *shape[2:]) if len(shape) > 1 else (), -100))


BROADCAST = [
    ((6,), (1,)), ((6,), (6,)), ((6,), ()), ((4, 3), (3,)), ((4, 3), (4, 1)), ((4, 3), (1, 3)), ((4, 3), (4, 3)),
    ((4, 3), (1, 1)), ((2, 3, 4, 5), (3, 1, 1)), ((2, 3, 4, 5), (5,)), ((2, 3, 4, 5), (1, 3, 1, 1)),
    ((2, 3, 4, 5), (2, 1, 4, 1)), ((), ()),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "beside"), BROADCAST, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_bce_with_logits_weights_broadcast_as_torch_s(shape, beside, reduction):
    import torch

    rng = np.random.default_rng(1)
    pred, target = 2 * rng.normal(size=shape), rng.uniform(size=shape)
    tensors = {"weight": rng.uniform(0, 2, size=beside), "pos_weight": rng.uniform(0.1, 5, size=beside)}
    for names in ((), ("weight",), ("pos_weight",), ("weight", "pos_weight")):
        given = {name: tensors[name] for name in names}
        wanted = torch.nn.functional.binary_cross_entropy_with_logits(
            torch.tensor(pred),
            torch.tensor(target),
            **{name: torch.tensor(t) for name, t in given.items()},
            reduction=reduction,
        )
        found = value("bce_with_logits", pred, target, **given, options=Options(reduction=reduction))
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("shape", "beside"), [((4, 3), (4,)), ((4, 3), (2, 4, 3)), ((1, 3), (4, 3)), ((2, 3, 4, 4), (3,))])
def test_bce_with_logits_weights_that_do_not_broadcast(shape, beside):
    with pytest.raises(ShapeMismatch, match="weight"):
        ask("bce_with_logits", np.zeros(shape), np.zeros(shape), pos_weight=np.ones(beside))


def test_far_out_scores_are_finite():
    assert none("bce_with_logits", [1e4, -1e4, 1e4, -1e4], [0, 1, 1, 0]).tolist() == [1e4, 1e4, 0.0, 0.0]
    assert none("ce", [[1e4, 0.0], [0.0, 1e4]], [1, 1]).tolist() == [1e4, 0.0]
