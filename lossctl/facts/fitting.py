"""Which arrays belong together by their shapes: element by element, or scores by class with one label each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossctl.shapes import Shape


@dataclass(frozen=True)
class Fit:
    """How prediction and target fit: `classes` is the axis of the prediction that the target lacks, None for none."""

    classes: int | None = None


def fitting(pred: Shape, target: Shape) -> Fit | None:
    """See how two shapes fit; axes of size 1 behind the first do not count. None where they do not fit."""
    pred, target = pred or (1,), target or (1,)
    if pred[0] != target[0]:
        return None
    if _wide(pred) == _wide(target):
        return Fit()
    axes = [axis for axis in dict.fromkeys((1, len(pred) - 1)) if 0 < axis < len(pred) and pred[axis] > 1]
    found = [axis for axis in axes if _wide(pred[:axis] + pred[axis + 1 :]) == _wide(target)]
    return Fit(found[0]) if found and 0 not in target else None


def _wide(shape: Shape) -> Shape:
    return shape[:1] + tuple(size for size in shape[1:] if size != 1)
