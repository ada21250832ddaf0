"""What losses of class labels share: the score that stands at a label, and leaving ignored labels out."""

from typing import Any

from lossctl.loss import Terms
from lossctl.numerics import is_numpy, log_softmax_parts, picked
from lossctl.words import Array


def at_label(xp: Any, scores: Array, target: Array, ignore_index: int | None = None) -> Array:
    """Pick each label's entry along axis 1; where a label is ignored, that of class 0, which then must not count."""
    index = target if ignore_index is None else xp.where(target != ignore_index, target, xp.zeros_like(target))
    return picked(xp, scores, index)


def log_chance(xp: Any, scores: Array, target: Array, ignore_index: int | None = None) -> Array:
    """The logarithm of the softmax at each label; no other entry of it is worked out."""
    shifted, total = log_softmax_parts(xp, scores, axis=1)
    return at_label(xp, shifted, target, ignore_index) - xp.squeeze(total, axis=1)


def counted(xp: Any, value: Array, target: Array, ignore_index: int) -> Terms:
    """Terms whose mean divides by the number of labels that are not ignored."""
    kept = target != ignore_index
    return {"value": xp.where(kept, value, xp.zeros_like(value)), "weight": xp.astype(kept, value.dtype)}


def is_label(xp: Any, target: Array, like: Array) -> Array:
    """Tell which class of each sample, along axis 1 of `like`, is its label."""
    classes = xp.arange(like.shape[1], dtype=target.dtype, device=target.device)
    label, classes = xp.expand_dims(target, axis=1), xp.reshape(classes, (1, -1, *(1,) * (like.ndim - 2)))
    # NumPy is slow with arrays that lie differently: the answer must lie as the scores do.
    return xp.equal(label, classes, out=xp.empty_like(like, bool)) if is_numpy(like) else label == classes


def one_hot(xp: Any, target: Array, like: Array) -> Array:
    """Labels as probabilities of the shape of `like`; those that have this shape already stay what they are."""
    return target if target.ndim == like.ndim else xp.astype(is_label(xp, target, like), like.dtype)


def to_one(xp: Any, pred: Array) -> Array:
    """Rows divided by their sum along axis 1, as Keras does it; rows of zeros stay what they are."""
    total = xp.sum(pred, axis=1, keepdims=True)
    return pred / xp.where(total == 0, xp.ones_like(total), total)
