"""A reader through a function: what somebody's code did to an array before the loss saw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import Wrapped
from lossctl.numerics import log_softmax

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.blocks import NumPyArray
    from lossctl.shapes import Shape

    Function = Callable[[NumPyArray], NumPyArray]

BOTH = 2


@dataclass(frozen=True)
class Mapped(Wrapped):
    """A reader whose blocks go through `function`, which must not mix samples: they are on axis 0."""

    function: Function
    shape: Shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """What every function here returns."""
        return np.dtype(np.float64)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return a range of the mapped array."""
        part = self.inner.read(start, stop, 0) if axis == 0 else self.inner.read(0, self.inner.shape[0], 0)
        with np.errstate(all="ignore"):
            found = self.function(part).astype(np.float64, copy=False)
        return found if axis == 0 else found[(slice(None),) * axis + (slice(start, stop),)]

    def place(self, index: tuple[int, ...]) -> str:
        """Say it with the inner reader's own index, as far as the mapped array has one."""
        known = index[: len(self.inner.shape)]
        return self.inner.place((*known, *(0 for _ in self.inner.shape[len(known) :])))


def softmax(scores: NumPyArray) -> NumPyArray:
    """Softmax over axis 1."""
    found: NumPyArray = np.exp(log_softmaxed(scores))
    return found


def log_softmaxed(scores: NumPyArray) -> NumPyArray:
    """Log-softmax over axis 1."""
    found: NumPyArray = log_softmax(np, scores.astype(np.float64), axis=1)
    return found


def sigmoid(scores: NumPyArray) -> NumPyArray:
    """The logistic function, without overflow."""
    found: NumPyArray = np.exp(-np.logaddexp(0, -scores.astype(np.float64)))
    return found


def one_hot(classes: int) -> Function:
    """A function from labels to their indicators on axis 1; a label that is no class has none."""

    def run(labels: NumPyArray) -> NumPyArray:
        shape = (1, classes, *(1,) * (labels.ndim - 1))
        found: NumPyArray = np.expand_dims(labels, 1) == np.arange(classes).reshape(shape)
        return found.astype(np.float64)

    return run


def largest(scores: NumPyArray) -> NumPyArray:
    """The class of the largest score."""
    found: NumPyArray = np.argmax(scores, axis=1)
    return found


def halves(array: NumPyArray) -> NumPyArray:
    """Rounded to float16."""
    return array.astype(np.float16)


def signed(labels: NumPyArray) -> NumPyArray:
    """Labels 0 and 1 as -1 and 1."""
    found: NumPyArray = BOTH * labels.astype(np.float64) - 1
    return found


def second(columns: NumPyArray) -> NumPyArray:
    """The second of two columns: the score of class 1."""
    return columns[:, 1]


def above(threshold: float) -> Function:
    """The decision at a threshold, as label 0 or 1."""
    return lambda scores: (scores > threshold).astype(np.float64)
