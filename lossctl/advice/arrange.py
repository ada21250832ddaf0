"""Losses of the same rows paired in other ways: which rows are looked at, and what each pairing of them gives.

All of small data is looked at, of large data rows in pieces that are spread over it, since a shift shows only in rows that
follow one another.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import dear
from lossctl.engine import reduced
from lossctl.errors import LossctlError
from lossctl.pieces import unreduced
from lossctl.values import cast, finite_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.advice.sight import Sight
    from lossctl.binding import Bound, Slot
    from lossctl.blocks import NumPyArray

# Below this a tenfold cut is chance too often: with 20 labels of two kinds, one in a million orders fits them all.
FEWEST = 20
ROWS = 20_000
# So many numbers an array cost a wide loss, such as cross_entropy, under a millisecond a pairing.
NUMBERS = 1 << 16
PIECES = 20
# Up to so many numbers, all pairings take less than a millisecond, and are tried whatever the loss.
CHEAP = 1 << 12
# What is read in few places where each costs far more than its bytes.
FEW = 3
SHORTEST = 10
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False, repr=False)
class Tried:
    """One pairing: its mean, and each row's own loss, NaN where a row counts for nothing."""

    mean: float
    values: NumPyArray


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    """The rows of one loss that are looked at; `whole` arrays are read once, and pieces from their files."""

    bound: Bound
    options: Any
    index: NumPyArray
    everything: bool
    read: dict[str, NumPyArray] = field(default_factory=dict)

    @cached_property
    def own(self) -> dict[str, NumPyArray]:
        """Every input's rows as they were given."""
        return {slot.input.name: self._taken(slot, self.index) for slot in self.bound.slots}

    @cached_property
    def given(self) -> Tried | None:
        """The pairing that was given."""
        return self._tried(self.own)

    def chance(self, step: int = 1) -> Tried | None:
        """Pairs that have nothing to do with one another: the yardstick of a loss that is no better than chance."""
        order = scattered(len(self.index), step)
        mixed = {s.input.name: np.take(self.own[s.input.name], order, s.axis) for s in self.bound.slots if of_target(s)}
        return self._tried({**self.own, **mixed})

    def paired(self, ours: NumPyArray, theirs: NumPyArray) -> Tried | None:
        """Pair rows `ours` of the prediction, and of all that goes with it, with rows `theirs` of the target.

        Returns None where they give no finite number.
        """
        wanted = {slot.input.name: theirs if of_target(slot) else ours for slot in self.bound.slots}
        arrays = {
            slot.input.name: self.own[slot.input.name]
            if wanted[slot.input.name] is self.index
            else self._taken(slot, wanted[slot.input.name])
            for slot in self.bound.slots
        }
        return self._tried(arrays)

    def each(self, pairs: Sequence[tuple[NumPyArray, NumPyArray]]) -> list[Tried | None]:
        """The same of several pairings: those of little data at once, since a call costs more there than its numbers."""
        if self.everything and self.bound.n * self.bound.elements <= CHEAP:
            ours, theirs = (np.concatenate(side) for side in zip(*pairs, strict=True))
            wanted = {slot.input.name: theirs if of_target(slot) else ours for slot in self.bound.slots}
            arrays = {slot.input.name: self._taken(slot, wanted[slot.input.name]) for slot in self.bound.slots}
            # Where one pairing is refused, the others are not.
            with suppress(LossctlError):
                return tried_each(self.bound, arrays, self.options, len(pairs))
        return [self.paired(*pair) for pair in pairs]

    def _tried(self, arrays: Mapping[str, NumPyArray]) -> Tried | None:
        try:
            return tried(self.bound, arrays, self.options)
        except LossctlError:
            # CTC refuses labels that are longer than the frames they are now paired with.
            return None

    def _taken(self, slot: Slot, rows: NumPyArray) -> NumPyArray:
        if slot.axis is None:
            return self._whole(slot, slot.reader.shape[0] if slot.reader.shape else 1)
        return np.take(self._whole(slot, self.bound.n), rows, slot.axis) if self.everything else gathered(slot, rows)

    def _whole(self, slot: Slot, length: int) -> NumPyArray:
        if slot.input.name not in self.read:
            self.read[slot.input.name] = slot.reader.read(0, length, slot.axis or 0)
        return self.read[slot.input.name]


def rows_of(sight: Sight) -> Rows | None:
    """Choose the rows to look at, without the first and the last: each has a neighbour on both sides, in every pairing.

    Returns None where there are too few, or where samples are so large that looking at enough of them would take long.
    """
    n, count = sight.bound.n, min(ROWS, NUMBERS // max(1, sight.bound.elements))
    if min(n, count) < FEWEST:
        return None
    if n <= count:
        return Rows(sight.bound, sight.options, np.arange(1, n - 1), everything=True)
    pieces = min(FEW if is_dear(sight.bound) else PIECES, max(1, count // SHORTEST))
    length = min(count, n - 2) // pieces
    # They lie at least `length` apart, since all together are no longer than the data.
    starts = np.linspace(1, n - 1 - length, pieces).astype(np.int64)
    index = (starts[:, None] + np.arange(length)).ravel()
    return Rows(sight.bound, sight.options, index, everything=False)


def is_dear(bound: Bound) -> bool:
    """Whether single rows of some input cost far more than their bytes."""
    return any(slot.axis is not None and dear(slot.reader) for slot in bound.slots)


def of_target(slot: Slot) -> bool:
    """Whether an input goes with the target: CTC's targets have lengths that move with them."""
    return slot.input.name.startswith("target")


def gathered(slot: Slot, rows: NumPyArray) -> NumPyArray:
    """Read single rows, those that follow one another in one piece."""
    axis, rising = slot.axis or 0, bool((np.diff(rows) > 0).all())
    wanted, back = (rows, None) if rising else np.unique(rows, return_inverse=True)
    ends = np.flatnonzero(np.diff(wanted) != 1) + 1
    pieces = [slot.reader.read(int(run[0]), int(run[-1]) + 1, axis) for run in np.split(wanted, ends)]
    read = np.concatenate(pieces, axis)
    return read if back is None else np.take(read, back, axis)


def tried(bound: Bound, arrays: Mapping[str, NumPyArray], options: Any) -> Tried | None:
    """The mean of the rows that hold only finite numbers, and each one's loss."""
    return tried_each(bound, arrays, options, 1)[0]


def tried_each(bound: Bound, arrays: Mapping[str, NumPyArray], options: Any, parts: int) -> list[Tried | None]:
    """The same of each of `parts` equal parts of the rows, which follow one another.

    Raises: what the loss raises.
    """
    cut = {slot.input.name: slot.axis for slot in bound.slots if slot.axis is not None}
    finite = np.logical_and.reduce([finite_rows(arrays[name], axis) for name, axis in cut.items()])
    kept = {name: np.compress(finite, arrays[name], axis) for name, axis in cut.items()} if not finite.all() else {}
    count = int(finite.sum())
    if not count:
        return [None] * parts
    ready = {s.input.name: cast(kept.get(s.input.name, arrays[s.input.name]), s, options) for s in bound.slots}
    terms = unreduced(bound, ready, np, lambda: np.arange(count))
    sums = {name: term.reshape(count, -1).sum(axis=1) for name, term in _weighed(terms).items()}
    values = np.full(len(finite), np.nan)
    values[finite] = reduced(bound, sums, 1, "mean")
    ends = [0, *np.cumsum(finite.reshape(parts, -1).sum(axis=1)).tolist()]
    totals = {name: np.array([term[low:high].sum() for low, high in pairwise(ends)]) for name, term in sums.items()}
    means = reduced(bound, totals, count, "mean").tolist()
    return [Tried(mean, own) if np.isfinite(mean) else None for mean, own in zip(means, values.reshape(parts, -1), strict=True)]


def _weighed(terms: dict[str, Any]) -> dict[str, Any]:
    return terms if "weight" in terms else {**terms, "weight": np.ones_like(next(iter(terms.values())))}


def scattered(count: int, step: int = 1) -> NumPyArray:
    """An order of `count` rows in steps of about the golden section; numpy.random would take longer to import."""
    stride = max(1, int(count * GOLDEN * step) % count)
    while gcd(stride, count) > 1:
        stride += 1
    return np.arange(count) * stride % count


@lru_cache(maxsize=4)
def ranked(n: int, first: int) -> NumPyArray:
    """The row of each of `n` rows in the string order of numbers from `first`."""
    return string_ranks(np.arange(n) + first, n + first) - first


def string_ranks(numbers: NumPyArray, stop: int) -> NumPyArray:
    """The places that whole numbers take when all from 0 to `stop` - 1 are sorted as text: 0, 1, 10, 100, …, 2, 20.

    Nothing is sorted: of each length, those are counted that come before.
    """
    digits = 1 + np.searchsorted(10 ** np.arange(1, 18), numbers, side="right")
    ranks = np.zeros(len(numbers), np.int64)
    for length in range(1, len(str(stop - 1)) + 1):
        least = 10 ** (length - 1) if length > 1 else 0
        longer = np.maximum(length - digits, 0)
        head = np.where(length > digits, numbers * 10**longer, numbers // 10 ** np.maximum(digits - length, 0))
        before = np.minimum(head, stop) - least + (length < digits)
        ranks += np.maximum(before, 0)
    return ranks
