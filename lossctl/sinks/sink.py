"""What takes an array in ranges, as a reader gives one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray
    from lossctl.shapes import Shape


@dataclass(frozen=True)
class Field:
    """One array to be written. `name` is its member's name in archives, and begins the names of its columns in tables.

    Raises: ValueError where `dtype` is no boolean, integer or float of at most eight bytes.
    """

    name: str
    shape: Shape
    dtype: np.dtype[Any]

    def __post_init__(self) -> None:
        if self.dtype.kind not in "biuf" or self.dtype.itemsize > np.dtype(np.float64).itemsize:
            message = f"{self.name} cannot be written as {self.dtype}"
            raise ValueError(message)

    @property
    def stored(self) -> np.dtype[Any]:
        """The type in the byte order that files have, whatever this computer's is."""
        return self.dtype.newbyteorder("<")

    @property
    def nbytes(self) -> int:
        """How many bytes the array takes."""
        return math.prod(self.shape) * self.dtype.itemsize


class Sink(Protocol):
    """Takes an array in ranges."""

    def put(self, array: NumPyArray, start: int, axis: int = 0) -> None:
        """Write `array`, all other axes whole, at [start, start + len) along `axis`; a 0-d array with `start` 0.

        Several threads may put disjoint ranges. What is never put is 0.
        Raises: ValueError where it does not fit.
        """


class MemorySink:
    """Takes an array into memory: it is `array`."""

    def __init__(self, field: Field) -> None:
        """Begin with zeros."""
        self.field = field
        self.array: NumPyArray = np.zeros(field.shape, field.dtype)

    def put(self, array: NumPyArray, start: int, axis: int = 0) -> None:
        """Copy a range."""
        fit(self.field, array.shape, start, axis)
        length = array.shape[axis] if array.ndim else 1
        where = (slice(None),) * axis + (slice(start, start + length),) if array.ndim else ()
        self.array[where] = array


def fit(field: Field, shape: Shape, start: int, axis: int) -> None:
    """Refuse a range that the field does not have, which would come to stand among other samples.

    Raises: ValueError.
    """
    full, part = field.shape or (1,), shape or (1,)
    fits = len(shape) == len(field.shape) and 0 <= axis < len(full) and 0 <= start <= full[axis] - part[axis]
    if not fits or (full[:axis], full[axis + 1 :]) != (part[:axis], part[axis + 1 :]):
        message = f"{shape} at {start} along axis {axis} is no part of {field.name}, {field.shape}"
        raise ValueError(message)
