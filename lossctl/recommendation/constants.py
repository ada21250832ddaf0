"""The best constant prediction for a loss on a target, beside which a prediction's skill is seen.

One number for all elements is looked for by golden sections, as convex losses allow; of class scores it is what the frequencies
of the classes say.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import Broadcast, Memory
from lossctl.signature import ANY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lossctl.blocks import Reader
    from lossctl.loss import Loss
    from lossctl.signature import Tensor

GOLDEN = (math.sqrt(5) - 1) / 2
STEPS = 48
# Scores beyond this are as good as infinite; and how far inside of an open edge.
FARTHEST, INSIDE = 15.0, 1e-9


def best_constant(
    loss: Loss, params: Mapping[str, Any], facts: Mapping[str, Any], pred: Reader, value: Callable[[Reader], float]
) -> float | None:
    """The least loss that a constant prediction of `pred`'s shape has; `value` computes the loss of a prediction.

    None for losses of anything but numbers, and where classes are not counted.
    """
    word = loss.signature.inputs[0].word
    if "c" in word.shape.split() and loss.signature.inputs[1].word.classes:
        return _of_classes(word, facts, pred, value)
    if word.shape != "n *d" or len(loss.signature.inputs) > 2 or loss.whole:  # noqa: PLR2004 - pred and target
        return None
    low, high = _between(loss, params, facts)
    return value(_constant(pred, _least(lambda place: value(_constant(pred, place)), low, high)))


def _constant(pred: Reader, place: float) -> Reader:
    return Broadcast(Memory(np.full((1,) * len(pred.shape), place), "a constant"), pred.shape)


def _of_classes(word: Tensor, facts: Mapping[str, Any], pred: Reader, value: Callable[[Reader], float]) -> float | None:
    counts = facts.get("class_counts")
    if not counts or len(pred.shape) < 2 or len(counts) > pred.shape[1]:  # noqa: PLR2004 - samples and classes
        return None
    shares = np.zeros(pred.shape[1])
    shares[: len(counts)] = np.asarray(counts) / sum(counts)
    with np.errstate(divide="ignore"):
        row = shares if word.domain != ANY else np.maximum(np.log(shares), -FARTHEST)
    return value(Broadcast(Memory(row.reshape(1, -1, *(1,) * (len(pred.shape) - 2)), "a constant"), pred.shape))


def _between(loss: Loss, params: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[float, float]:
    """Where to look: between the least and the largest target, or scores, or logarithms of them."""
    word, target = loss.signature.inputs[0].word, loss.signature.inputs[1].word.domain
    if params.get(word.free_if) is True:
        return -FARTHEST, math.log(max(facts["high"], INSIDE)) + INSIDE
    if word.domain == ANY and (target.values or target.high == 1):
        return -FARTHEST, FARTHEST
    low, high = max(facts["low"], word.domain.low), min(facts["high"], word.domain.high)
    inside = INSIDE if word.domain.open_low or word.domain.high == 1 else 0.0
    return low + inside, high - (INSIDE if word.domain.high == 1 else 0.0)


def _least(value: Callable[[float], float], low: float, high: float) -> float:
    """The place of the least value between two ends, by golden sections."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = value(left), value(right)
    for _ in range(STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = value(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = value(right)
    return left if at_left <= at_right else right
