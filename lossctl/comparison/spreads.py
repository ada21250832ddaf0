"""The second pass of a comparison of very many samples: how far differences vary, once it is known what they are divided by.

Of a mean the differences themselves are looked at. Of any other loss it is how far the difference of the two losses moves
without each sample, which is the jackknife of a smaller comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from lossctl.comparison.totals import Parts
from lossctl.engine import reduced
from lossctl.facts.moments import Higher
from lossctl.loss import weighted_mean
from lossctl.sums import Moments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.binding import Bound
    from lossctl.comparison.totals import Part, Samples, Slicing
    from lossctl.statistics.arrays import Floats
    from lossctl.tally import Tally


@dataclass(frozen=True)
class Total:
    """One loss of one system over some samples: how many count, their sums, and the reduction.

    `n` is what a batch mean divides by.
    """

    bound: Bound
    part: Part
    n: int
    reduction: str

    @cached_property
    def sums(self) -> dict[str, float]:
        """The sums of the terms."""
        return self.part.sums.finish()

    @property
    def value(self) -> float:
        """The reduced loss."""
        return float(reduced(self.bound, self.sums, self.n, self.reduction))

    @property
    def scale(self) -> float | None:
        """What makes of a sample's sum the value whose mean the loss is; None for a loss that is no mean."""
        if "value" not in self.sums:
            return None
        if self.reduction in {"sum", "batchmean"}:
            return self.part.n if self.reduction == "sum" else self.part.n / self.n
        if self.bound.loss.finish is not weighted_mean and self.bound.loss.origin == "lossctl":
            return None
        return self.part.n / self.sums["weight"]

    def without(self, own: Samples) -> Floats:
        """How much larger the loss is with each sample than without it."""
        with np.errstate(all="ignore"):
            left = {name: self.sums[name] - term for name, term in own.items()}
            return self.value - np.asarray(reduced(self.bound, left, self.n, self.reduction), np.float64)


@dataclass(frozen=True)
class Both:
    """The totals of a system and of its baseline under one loss."""

    base: Total
    other: Total

    @property
    def scales(self) -> tuple[float, float] | None:
        """Both scales, where the difference of the losses is a mean of differences by sample."""
        one, other = self.base.scale, self.other.scale
        return (one, other) if one is not None and other is not None and self.other.part.alike else None

    @property
    def evenly(self) -> bool:
        """Whether every sample counts for the same in the mean, or in a sum for itself."""
        part = self.base.part
        return self.base.reduction in {"sum", "batchmean"} or part.lightest == part.heaviest

    def spread(self, base: Samples, other: Samples) -> Spread:
        """What one block adds."""
        same = all(np.array_equal(base[name], other[name]) for name in base)
        if self.scales is None:
            return Spread(Higher.of(self.other.without(other) - self.base.without(base)), same)
        values = [own["value"] * scale for own, scale in zip((base, other), self.scales, strict=True)]
        apart = values[1] - values[0]
        signs = int(np.count_nonzero(apart < 0)), int(np.count_nonzero(apart > 0))
        moments = Higher.of(apart)
        moved = moments if self.evenly else Higher.of(self._moved(apart, base["weight"]))
        return Spread(moved, same, *signs, Levels.of(values[0]), Levels.of(values[1]), moments.low)

    def _moved(self, apart: Floats, weights: Floats) -> Floats:
        """How much each sample moves a weighted mean of differences."""
        n, mean = self.base.part.n, self.other.value - self.base.value
        even = weights * (n / self.base.sums["weight"])
        with np.errstate(all="ignore"):
            return (apart - mean * even) / (n - even)


@dataclass
class Levels:
    """Whether values are all 0 or one other number, which is `high`."""

    high: float = 0.0
    two: bool = True

    @staticmethod
    def of(values: Floats) -> Levels:
        """Look at one block."""
        high = float(values.max(initial=0.0))
        return Levels(high, bool(((values == 0) | (values == high)).all()))

    def merge(self, other: Levels) -> None:
        """Take in a later block."""
        alike = self.high == other.high or not self.high or not other.high
        self.two = self.two and other.two and alike
        self.high = max(self.high, other.high)

    @property
    def binary(self) -> bool:
        """Whether both occur."""
        return self.two and self.high > 0


@dataclass
class Spread:
    """How the samples of a pair differ: moments of how far each moves the difference of the losses.

    Where this is a mean of differences, `less` and `more` count their signs, and `apart` are their own moments.
    """

    moments: Higher
    same: bool
    less: int = 0
    more: int = 0
    base: Levels = field(default_factory=Levels)
    other: Levels = field(default_factory=Levels)
    apart: Moments = field(default_factory=Moments)

    def merge(self, later: Spread) -> None:
        """Take in a later block."""
        with np.errstate(all="ignore"):
            self.moments = self.moments.merge(later.moments)
            self.apart = self.apart.merge(later.apart)
        self.same = self.same and later.same
        self.less, self.more = self.less + later.less, self.more + later.more
        self.base.merge(later.base)
        self.other.merge(later.other)


@dataclass(frozen=True)
class Spreading:
    """Digests samples into spreads of the pairs in `both`, by group and number of the system's loss."""

    slicing: Slicing
    both: Mapping[tuple[int, int], Both]
    level: bool = True

    def __call__(self, members: Sequence[int], tallies: Sequence[Tally]) -> None:
        """Digest one block."""
        found = {member: Parts() for member in members}
        for code, samples in self.slicing.samples(members, tallies):
            for member, own in samples.items():
                pair = self.both.get((code, member))
                if pair is not None:
                    with np.errstate(all="ignore"):
                        found[member].found[code] = pair.spread(samples[self.slicing.baselines[member]], own)
        for member, tally in zip(members, tallies, strict=True):
            tally.found = found[member]
