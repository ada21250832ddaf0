"""What does not count: places whose label is ignored, that a mask leaves out, or whose weight is 0.

Nothing is asked of the values there. Where they are no numbers, or outside of the domain, a harmless value stands in their
place, and the gradient there is exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lossctl import shapes
from lossctl.values import harmless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.binding import Bound, Slot
    from lossctl.block import Block
    from lossctl.blocks import NumPyArray

# A box that every loss of boxes takes.
BOX = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Uncounted:
    """Places (n, *d), or samples (n,), of a block that do not count; the array called `source` says so itself."""

    places: NumPyArray
    source: str = ""

    def over(self, slot: Slot, shape: tuple[int, ...]) -> NumPyArray | None:
        """The same along an array of the loss, so that it broadcasts to its shape; None where it says nothing of it."""
        spec = slot.input.word.shape
        if slot.axis is None or slot.input.name == self.source:
            return None
        if self.places.ndim == 1:
            lifted = np.reshape(self.places, (*(1,) * slot.axis, -1, *(1,) * (len(shape) - slot.axis - 1)))
        elif "*d" in shapes.tokens(spec):
            lifted = np.reshape(self.places, shapes.lifted(spec, self.places.shape))
        else:
            return None
        return lifted if shapes.broadcast(lifted.shape, shape) == shape else None


def uncounted(block: Block, bound: Bound) -> list[Uncounted]:
    """Everything that does not count in a block, samples that are left out of it included."""
    return [one for one in _all(block, bound) if one.places.any()]


def _all(block: Block, bound: Bound) -> Iterator[Uncounted]:
    if block.selection.by_element:
        yield Uncounted(~block.marks)
    weights = block.selection.weights
    if weights is not None and not bound.loss.whole:
        yield Uncounted(np.reshape(weights.read(block.start, block.stop) == 0, (-1,)))
    labels = next((slot for slot in bound.slots if slot.input.word.shifts), None)
    if labels is not None and "ignore_index" in bound.params:
        ignored = bound.params["ignore_index"] - block.options.label_offset
        yield Uncounted(block.raw(labels) == ignored, labels.input.name)
    weight = next((slot for slot in bound.slots if slot.input.name == "weight"), None)
    if weight is not None:
        yield from _by_own_weight(block, bound, weight, labels)


def _by_own_weight(block: Block, bound: Bound, weight: Slot, labels: Slot | None) -> Iterator[Uncounted]:
    """A parameter called weight multiplies elements, or the samples of a class unless their targets are smoothed."""
    nothing = block.raw(weight) == 0
    if weight.input.word.shape == "c":
        if labels is None or bound.params.get("label_smoothing") or not nothing.any():
            return
        numbers = block.raw(labels) + block.options.label_offset
        known = (numbers >= 0) & (numbers < len(nothing))
        yield Uncounted(known & nothing[np.where(known, numbers, 0).astype(np.int64)], labels.input.name)
    elif (first := bound.slots[0]).axis == 0:
        shape = (block.stop - block.start, *first.reader.shape[1:])
        if shapes.broadcast(nothing.shape, shape) == shape:
            yield Uncounted(np.broadcast_to(nothing, shape), weight.input.name)


def spared(array: NumPyArray, slot: Slot, places: list[Uncounted]) -> NumPyArray | None:
    """The array of a block with harmless values where nothing counts; None where all of it counts."""
    lifted = [one for each in places if (one := each.over(slot, array.shape)) is not None]
    if not lifted:
        return None
    word = slot.input.word
    value = np.asarray(BOX if word.corners else harmless(word.domain), array.dtype)
    for one in lifted:
        array = np.where(one, value, array)
    return array


def zeroed(gradient: NumPyArray, slot: Slot, places: list[Uncounted]) -> NumPyArray:
    """The gradient of a block by one array with 0 where nothing counts, whatever was calculated there."""
    for each in places:
        lifted = each.over(slot, gradient.shape)
        if lifted is not None:
            gradient = np.where(lifted, np.zeros((), gradient.dtype), gradient)
    return gradient
