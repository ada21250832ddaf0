"""Moments up to the fourth, and of two arrays together, merged from parts without sums of powers.

Formulas: Pebay 2008, SAND2008-6212; for two parts they are Chan's, and no digits cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lossctl.sums import Moments

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray


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
