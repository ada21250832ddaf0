"""Who the gradient comes from: its length by class or by group, and whether groups pull in opposite directions.

The pull of a group is its samples' gradients added up: what a bias that they share, the last layer's, would feel. The cosine
between the pulls of two groups is below 0 where training on one harms the other.

What clipping would do to a gradient: by its norm as torch.nn.utils.clip_grad_norm_ has it, by value as clip_grad_value_.

One gradient on its way out: every part is looked at, written to where it was asked for, and added up where it must be.

`grad`: compute the loss, differentiate it block by block, and say what the gradient looks like.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lossctl.gradient.profile import PartFigures, Profile, lengths, look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.engine.block import Block
    from lossctl.gradient.passes import GradientPart, Placed
    from lossctl.gradient.sinks import Sink
    from lossctl.sources.readers import NumPyArray
    from lossctl.sources.shapes import Shape


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


# torch adds this to the norm before it divides by it.
EPSILON = 1e-6


@dataclass
class Clipped:
    """Counts of what a bound on each sample's length, and one on each element, would touch."""

    norm: float | None = None
    value: float | None = None
    long: int = 0
    large: int = 0
    touched: int = 0
    square: float = 0.0
    product: float = 0.0

    def fresh(self) -> Clipped:
        """The same bounds, with nothing counted."""
        return Clipped(self.norm, self.value)

    def look(self, array: NumPyArray, axis: int) -> Clipped:
        """Look at a part whose samples lie along `axis`."""
        found = self.fresh()
        if not array.size:
            return found
        values = np.asarray(array, np.float64)
        if self.norm is not None:
            found.long = int(np.count_nonzero(lengths(values, axis) > self.norm))
        if self.value is not None:
            over = np.abs(values) > self.value
            found.large = int(np.count_nonzero(over))
            others = tuple(place for place in range(over.ndim) if place != axis)
            found.touched = int(np.count_nonzero(over.any(axis=others))) if over.ndim else int(over)
            cut = np.clip(values, -self.value, self.value)
            found.square, found.product = float(np.vdot(cut, cut)), float(np.vdot(cut, values))
        return found

    def add(self, part: Clipped) -> None:
        """Take in a later part."""
        for name in ("long", "large", "touched", "square", "product"):
            setattr(self, name, getattr(self, name) + getattr(part, name))

    def facts(self, found: Profile) -> dict[str, Any]:
        """The norm before and after, and shares of samples and elements touched."""
        facts: dict[str, Any] = {}
        samples = max(1, found.samples)
        if self.norm is not None:
            factor = min(1.0, self.norm / (found.norm + EPSILON))
            alive = int(found.crowd.sum())
            touched = alive / samples if factor < 1 else 0.0
            facts["by_norm"] = {
                "bound": self.norm,
                "before": found.norm,
                "after": found.norm * factor,
                "factor": factor,
                "samples_touched": touched,
                "samples_longer_than_bound": self.long / samples,
            }
        if self.value is not None:
            after = math.sqrt(self.square)
            facts["by_value"] = {
                "bound": self.value,
                "before": found.norm,
                "after": after,
                "elements_touched": self.large / max(1, found.n),
                "samples_touched": self.touched / samples,
                "cosine": self.product / (after * found.norm) if after * found.norm else math.nan,
            }
        return facts


class Coding(Protocol):
    """Says whose gradient is whose."""

    def code(self, gradient: NumPyArray, block: Block) -> tuple[NumPyArray, NumPyArray]:
        """The gradient arranged so that the codes' axes come first, and the codes."""


Sharing = tuple["Shares", Coding]


@dataclass(frozen=True)
class SeenPart:
    """What was found in one part."""

    look: PartFigures
    clipped: Clipped
    shares: Sequence[ShareLook]
    added: NumPyArray | None = None


@dataclass
class Gradient:
    """The gradient by one source of `shape`, written as `dtype`.

    Sizes below `tiny` count as small; classes and groups have shares in it, each with what codes a block for them. `added`
    is the whole gradient where every part adds to all of it.
    """

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    tiny: float
    sinks: Sequence[Sink] = ()
    clipped: Clipped = field(default_factory=Clipped)
    classes: Sharing | None = None
    groups: Sharing | None = None
    profile: Profile = field(default_factory=Profile)
    added: NumPyArray | None = None

    def work(self, part: GradientPart, name: str) -> SeenPart:
        """Look at a part and write it; `name` is what the loss calls this input."""
        placed, seen = part.placed[name], part.seen[name]
        shares = [one.look(*coding.code(seen, part.block)) for one, coding in self._sharing()]
        return self.work_on(placed, shares)

    def _sharing(self) -> list[Sharing]:
        return [one for one in (self.classes, self.groups) if one is not None]

    def work_on(self, placed: Placed, shares: Sequence[ShareLook] = ()) -> SeenPart:
        """The same for what is already placed."""
        if placed.axis is None:
            return SeenPart(PartFigures(), Clipped(), shares, np.asarray(placed.array, np.float64))
        start = tuple(placed.start if axis == placed.axis else 0 for axis in range(len(self.shape)))
        return self._seen(placed.array, start, placed.axis, shares)

    def _seen(self, array: NumPyArray, start: tuple[int, ...], axis: int, shares: Sequence[ShareLook]) -> SeenPart:
        for sink in self.sinks:
            sink.put(array, start[axis] if start else 0, axis)
        return SeenPart(look(array, start, axis, self.tiny), self.clipped.look(array, axis), shares)

    def take(self, part: SeenPart) -> None:
        """Take in what was found in a later part."""
        self.profile.add(part.look)
        self.clipped.add(part.clipped)
        for (one, _), found in zip(self._sharing(), part.shares, strict=False):
            one.add(found)
        if part.added is not None:
            self.added = part.added if self.added is None else self.added + part.added

    def finish(self) -> None:
        """Look at and write what had to be added up first."""
        if self.added is not None:
            self.take(self._seen(self.added.reshape(self.shape), (0,) * len(self.shape), 0, []))
            self.added = None
