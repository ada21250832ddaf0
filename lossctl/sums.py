"""Sums that merge exactly, and moments that merge stably.

A sum keeps the totals of its blocks and adds them with `math.fsum`, whose result does not depend on their order. Blocks
are cut at indices that depend only on the loss and the shapes, so threads and machines change no bit.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain

SMALLER = 2.0**-64
# So many totals are kept as they are; more are put into a few that have the same exact sum.
KEPT = 64
# Totals beyond this might overflow on the way, and are left as they are.
LARGEST = 2.0**960


def exact_sum(totals: list[float]) -> float:
    """Add floats with one rounding; NaN and infinities combine as in IEEE arithmetic."""
    try:
        return math.fsum(totals)
    except OverflowError:
        # A partial sum is too large although the whole may not be: powers of two change no digit.
        endless = [total for total in totals if not math.isfinite(total)]
        return sum(endless) if endless else math.fsum(total * SMALLER for total in totals) / SMALLER
    except ValueError:
        return math.nan


def shortened(totals: list[float]) -> list[float]:
    """A few floats whose exact sum is that of all `totals`; these themselves where some are too large.

    Source: Shewchuk 1997, doi:10.1007/PL00009321, as in `math.fsum`.
    """
    if not all(-LARGEST < total < LARGEST for total in totals):
        endless = [total for total in totals if not math.isfinite(total)]
        return [sum(endless)] if endless else totals
    parts: list[float] = []
    for total in totals:
        rest, place = total, 0
        for part in parts:
            large, small = (rest, part) if abs(rest) >= abs(part) else (part, rest)
            rest = large + small
            error = small - (rest - large)
            if error:
                parts[place] = error
                place += 1
        parts[place:] = [rest]
    return parts


@dataclass
class Sums:
    """Block totals by term name, in few numbers whatever the number of blocks."""

    totals: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, total: float) -> None:
        """Append one block's total of one term."""
        self.totals[name].append(total)

    def merge(self, other: Sums) -> None:
        """Take in another part's block totals."""
        for name, totals in other.totals.items():
            own = self.totals[name]
            own.extend(totals)
            if len(own) > KEPT:
                own[:] = shortened(own)

    @property
    def finite(self) -> bool:
        """Whether every total is a finite number."""
        return all(map(math.isfinite, chain.from_iterable(self.totals.values())))

    def finish(self) -> dict[str, float]:
        """Return each term's exact sum."""
        return {name: exact_sum(totals) for name, totals in self.totals.items()}


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations, merged by Chan, Golub and LeVeque's formula (1983)."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def merge(self, other: Moments) -> Moments:
        """Combine two parts without ever forming E[x^2] - E[x]^2."""
        n = self.n + other.n
        if n == 0:
            return self
        step = other.mean - self.mean
        mean = self.mean + step * (other.n / n)
        return Moments(n, mean, self.m2 + other.m2 + step * step * (self.n * other.n / n))

    @property
    def std(self) -> float:
        """The sample standard deviation; NaN for fewer than two values."""
        return math.sqrt(self.m2 / (self.n - 1)) if self.n > 1 else math.nan
