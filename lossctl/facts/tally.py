"""What is counted of each element: extremes, zeros, moments, distinct values, and whether they are in order."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.facts.moments import Higher
from lossctl.sums import Moments
from lossctl.wholes import beyond, difference, less, wide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.blocks import NumPyArray

# More distinct values than this are no longer counted.
DISTINCT = 1000
# So many elements are looked at first: if they differ too much, none need be sorted.
GLANCE = 4096
# Whole numbers in a range this wide are counted without sorting.
DENSE = 1 << 16
Number = float | int


@dataclass(frozen=True)
class Steps:
    """Differences of neighbours in a series, all NaN where one is missing; `first` and `last` are its ends."""

    n: int = 0
    first: Number = 0.0
    last: Number = 0.0
    least: float = math.inf
    most: float = -math.inf

    @staticmethod
    def of(values: NumPyArray) -> Steps:
        """The steps of a series of floats, or of whole numbers that no float holds, shape (n,)."""
        if not values.size:
            return Steps()
        with np.errstate(invalid="ignore", over="ignore"):
            steps = np.diff(values) if values.dtype.kind == "f" else difference(values[1:], values[:-1])
        ends = values[0].item(), values[-1].item()
        return Steps(values.size, *ends, *((float(steps.min()), float(steps.max())) if steps.size else (math.inf, -math.inf)))

    def merge(self, later: Steps) -> Steps:
        """Append what follows."""
        if not self.n or not later.n:
            return self if self.n else later
        between = later.first - self.last
        least, most = (
            float(pick([a, between, b])) for pick, a, b in ((np.min, self.least, later.least), (np.max, self.most, later.most))
        )
        return Steps(self.n + later.n, self.first, later.last, least, most)

    @property
    def monotone(self) -> bool:
        """Whether nothing goes down, or nothing goes up."""
        return self.n == 1 or self.least >= 0 or self.most <= 0

    @property
    def even(self) -> float | None:
        """The step that all steps are, to nine digits."""
        even = self.least == self.least and 0 <= self.most - self.least <= 1e-9 * abs(self.least)
        return self.least if even and self.least else None


@dataclass(frozen=True)
class Tally:
    """Counts of one part of an array. `distinct` counts each finite value, or is None beyond DISTINCT of them."""

    elements: int = 0
    nan: int = 0
    infinite: int = 0
    low: Number | None = None
    high: Number | None = None
    zeros: int = 0
    ones: int = 0
    negatives: int = 0
    filled: int = 0
    integral: bool = True
    moments: Higher = field(default_factory=Higher)
    distinct: Mapping[Number, int] | None = field(default_factory=dict)
    steps: Steps = field(default_factory=Steps)

    @staticmethod
    def of(array: NumPyArray, *, counting: bool = True) -> Tally:
        """Look at a block of an array of any shape with at least one axis; `counting` says whether values are still few."""
        flat = array.reshape(-1)
        values = flat.astype(np.float64, copy=False)
        # Longer floats are calculated with as float64 everywhere.
        flat = values if flat.dtype.kind == "f" and flat.dtype.itemsize > values.dtype.itemsize else flat
        large = wide(flat.dtype) and beyond(flat)
        steps = Steps.of(flat if large else values) if array.ndim == 1 else Steps()
        finite = np.isfinite(values)
        kept, raw = (values, flat) if finite.all() else (values[finite], flat[finite])
        return Tally(
            elements=flat.size,
            nan=int(np.isnan(values).sum()) if kept is not values else 0,
            infinite=int(np.isinf(values).sum()) if kept is not values else 0,
            low=raw.min().item() + 0 if raw.size else None,
            high=raw.max().item() + 0 if raw.size else None,
            zeros=kept.size - int(np.count_nonzero(kept)),
            ones=int(np.count_nonzero(kept == 1)),
            negatives=int(np.count_nonzero(kept < 0)),
            filled=_filled(array),
            integral=raw.dtype.kind in "biu" or bool((kept == np.floor(kept)).all()),
            moments=_moments(kept, raw if large else None),
            distinct=count(raw) if counting else None,
            steps=steps,
        )

    def merge(self, later: Tally) -> Tally:
        """Append what follows."""
        return Tally(
            elements=self.elements + later.elements,
            nan=self.nan + later.nan,
            infinite=self.infinite + later.infinite,
            low=_outer(min, self.low, later.low),
            high=_outer(max, self.high, later.high),
            zeros=self.zeros + later.zeros,
            ones=self.ones + later.ones,
            negatives=self.negatives + later.negatives,
            filled=self.filled + later.filled,
            integral=self.integral and later.integral,
            moments=_quietly_merged(self.moments, later.moments),
            distinct=_added(self.distinct, later.distinct),
            steps=self.steps.merge(later.steps),
        )

    @property
    def settled(self) -> Higher:
        """The moments; of equal values exactly none, which rounding of their mean would hide."""
        same = self.low is not None and self.low == self.high
        return Higher(Moments(self.finite, float(self.low or 0))) if same else self.moments

    @property
    def finite(self) -> int:
        """How many elements are neither NaN nor infinite."""
        return self.elements - self.nan - self.infinite


def count(raw: NumPyArray) -> dict[Number, int] | None:
    """Count each distinct value; None if a glance shows more than DISTINCT of them."""
    glance = raw[:: max(1, raw.size // GLANCE)]
    if not raw.size or np.unique(glance).size > DISTINCT:
        return None if raw.size else {}
    values, counts = np.unique(raw, return_counts=True) if not _dense(raw) else _binned(raw)
    return {value + 0: number for value, number in zip(values.tolist(), counts.tolist(), strict=True)}


def _dense(raw: NumPyArray) -> bool:
    low, high = float(raw.min()), float(raw.max())
    return high - low < DENSE and abs(low) < 1 << 52 and bool((raw == np.floor(raw)).all())


def _binned(raw: NumPyArray) -> tuple[NumPyArray, NumPyArray]:
    low = int(raw.min())
    counts = np.bincount(raw.astype(np.int64).reshape(-1) - low)
    used = np.flatnonzero(counts)
    return (used + low).astype(raw.dtype if raw.dtype.kind != "b" else np.int64), counts[used]


def _filled(array: NumPyArray) -> int:
    """How many samples hold something else than zero."""
    return int(np.count_nonzero(array if array.ndim == 1 else array.reshape(len(array), -1).any(axis=1))) if array.size else 0


def _moments(kept: NumPyArray, large: NumPyArray | None) -> Higher:
    """The moments of finite values; of `large` whole numbers by their differences from the first, which are exact."""
    # Fourth powers of numbers beyond 1e77 overflow: the figures built on them are then missing, and others stand.
    with np.errstate(over="ignore", invalid="ignore"):
        if large is None:
            return Higher.of(kept)
        found = Higher.of(less(large, large[:1]))
        return replace(found, low=replace(found.low, mean=float(large[0]) + found.low.mean))


def _quietly_merged(one: Higher, other: Higher) -> Higher:
    with np.errstate(over="ignore", invalid="ignore"):
        return one.merge(other)


def _outer(pick: Any, one: Number | None, other: Number | None) -> Number | None:
    given = [value for value in (one, other) if value is not None]
    return pick(given) if given else None


def _added(one: Mapping[Number, int] | None, other: Mapping[Number, int] | None) -> Mapping[Number, int] | None:
    if one is None or other is None:
        return None
    total = dict(one)
    for value, number in other.items():
        total[value] = total.get(value, 0) + number
    return total if len(total) <= DISTINCT else None
