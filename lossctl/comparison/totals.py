"""The first pass of a comparison of very many samples: sums over all samples and over each group, and how they are weighed.

Samples that count for nothing in any loss are left out, as they are where all samples are held at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lossctl.statistics.arrays import Floats
    from lossctl.tally import Tally

ALL = -1
Samples = dict[str, Any]


@dataclass
class Part:
    """Some samples under one loss of one system: how many, the sums of its terms, and the least and largest weight.

    `alike` says that the baseline weighs each of them alike under this loss.
    """

    n: int = 0
    sums: Sums = field(default_factory=Sums)
    lightest: float = math.inf
    heaviest: float = -math.inf
    alike: bool = True

    def merge(self, other: Part) -> None:
        """Take in those of a later block."""
        self.n += other.n
        self.sums.merge(other.sums)
        self.lightest, self.heaviest = min(self.lightest, other.lightest), max(self.heaviest, other.heaviest)
        self.alike = self.alike and other.alike


@dataclass
class Parts:
    """What is known of all samples, under ALL, and of each group, under its code."""

    found: dict[int, Any] = field(default_factory=dict)

    def merge(self, other: Parts) -> None:
        """Take in a later block."""
        for code, part in other.found.items():
            if code in self.found:
                self.found[code].merge(part)
            else:
                self.found[code] = part


@dataclass(frozen=True)
class Slicing:
    """Which losses are compared with which: the number of each system's loss, with that of the baseline's; and groups.

    `codes` has the group of every sample of the data, or is None.
    """

    baselines: Mapping[int, int]
    codes: Any = None

    def samples(self, members: Sequence[int], tallies: Sequence[Tally]) -> Iterator[tuple[int, dict[int, Samples]]]:
        """Take the samples out of the tallies: for all and for each group its code, and by loss the sums of its samples."""
        every = {member: tally.samples[0] for member, tally in zip(members, tallies, strict=True) if tally.samples}
        rows = next((tally.rows[0] for tally in tallies if tally.rows), None)
        for tally in tallies:
            tally.rows, tally.samples = [], []
        if rows is None:
            return
        counts = np.any([one["weight"] != 0 for one in every.values()], axis=0)
        kept = slice(None) if counts.all() else np.flatnonzero(counts)
        every = {
            member: {name: np.asarray(term[kept], np.float64) for name, term in one.items()} for member, one in every.items()
        }
        yield ALL, every
        for code, chosen in self._groups(rows[kept]):
            yield code, {member: {name: term[chosen] for name, term in one.items()} for member, one in every.items()}

    def _groups(self, rows: Any) -> Iterator[tuple[int, Any]]:
        if self.codes is None or not len(rows):
            return
        codes = self.codes[rows]
        order = np.argsort(codes, kind="stable")
        present, starts = np.unique(codes[order], return_index=True)
        yield from zip(present.tolist(), np.split(order, starts[1:]), strict=True)


@dataclass(frozen=True)
class Totalling:
    """Digests samples into totals."""

    slicing: Slicing
    level: bool = True

    def __call__(self, members: Sequence[int], tallies: Sequence[Tally]) -> None:
        """Digest one block."""
        found = {member: Parts() for member in members}
        for code, samples in self.slicing.samples(members, tallies):
            for member, own in samples.items():
                base = samples.get(self.slicing.baselines.get(member, member))
                found[member].found[code] = _part(own, None if base is None else base["weight"])
        for member, tally in zip(members, tallies, strict=True):
            tally.found = found[member]


def _part(own: Samples, base: Floats | None) -> Part:
    sums, weights = Sums(), own["weight"]
    for name, term in own.items():
        sums.add(name, float(np.sum(term)))
    ends = (float(weights.min()), float(weights.max())) if len(weights) else (math.inf, -math.inf)
    return Part(len(weights), sums, *ends, alike=base is not None and bool(np.array_equal(base, weights)))
