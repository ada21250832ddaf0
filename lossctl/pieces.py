"""A block piece by piece: arrays are read in blocks, and calculated with in pieces that a processor's own cache holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import cuts
from lossctl.errors import NothingLeft

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.binding import Bound, Slot
    from lossctl.block import Backend, Block
    from lossctl.blocks import NumPyArray
    from lossctl.tally import Tally

Arrays = dict[str, Any]


def unreduced(bound: Bound, arrays: Arrays, xp: Any, index: Callable[[], NumPyArray] | None = None) -> Arrays:
    """Call the loss's two hooks on one block, whose samples have the numbers `index()`: its guard, then its terms."""
    inputs = [arrays[argument.name] for argument in bound.loss.signature.inputs]
    tensors = {argument.name: arrays.get(argument.name) for argument in bound.loss.signature.tensors}
    if bound.loss.guard is not None:
        bound.loss.guard(xp, np.arange(bound.n) if index is None else index(), *inputs, **bound.params)
    with np.errstate(all="ignore"):
        result = bound.loss.terms(xp, *inputs, **tensors, **bound.params)
    return dict(result) if isinstance(result, dict) else {"value": result}


@dataclass
class Piece:
    """Some of the samples of a block that count; losses that need an array in one type share it."""

    block: Block
    start: int
    stop: int
    casts: dict[Any, Any] = field(default_factory=dict)

    def arrays(self, bound: Bound) -> Arrays:
        """The arrays of a loss, in the backend's hands."""
        return {slot.input.name: self._cast(slot, bound) for slot in bound.slots}

    def index(self) -> NumPyArray:
        """The numbers of the samples."""
        return self.block.index[self.start : self.stop]

    def _cast(self, slot: Slot, bound: Bound) -> Any:
        key = self.block.key(slot, bound)
        if key not in self.casts:
            array = self.block.looked_at(slot, bound)
            span = (slice(None),) * (slot.axis or 0) + (slice(self.start, self.stop),)
            self.casts[key] = self.block.cast(slot, array if slot.axis is None else array[span])
        return self.casts[key]


def add_pieces(tallies: Sequence[Tally], bounds: Sequence[Bound], block: Block, rows: int) -> None:
    """Add every loss's terms of a block in pieces of `rows` samples, 0 being all; nothing else is kept of them.

    Raises: NotFinite, OutOfDomain, NothingLeft.
    """
    for bound, tally in zip(bounds, tallies, strict=True):
        with tally.tolerating(optional=bound.optional):
            check_some(bound, block)
        tally.n += block.kept
        tally.skipped += block.stop - block.start - block.kept
    for start, stop in cuts(block.kept, min(1, rows), block=rows):
        piece = Piece(block, start, stop)
        for bound, tally in zip(bounds, tallies, strict=True):
            if tally.unfit is None:
                with tally.tolerating(optional=bound.optional):
                    terms = unreduced(bound, piece.arrays(bound), block.backend.xp, piece.index)
                    add_sums(tally, terms, block.backend)
    for bound, tally in zip(bounds, tallies, strict=True):
        if tally.unfit is None:
            with tally.tolerating(optional=bound.optional):
                inspect_late(tally, bound, block)


def inspect_late(tally: Tally, bound: Bound, block: Block) -> None:
    """Look at the inputs of a loss that has put it off, if its sums are not finite.

    Raises: NotFinite.
    """
    if block.defers(bound) and not tally.sums.finite:
        block.inspect(bound)


def add_sums(tally: Tally, terms: Arrays, backend: Backend) -> None:
    """Add the sums of all terms; without weights each element of them counts for one."""
    for name, term in terms.items():
        tally.sums.add(name, backend.total(term))
    if "weight" not in terms:
        tally.sums.add("weight", float(prod(next(iter(terms.values())).shape)))


def check_some(bound: Bound, block: Block) -> None:
    """A property of all samples needs some.

    Raises: NothingLeft.
    """
    if bound.loss.whole and not block.kept:
        message = f"{bound.loss.name} has no samples to work on: all {bound.n} are skipped or masked."
        raise NothingLeft(message, hint="Leave at least one sample.")
