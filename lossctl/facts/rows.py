"""What is counted of each row of an array: sums over the classes, lengths, and shapes that only boxes have.

The classes are axis 1, as in torch, unless only the rows along the last axis add up to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray
    from lossctl.shapes import Shape

SEED = 0
# Columns whose means are kept.
COLUMNS = 1000
# Numbers in a box: two corners.
CORNERS = 4
MATRIX = 2


@dataclass(frozen=True)
class Range:
    """The least and the largest of what was seen; the first is above the second where nothing was."""

    low: float = math.inf
    high: float = -math.inf

    @staticmethod
    def of(values: NumPyArray) -> Range:
        """The range of the finite ones of some values."""
        kept = values[np.isfinite(values)]
        return Range(float(kept.min()), float(kept.max())) if kept.size else Range()

    def merge(self, other: Range) -> Range:
        """The range of both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def near(self, value: float, tolerance: float) -> bool:
        """Whether all that was seen is close to `value`."""
        return self.low <= self.high and value - tolerance <= self.low and self.high <= value + tolerance


@dataclass(frozen=True)
class Rows:
    """Rows along one axis: the range of their sums, of the sums of their exponentials, and of their squared lengths."""

    axis: int
    sums: Range = field(default_factory=Range)
    exps: Range = field(default_factory=Range)
    squares: Range = field(default_factory=Range)
    corners: bool = True

    def add(self, values: NumPyArray) -> Rows:
        """Take in a block of float64, shape (n, …). Rows with NaN or +inf are left out; -inf is the logarithm of 0."""
        with np.errstate(over="ignore", invalid="ignore"):
            sums = Range.of(values.sum(axis=self.axis))
            # Only logarithms of probabilities are asked about, and those are not above 0.
            logs = not values.size or np.nanmax(values, initial=-np.inf) <= 0
            exps = Range.of(np.exp(values).sum(axis=self.axis)) if logs else Range(-math.inf, math.inf)
            squares = Range.of(np.square(values).sum(axis=self.axis))
        corners = self.corners and _has_corners(values)
        return Rows(self.axis, self.sums.merge(sums), self.exps.merge(exps), self.squares.merge(squares), corners)


def _has_corners(values: NumPyArray) -> bool:
    """Whether every row could be a box: left < right and top < bottom."""
    if values.ndim != MATRIX or values.shape[1] != CORNERS:
        return False
    return bool((values[:, 2] > values[:, 0]).all() and (values[:, 3] > values[:, 1]).all())


@dataclass
class Means:
    """Means of the columns, over all other axes; NaN and infinities are left out."""

    total: NumPyArray
    counts: NumPyArray

    def add(self, values: NumPyArray) -> None:
        """Take in a block of float64, shape (n, c, …)."""
        finite = np.isfinite(values)
        others = tuple(axis for axis in range(values.ndim) if axis != 1)
        with np.errstate(over="ignore"):
            self.total = self.total + np.where(finite, values, 0.0).sum(axis=others)
        self.counts = self.counts + finite.sum(axis=others)

    def list(self) -> list[float]:
        """The mean of each column; NaN where all of it is missing."""
        with np.errstate(invalid="ignore"):
            return (self.total / self.counts).tolist()  # type: ignore[no-any-return]


@dataclass
class Square:
    """Whether a square matrix is symmetric with a diagonal of zeros, as distances are, without holding it.

    A random vector is multiplied from both sides, which differs for any other matrix (Freivalds 1977).
    """

    vector: NumPyArray
    right: NumPyArray
    left: NumPyArray
    hollow: bool = True

    @staticmethod
    def of(size: int) -> Square:
        """Begin with a matrix of `size` rows."""
        return Square(np.random.default_rng(SEED).uniform(1, 2, size), np.zeros(size), np.zeros(size))

    def add(self, values: NumPyArray, start: int) -> None:
        """Take in the rows from `start` on."""
        stop = start + len(values)
        with np.errstate(over="ignore", invalid="ignore"):
            self.right[start:stop] = values @ self.vector
            self.left = self.left + self.vector[start:stop] @ values
        self.hollow = self.hollow and not np.diagonal(values, start).any()

    @property
    def distances(self) -> bool:
        """Whether it is symmetric and its diagonal zero."""
        return self.hollow and bool(np.allclose(self.right, self.left, rtol=1e-6, atol=0))


def begun(shape: Shape) -> tuple[list[Rows], Means | None, Square | None]:
    """What is looked at row by row in an array of this shape."""
    if len(shape) < MATRIX:
        return [], None, None
    rows = [Rows(1)] + [Rows(len(shape) - 1)] * (len(shape) > MATRIX)
    means = Means(np.zeros(shape[1]), np.zeros(shape[1])) if shape[1] <= COLUMNS else None
    square = Square.of(shape[0]) if len(shape) == MATRIX and shape[0] == shape[1] > MATRIX else None
    return rows, means, square
