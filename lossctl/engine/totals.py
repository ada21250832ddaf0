"""What a pass has gathered of each loss, and how what blocks have gathered is taken in."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lossctl.errors import LossctlError
from lossctl.statistics.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lossctl.losses.backends import Backend
    from lossctl.sources.readers import NumPyArray

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
    def tolerating(self, *, optional: bool) -> Iterator[None]:
        """Note why an `optional` loss refuses its values; the others, and later blocks, go on."""
        try:
            yield
        except LossctlError as error:
            if not optional:
                raise
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
            found = [tally for parts in self.held for tally in parts]
            self.backend.settle(totals for tally in found for totals in tally.sums.totals.values())
        for parts in self.held:
            for tally, part in zip(self.tallies, parts, strict=True):
                tally.merge(part)
        self.held.clear()
