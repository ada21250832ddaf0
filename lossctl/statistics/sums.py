"""Sums that merge exactly, and moments that merge stably.

A sum keeps the totals of its blocks and adds them with `math.fsum`, whose result does not depend on their order. Blocks are
cut at indices that depend only on the loss and the shapes, so threads and machines change no bit. Moments up to the fourth,
and of two arrays together, are merged from parts without sums of powers, so that no digits cancel (Pebay 2008, SAND2008-6212;
for two parts the formulas are Chan's).
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lossctl.sources.readers import NumPyArray


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


@dataclass(frozen=True)
class Higher:
    """Count, mean, and sums of deviations from it to the powers 2, 3 and 4."""

    low: Moments = field(default_factory=Moments)
    m3: float = 0.0
    m4: float = 0.0

    @staticmethod
    def of(values: NumPyArray) -> Higher:
        """The moments of finite float64 values, shape (n,)."""
        if not values.size:
            return Higher()
        mean = float(values.mean())
        step = values - mean
        square = step * step
        low = Moments(values.size, mean, float(square.sum()))
        return Higher(low, float(np.vdot(square, step)), float(np.vdot(square, square)))

    def merge(self, other: Higher) -> Higher:
        """Combine two parts."""
        a, b = self.low, other.low
        if not a.n or not b.n:
            return self if a.n else other
        n, step = a.n + b.n, b.mean - a.mean
        square = step * step
        m3 = self.m3 + other.m3 + square * step * (a.n * b.n * (a.n - b.n) / n**2) + 3 * step * (a.n * b.m2 - b.n * a.m2) / n
        m4 = self.m4 + other.m4 + square * square * (a.n * b.n * (a.n**2 - a.n * b.n + b.n**2) / n**3)
        m4 += 6 * square * (a.n**2 * b.m2 + b.n**2 * a.m2) / n**2 + 4 * step * (a.n * other.m3 - b.n * self.m3) / n
        return Higher(a.merge(b), m3, m4)

    @property
    def variance(self) -> float:
        """The mean squared deviation."""
        return self.low.m2 / self.low.n if self.low.n else math.nan

    @property
    def skew(self) -> float:
        """The third standardised moment; NaN where nothing varies."""
        return _ratio(self.m3 / self.low.n, self.variance * math.sqrt(self.variance)) if self.low.n else math.nan

    @property
    def kurtosis(self) -> float:
        """The fourth standardised moment less 3, which is 0 for a normal distribution; NaN where nothing varies."""
        return _ratio(self.m4 / self.low.n, self.variance * self.variance) - 3 if self.low.n else math.nan


@dataclass(frozen=True)
class Joint:
    """Count, means, and sums of squared and multiplied deviations of pairs of numbers."""

    x: Moments = field(default_factory=Moments)
    y: Moments = field(default_factory=Moments)
    product: float = 0.0

    @staticmethod
    def of(x: NumPyArray, y: NumPyArray) -> Joint:
        """The moments of finite float64 pairs, each of shape (n,)."""
        if not x.size:
            return Joint()
        means = float(x.mean()), float(y.mean())
        dx, dy = x - means[0], y - means[1]
        first, second = Moments(x.size, means[0], float(np.vdot(dx, dx))), Moments(y.size, means[1], float(np.vdot(dy, dy)))
        return Joint(first, second, float(np.vdot(dx, dy)))

    def merge(self, other: Joint) -> Joint:
        """Combine two parts."""
        n = self.x.n + other.x.n
        shift = (other.x.mean - self.x.mean) * (other.y.mean - self.y.mean) * (self.x.n * other.x.n / n) if n else 0.0
        return Joint(self.x.merge(other.x), self.y.merge(other.y), self.product + other.product + shift)

    @property
    def correlation(self) -> float:
        """Pearson's correlation; NaN where one side does not vary."""
        return _ratio(self.product, math.sqrt(self.x.m2) * math.sqrt(self.y.m2))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan
