"""What a pass has gathered of each loss, and how the totals of blocks are merged.

Results by sample stay in bounded memory: the best or the worst few, or all of them in a temporary file once they are many. A
`Digest` takes the samples out of a block's totals before they can pile up. What it leaves is merged in the order of blocks, so
that no bit depends on threads.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lossctl.errors import LossctlError
from lossctl.statistics.sums import Moments, Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.losses.backends import Backend
    from lossctl.request.options import Options
    from lossctl.sources.readers import NumPyArray, Part

    Values = Callable[[Bound, "LossTotals"], tuple[NumPyArray, NumPyArray]]


# The first sample of a block, and the one after its last.
Span = tuple[int, int]


class Found(Protocol):
    """What is kept of the samples of some blocks."""

    def merge(self, other: Any) -> None:
        """Take in what a later block has kept."""


@dataclass
class LossTotals:
    """What one loss has gathered: sums over all and by group, and per-sample results where they were asked for.

    `span` is the range of samples of its first block, and `spoiled` that of the first block whose sums are not finite.
    """

    sums: Sums = field(default_factory=Sums)
    groups: dict[int, Sums] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    n: int = 0
    skipped: int = 0
    rows: list[NumPyArray] = field(default_factory=list)
    samples: list[dict[str, NumPyArray]] = field(default_factory=list)
    values: list[NumPyArray] = field(default_factory=list)
    found: Found | None = None
    unfit: LossctlError | None = None
    span: Span | None = None
    spoiled: Span | None = None

    @contextmanager
    def tolerating(self) -> Iterator[None]:
        """Note why a member of a set refuses its values; the others, and later blocks, go on."""
        try:
            yield
        except LossctlError as error:
            self.unfit = self.unfit or error

    def merge(self, other: LossTotals) -> None:
        """Take in what a later block has gathered."""
        self.span = self.span or other.span
        self.spoiled = self.spoiled or other.spoiled or (None if other.sums.finite else other.span)
        self.sums.merge(other.sums)
        for code, sums in other.groups.items():
            self.groups.setdefault(code, Sums()).merge(sums)
            self.counts[code] = self.counts.get(code, 0) + other.counts[code]
        self.unfit = self.unfit or other.unfit
        self.n += other.n
        self.skipped += other.skipped
        self.rows += other.rows
        self.samples += other.samples
        self.values += other.values
        if self.found is None:
            self.found = other.found
        elif other.found is not None:
            self.found.merge(other.found)


def merged(blocks: Iterable[Sequence[LossTotals]]) -> Sequence[LossTotals]:
    """What several blocks have gathered, one after another, as that of one."""
    tallies: list[LossTotals] = []
    for parts in blocks:
        tallies = tallies or [LossTotals() for _ in parts]
        for tally, part in zip(tallies, parts, strict=True):
            tally.merge(part)
    return tallies


@dataclass
class Taking:
    """Takes in blocks in their order.

    To wait for the totals of each block would leave a device idle: where nothing else is kept of blocks, they are held until
    the last one, which `patient` says.
    """

    backend: Backend
    tallies: Sequence[LossTotals]
    patient: bool = False
    held: list[Sequence[LossTotals]] = field(default_factory=list)

    def take(self, parts: Sequence[LossTotals]) -> None:
        """Take in what each loss has gathered in the next block."""
        self.held.append(parts)
        if not (self.patient and self.backend.late):
            self.end()

    def end(self) -> None:
        """Make numbers of totals that a device still holds, and merge what was held."""
        if self.backend.late:
            result = [tally for parts in self.held for tally in parts]
            self.backend.settle(totals for tally in result for totals in tally.sums.totals.values())
        for parts in self.held:
            for tally, part in zip(self.tallies, parts, strict=True):
                tally.merge(part)
        self.held.clear()


class Digest(Protocol):
    """Takes the samples out of the tallies of one block, and leaves in `found` what is kept of them.

    `members` are the numbers of the losses. It runs where the block is folded, and what it leaves there can be pickled.
    Where it is `level`, losses are cut alike, and it sees the same samples of all of them at once.
    """

    @property
    def level(self) -> bool:
        """Whether all losses are cut alike."""

    def __call__(self, members: Sequence[int], tallies: Sequence[LossTotals]) -> None:
        """Digest one block."""


@dataclass
class Pile:
    """Numbers in order (n,), with the moments of each part: in memory while they are few, in a temporary file once not."""

    name: str
    parts: list[NumPyArray] = field(default_factory=list)
    moments: Moments = field(default_factory=Moments)
    _spool: Any = None

    @staticmethod
    def of(name: str, values: NumPyArray) -> Pile:
        """Begin with some numbers; messages about the temporary file call them `name`."""
        with np.errstate(all="ignore"):
            mean = float(values.mean()) if values.size else 0.0
            moments = Moments(values.size, mean, float(((values - mean) ** 2).sum()))
        return Pile(name, [np.asarray(values, np.float64)], moments)

    def merge(self, other: Pile) -> None:
        """Append those of a later block."""
        self.moments = self.moments.merge(other.moments)
        self._pour()
        for part in other.parts:
            self._spool.add([part])

    def _pour(self) -> None:
        """Hand the parts to a spool, which is begun where blocks are merged, and not where they are folded."""
        if self._spool is None:
            from lossctl.sources.spool import Group, Spool

            self._spool = Spool(Group((0,)), self.name)
        for part in self.parts:
            self._spool.add([part])
        self.parts = []

    def __getstate__(self) -> dict[str, Any]:
        """A temporary file cannot be sent anywhere, and what is in it can."""
        numbers = self.done()
        return {**vars(self), "parts": [numbers.read(0, numbers.shape[0])], "_spool": None}

    def done(self) -> Part:
        """All numbers as one array."""
        self._pour()
        part: Part = self._spool.done()
        return part


@dataclass
class Extremes:
    """The numbers and values of at most `most` samples, in the order of samples: the largest, or the smallest."""

    rows: NumPyArray
    values: NumPyArray
    most: int
    largest: bool

    def merge(self, other: Extremes) -> None:
        """Take in those of a later block."""
        self.rows = np.concatenate([self.rows, other.rows])
        self.values = np.concatenate([self.values, other.values])
        self.settle()

    def settle(self) -> None:
        """Leave out all but the foremost; among equals the first samples stay, and NaN is never among them."""
        rank = -self.values if self.largest else self.values
        known = np.flatnonzero(~np.isnan(rank))
        if len(known) > self.most:
            edge = np.partition(rank[known], self.most - 1)[self.most - 1]
            near = known[rank[known] <= edge]
            known = np.sort(near[np.argsort(rank[near], kind="stable")[: self.most]])
        self.rows, self.values = self.rows[known], self.values[known]


@dataclass
class Kept:
    """What is kept of one loss's samples: the foremost ones, or all values that are numbers, or both."""

    extremes: Extremes | None = None
    pile: Pile | None = None

    def merge(self, other: Kept) -> None:
        """Take in what a later block has kept."""
        for mine, theirs in ((self.extremes, other.extremes), (self.pile, other.pile)):
            if mine is not None and theirs is not None:
                mine.merge(theirs)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ByOptions:
    """Keeps what `--worst`, `--best` and `--stats` need of the samples, whose numbers and values `values` makes of sums."""

    bounds: Sequence[Bound]
    options: Options
    values: Values
    level: bool = False

    def __call__(self, members: Sequence[int], tallies: Sequence[LossTotals]) -> None:
        """Digest one block."""
        for member, tally in zip(members, tallies, strict=True):
            if tally.rows:
                tally.found = self._kept(self.bounds[member], *self.values(self.bounds[member], tally))
                tally.rows, tally.samples = [], []

    def _kept(self, bound: Bound, rows: NumPyArray, values: NumPyArray) -> Kept:
        options, kept = self.options, Kept()
        if options.worst or options.best:
            kept.extremes = Extremes(rows, values, options.worst or options.best, bool(options.worst))
            kept.extremes.settle()
        if options.stats:
            kept.pile = Pile.of(bound.loss.name, values[~np.isnan(values)])
        return kept
