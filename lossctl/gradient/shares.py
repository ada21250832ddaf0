"""Who the gradient comes from: its length by class or by group, and whether groups pull in opposite directions.

The pull of a group is its samples' gradients added up: what a bias that they share, the last layer's, would feel. The cosine
between the pulls of two groups is below 0 where training on one harms the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.blocks import NumPyArray

# Pulls are not added up where they would take more than so many numbers.
PULLS = 1 << 22


@dataclass(frozen=True)
class ShareLook:
    """One part: squared lengths and numbers of samples by group, and the groups' pulls where they are wanted."""

    squares: NumPyArray
    counts: NumPyArray
    pulls: NumPyArray | None = None


@dataclass
class Shares:
    """Squared lengths, counts and pulls by group, over all parts so far."""

    names: Sequence[str]
    pulling: bool = False
    squares: NumPyArray = field(init=False)
    counts: NumPyArray = field(init=False)
    pulls: NumPyArray | None = None

    def __post_init__(self) -> None:
        """Begin at zero."""
        self.squares = np.zeros(len(self.names))
        self.counts = np.zeros(len(self.names), np.int64)

    def look(self, gradient: NumPyArray, codes: NumPyArray) -> ShareLook:
        """Look at a part whose samples lie along the first axes, as many as `codes` has; negative codes count for nothing."""
        flat = np.asarray(gradient, np.float64).reshape(codes.size, prod(gradient.shape[codes.ndim :]))
        kept = codes.reshape(-1) >= 0
        flat, numbers = flat[kept], codes.reshape(-1)[kept]
        size = len(self.names)
        squares = np.bincount(numbers, weights=np.einsum("ij,ij->i", flat, flat), minlength=size)
        pulling = self.pulling and size * flat.shape[1] <= PULLS
        return ShareLook(squares, np.bincount(numbers, minlength=size), _pulls(flat, numbers, size) if pulling else None)

    def add(self, part: ShareLook) -> None:
        """Take in a later part."""
        self.squares += part.squares
        self.counts += part.counts
        if part.pulls is not None:
            self.pulls = part.pulls if self.pulls is None else self.pulls + part.pulls

    def rows(self) -> list[dict[str, Any]]:
        """One row a group that has samples: name, count, length of its gradient, and its share of the squared length."""
        total = float(self.squares.sum())
        return [
            {"group": name, "n": int(n), "norm": math.sqrt(square), "share": square / total if total else math.nan}
            for name, n, square in zip(self.names, self.counts.tolist(), self.squares.tolist(), strict=True)
            if n
        ]

    def cosines(self) -> list[dict[str, Any]]:
        """The cosine between the pulls of every two groups; none where one of them pulls nowhere."""
        return cosines(self.names, self.pulls @ self.pulls.T) if self.pulls is not None else []


def cosines(names: Sequence[str], products: NumPyArray) -> list[dict[str, Any]]:
    """Cosines between vectors, of whose inner products `products` is the matrix."""
    lengths = np.sqrt(np.diag(products))
    return [
        {"one": names[i], "other": names[j], "cosine": float(products[i, j] / (lengths[i] * lengths[j]))}
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if lengths[i] * lengths[j] > 0
    ]


def _pulls(flat: NumPyArray, numbers: NumPyArray, size: int) -> NumPyArray:
    order = np.argsort(numbers, kind="stable")
    present, starts = np.unique(numbers[order], return_index=True)
    pulls = np.zeros((size, flat.shape[1]))
    if present.size:
        pulls[present] = np.add.reduceat(flat[order], starts, axis=0)
    return pulls
