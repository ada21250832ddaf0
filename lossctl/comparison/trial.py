"""A loss on some of the samples, held in memory, of which only the prediction changes: a constant is tried in its place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.block import Block, Selection
from lossctl.blocks import Memory, cuts, whole
from lossctl.engine import reduced
from lossctl.errors import LossctlError
from lossctl.fold import counted
from lossctl.pieces import unreduced

if TYPE_CHECKING:
    from lossctl.binding import Bound
    from lossctl.block import Backend
    from lossctl.blocks import NumPyArray, Reader
    from lossctl.spec import Options

# So many samples are searched, and about so many of them first.
SEARCHED, FIRST = 100_000, 2_000


@dataclass
class Drawn:
    """The samples that constants are tried on, the same for all losses: what is read of a source is read once."""

    seed: int = 0
    rows: dict[int, NumPyArray] = field(default_factory=dict)
    taken: dict[tuple[int, int | None], tuple[Reader, Memory]] = field(default_factory=dict)

    def take(self, reader: Reader, axis: int | None, n: int) -> Memory:
        """The chosen ones of `n` samples along `axis`, or all of what has no sample axis."""
        key = (id(reader), axis)
        if key not in self.taken:
            array = whole(reader) if axis is None else _read(reader, axis, self._rows(n), n)
            # The reader is kept too: its number may not be given to another one.
            self.taken[key] = reader, Memory(array, reader.name)
        return self.taken[key][1]

    def _rows(self, n: int) -> NumPyArray:
        if n not in self.rows:
            rng = np.random.Generator(np.random.Philox(self.seed))
            self.rows[n] = np.sort(rng.choice(n, SEARCHED, replace=False)) if n > SEARCHED else np.arange(n)
        return self.rows[n]


def _read(reader: Reader, axis: int, rows: NumPyArray, n: int) -> NumPyArray:
    """Read some samples, block by block."""
    if len(rows) == n:
        return reader.read(0, n, axis)
    parts = []
    for start, stop in cuts(n, max(1, math.prod(reader.shape) // n)):
        inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
        parts.append(np.take(reader.read(start, stop, axis), inside - start, axis=axis))
    return np.concatenate(parts, axis=axis)


@dataclass(frozen=True)
class Trial:
    """One loss with its inputs checked and cast."""

    bound: Bound
    block: Block
    arrays: dict[str, Any]

    @property
    def targets(self) -> NumPyArray:
        """The finite targets that count."""
        found = np.asarray(self.arrays["target"], np.float64).reshape(-1)
        return found[np.isfinite(found)]

    def loss(self, constant: float) -> float:
        """The mean loss of a constant prediction; infinite where the loss refuses it, or is no number."""
        arrays = {**self.arrays, "pred": np.full_like(self.arrays["pred"], constant)}
        try:
            terms = unreduced(self.bound, arrays, np, lambda: self.block.index)
        except LossctlError:
            return math.inf
        terms = {"weight": np.ones_like(next(iter(terms.values())))} | terms
        with np.errstate(all="ignore"):
            sums = {name: np.sum(term, dtype=np.float64) for name, term in counted(terms, self.block).items()}
        found = float(reduced(self.bound, sums, self.block.kept, "mean"))
        return math.inf if math.isnan(found) else found


def trials(bound: Bound, options: Options, selection: Selection, backend: Backend, drawn: Drawn) -> tuple[Trial, Trial]:
    """The loss on a few samples at even distances of those that were drawn, and on all of these.

    Raises: what reading and checking inputs raises.
    """
    n = min(bound.n, SEARCHED)
    every = replace(bound, n=n, slots=tuple(replace(s, reader=drawn.take(s.reader, s.axis, bound.n)) for s in bound.slots))
    given = (selection.weights, selection.mask)
    weights, mask = (None if one is None else drawn.take(one, 0, bound.n) for one in given)
    step = -(-n // FIRST)
    few = replace(bound, n=-(-n // step), slots=tuple(replace(s, reader=_thin(s.reader, s.axis, step)) for s in every.slots))
    thin = Selection(weights and _thin(weights, 0, step), mask and _thin(mask, 0, step))
    pairs = ((few, thin), (every, Selection(weights, mask)))
    first, second = (_trial(one, options, part, backend) for one, part in pairs)
    return first, second


def _thin(reader: Reader, axis: int | None, step: int) -> Memory:
    array = whole(reader)
    return Memory(array if axis is None else array[(slice(None),) * axis + (slice(None, None, step),)], reader.name)


def _trial(bound: Bound, options: Options, selection: Selection, backend: Backend) -> Trial:
    block = Block(0, bound.n, options, selection, backend)
    block.select([bound])
    return Trial(bound, block, {slot.input.name: block.ready(slot, bound) for slot in bound.slots})
