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
    from collections.abc import Callable, Iterator

    from lossctl.binding import Bound, Slot
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


def by_inputs(bound: Bound, raw: Callable[[Slot], NumPyArray], count: int, offset: int) -> Iterator[Uncounted]:
    """What does not count by the labels and the weights that a loss takes, in a block of `count` samples.

    `raw` reads the block of an array as it is given, and `offset` is added to labels.
    """
    labels = next((slot for slot in bound.slots if slot.input.word.shifts), None)
    if labels is not None and "ignore_index" in bound.params:
        yield Uncounted(raw(labels) == bound.params["ignore_index"] - offset, labels.input.name)
    weight = next((slot for slot in bound.slots if slot.input.name == "weight"), None)
    if weight is None:
        return
    # A parameter called weight multiplies elements, or the samples of a class unless their targets are smoothed.
    nothing = raw(weight) == 0
    if weight.input.word.shape == "c":
        if labels is None or bound.params.get("label_smoothing") or not nothing.any():
            return
        numbers = raw(labels) + offset
        known = (numbers >= 0) & (numbers < len(nothing))
        yield Uncounted(known & nothing[np.where(known, numbers, 0).astype(np.int64)], labels.input.name)
    elif (first := bound.slots[0]).axis == 0:
        shape = (count, *first.reader.shape[1:])
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
