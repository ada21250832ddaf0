"""The way back through views: the gradient by a view, as the gradient by the array that is in the file.

What was reshaped is reshaped back, what was moved is moved back, and what was broadcast is summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lossctl.blocks import Broadcast, Moved, Reader, Reshaped, Same, Wrapped

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray

Step = tuple["NumPyArray", int, int | None]


@dataclass(frozen=True)
class Placed:
    """A part of the gradient by a source: where it begins along which axis; no axis, and it is all of it, to be added up."""

    array: NumPyArray
    start: int
    axis: int | None


def source_of(reader: Reader) -> Reader:
    """The array in the file, under any views of it."""
    while isinstance(reader, Wrapped):
        reader = reader.inner
    return reader


def back(reader: Reader, array: NumPyArray, start: int, axis: int | None) -> Placed:
    """Turn the gradient by a range of a view into that by its source."""
    while isinstance(reader, Wrapped):
        array, start, axis = _step(reader, array, start, axis)
        reader = reader.inner
    return Placed(array, start, axis)


def _step(view: Wrapped, array: NumPyArray, start: int, axis: int | None) -> Step:
    if isinstance(view, Same):
        return array, start, axis
    if isinstance(view, Reshaped):
        return _reshaped(view, array, start, axis)
    if isinstance(view, Moved):
        return np.transpose(array, np.argsort(view.order)), start, None if axis is None else view.order[axis]
    if isinstance(view, Broadcast):
        return _broadcast(view, array, start, axis)
    message = f"no way back through {type(view).__name__}"
    raise TypeError(message)


def _reshaped(view: Reshaped, array: NumPyArray, start: int, axis: int | None) -> Step:
    shape = view.inner.shape
    if axis is None or view.shape[axis] == 1:
        return array.reshape(shape), 0, None
    rank = sum(size != 1 for size in view.shape[:axis])
    place = [position for position, size in enumerate(shape) if size != 1][rank]
    return array.reshape((*shape[:place], array.shape[axis], *shape[place + 1 :])), start, place


def _broadcast(view: Broadcast, array: NumPyArray, start: int, axis: int | None) -> Step:
    narrow = tuple(place for place, size in enumerate(view.inner.shape) if size == 1 != view.shape[place])
    summed = array.sum(axis=narrow, keepdims=True)
    return (summed, 0, None) if axis in narrow else (summed, start, axis)
