"""One gradient on its way out: every part is looked at, written to where it was asked for, and added up where it must be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lossctl.gradient.clipping import Clipped
from lossctl.gradient.profile import Look, Profile, look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.block import Block
    from lossctl.blocks import NumPyArray
    from lossctl.gradient.adjoint import Placed
    from lossctl.gradient.passes import Part
    from lossctl.gradient.shares import ShareLook, Shares
    from lossctl.shapes import Shape
    from lossctl.sinks import Sink


class Coding(Protocol):
    """Says whose gradient is whose."""

    def code(self, gradient: NumPyArray, block: Block) -> tuple[NumPyArray, NumPyArray]:
        """The gradient arranged so that the codes' axes come first, and the codes."""


Sharing = tuple["Shares", Coding]


@dataclass(frozen=True)
class Seen:
    """What was found in one part."""

    look: Look
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

    def work(self, part: Part, name: str) -> Seen:
        """Look at a part and write it; `name` is what the loss calls this input."""
        placed, seen = part.placed[name], part.seen[name]
        shares = [one.look(*coding.code(seen, part.block)) for one, coding in self._sharing()]
        return self.work_on(placed, shares)

    def _sharing(self) -> list[Sharing]:
        return [one for one in (self.classes, self.groups) if one is not None]

    def work_on(self, placed: Placed, shares: Sequence[ShareLook] = ()) -> Seen:
        """The same for what is already placed."""
        if placed.axis is None:
            return Seen(Look(), Clipped(), shares, np.asarray(placed.array, np.float64))
        start = tuple(placed.start if axis == placed.axis else 0 for axis in range(len(self.shape)))
        return self._seen(placed.array, start, placed.axis, shares)

    def _seen(self, array: NumPyArray, start: tuple[int, ...], axis: int, shares: Sequence[ShareLook]) -> Seen:
        for sink in self.sinks:
            sink.put(array, start[axis] if start else 0, axis)
        return Seen(look(array, start, axis, self.tiny), self.clipped.look(array, axis), shares)

    def take(self, part: Seen) -> None:
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
