"""What is counted of the elements and rows of an array, in one pass over its blocks.

Of elements: extremes, zeros, moments, distinct values, and whether they are in order. Of rows: sums over the classes, lengths,
and shapes that only boxes have; the classes are axis 1, as in torch, unless only the rows along the last axis add up to 1. Of
labels: how often each occurs, and which stand for none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.sources.values import beyond, difference, less, wide
from lossctl.statistics.sums import Higher, Moments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.sources.readers import NumPyArray, Shape


# Labels that mean "count nothing here": torch's default, the usual one in text, and the border of masks.
BELOW, VOID = (-100, -1), 255
TWO = 2
BY_VALUE = frozenset({"labels", "binary", "plus_minus", "mask"})
BY_COLUMN = frozenset({"one_hot", "simplex"})
IN_COLUMNS = frozenset({*BY_COLUMN, "log_probabilities", "multi_hot", "logits", "probabilities"})
TWO_SIDED = frozenset({"binary", "plus_minus", "mask", "multi_hot"})
NAMES = ("classes", "imbalance", "smallest_share", "entropy", "positive_share", "foreground_share")


def ignored(facts: Mapping[str, Any]) -> Any:
    """The label of whole-numbered data that stands for no class, if there is one: -100 or -1 below, or 255 above a gap."""
    counts = facts["distinct_counts"]
    if not facts["integral"] or not counts or len(counts) <= TWO:
        return None
    values = sorted(counts)
    if values[0] in BELOW and values[1] >= 0:
        return values[0]
    apart = values[-1] == VOID and values[-2] < VOID - 1 and values[0] >= 0 and values[-2] <= TWO * len(values)
    return values[-1] if apart else None


def balance(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Number of classes, how often each occurs, largest over smallest share, the smallest, entropy in bits, and foreground.

    Classes are the labels from the least to the largest, or the columns. Those that never occur count for `classes`, and for
    nothing else.
    """
    figures: dict[str, Any] = dict.fromkeys(NAMES)
    counts = _by_class(facts)
    used = [count for count in counts or () if count > 0]
    if facts["kind"] in IN_COLUMNS and facts["class_axis"] is not None:
        figures["classes"] = facts["shape"][facts["class_axis"]]
    elif facts["kind"] in BY_VALUE:
        figures["classes"] = len(counts) if counts else int(facts["high"]) + 1
    if used:
        shares = [count / sum(used) for count in used]
        figures["imbalance"] = max(shares) / min(shares)
        figures["smallest_share"] = min(shares)
        figures["entropy"] = abs(math.fsum(share * math.log2(share) for share in shares))
    if facts["kind"] in TWO_SIDED:
        figures["positive_share"] = 1 - facts["negative_share"] if facts["kind"] == "plus_minus" else 1 - facts["zero_share"]
    if facts["levels"] and {*facts["levels"]} <= {0, 1, VOID}:
        figures["foreground_share"] = 1 - facts["zero_share"]
    return figures | {"class_counts": counts}


def _by_class(facts: Mapping[str, Any]) -> list[float] | None:
    """How often each class occurs; for soft labels, the sum of its probabilities."""
    counts, kind, means = facts["distinct_counts"], facts["kind"], facts["column_means"]
    if kind in BY_COLUMN and facts["class_axis"] == 1 and means and None not in means:
        samples = facts["elements"] / len(means)
        return [round(mean * samples) if kind == "one_hot" else mean * samples for mean in means]
    if kind not in BY_VALUE or not counts:
        return None
    if kind != "labels":
        return [counts[value] for value in sorted(counts)]
    labels = [int(value) for value in counts if value != facts["ignored"]]
    return [counts.get(label, 0) for label in range(min(labels), max(labels) + 1)]


SEED = 0
# Columns whose means are kept.
COLUMNS = 1000
# Numbers in a box: two corners.
CORNERS = 4
MATRIX = 2


@dataclass(frozen=True)
class Range:
    """The least and the largest of what was seen; the first is above the second where nothing was."""

    low: float = math.inf
    high: float = -math.inf

    @staticmethod
    def of(values: NumPyArray) -> Range:
        """The range of the finite ones of some values."""
        kept = values[np.isfinite(values)]
        return Range(float(kept.min()), float(kept.max())) if kept.size else Range()

    def merge(self, other: Range) -> Range:
        """The range of both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def near(self, value: float, tolerance: float) -> bool:
        """Whether all that was seen is close to `value`."""
        return self.low <= self.high and value - tolerance <= self.low and self.high <= value + tolerance


@dataclass(frozen=True)
class RowCounts:
    """Rows along one axis: the range of their sums, of the sums of their exponentials, and of their squared lengths."""

    axis: int
    sums: Range = field(default_factory=Range)
    exps: Range = field(default_factory=Range)
    squares: Range = field(default_factory=Range)
    corners: bool = True

    def add(self, values: NumPyArray) -> RowCounts:
        """Take in a block of float64, shape (n, …). Rows with NaN or +inf are left out; -inf is the logarithm of 0."""
        with np.errstate(over="ignore", invalid="ignore"):
            sums = Range.of(values.sum(axis=self.axis))
            # Only logarithms of probabilities are asked about, and those are not above 0.
            logs = not values.size or np.nanmax(values, initial=-np.inf) <= 0
            exps = Range.of(np.exp(values).sum(axis=self.axis)) if logs else Range(-math.inf, math.inf)
            squares = Range.of(np.square(values).sum(axis=self.axis))
        corners = self.corners and _has_corners(values)
        return RowCounts(self.axis, self.sums.merge(sums), self.exps.merge(exps), self.squares.merge(squares), corners)


def _has_corners(values: NumPyArray) -> bool:
    """Whether every row could be a box: left < right and top < bottom."""
    if values.ndim != MATRIX or values.shape[1] != CORNERS:
        return False
    return bool((values[:, 2] > values[:, 0]).all() and (values[:, 3] > values[:, 1]).all())


@dataclass
class Means:
    """Means of the columns, over all other axes; NaN and infinities are left out."""

    total: NumPyArray
    counts: NumPyArray

    def add(self, values: NumPyArray) -> None:
        """Take in a block of float64, shape (n, c, …)."""
        finite = np.isfinite(values)
        others = tuple(axis for axis in range(values.ndim) if axis != 1)
        with np.errstate(over="ignore"):
            self.total = self.total + np.where(finite, values, 0.0).sum(axis=others)
        self.counts = self.counts + finite.sum(axis=others)

    def list(self) -> list[float]:
        """The mean of each column; NaN where all of it is missing."""
        with np.errstate(invalid="ignore"):
            return (self.total / self.counts).tolist()  # type: ignore[no-any-return]


@dataclass
class Square:
    """Whether a square matrix is symmetric with a diagonal of zeros, as distances are, without holding it.

    A random vector is multiplied from both sides, which differs for any other matrix (Freivalds 1977).
    """

    vector: NumPyArray
    right: NumPyArray
    left: NumPyArray
    hollow: bool = True

    @staticmethod
    def of(size: int) -> Square:
        """Begin with a matrix of `size` rows."""
        return Square(np.random.default_rng(SEED).uniform(1, 2, size), np.zeros(size), np.zeros(size))

    def add(self, values: NumPyArray, start: int) -> None:
        """Take in the rows from `start` on."""
        stop = start + len(values)
        with np.errstate(over="ignore", invalid="ignore"):
            self.right[start:stop] = values @ self.vector
            self.left = self.left + self.vector[start:stop] @ values
        self.hollow = self.hollow and not np.diagonal(values, start).any()

    @property
    def distances(self) -> bool:
        """Whether it is symmetric and its diagonal zero."""
        return self.hollow and bool(np.allclose(self.right, self.left, rtol=1e-6, atol=0))


def begun(shape: Shape) -> tuple[list[RowCounts], Means | None, Square | None]:
    """What is looked at row by row in an array of this shape."""
    if len(shape) < MATRIX:
        return [], None, None
    rows = [RowCounts(1)] + [RowCounts(len(shape) - 1)] * (len(shape) > MATRIX)
    means = Means(np.zeros(shape[1]), np.zeros(shape[1])) if shape[1] <= COLUMNS else None
    square = Square.of(shape[0]) if len(shape) == MATRIX and shape[0] == shape[1] > MATRIX else None
    return rows, means, square


# More distinct values than this are no longer counted.
DISTINCT = 1000
# So many elements are looked at first: if they differ too much, none need be sorted.
GLANCE = 4096
# Whole numbers in a range this wide are counted without sorting.
DENSE = 1 << 16
Number = float | int
# Counts of two parts that are those of the whole when they are added.
ADDITIVE = ("elements", "nan", "infinite", "zeros", "ones", "negatives", "filled")


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
class ElementCounts:
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
    def of(array: NumPyArray, *, counting: bool = True) -> ElementCounts:
        """Look at a block of an array of any shape with at least one axis; `counting` says whether values are still few."""
        elements = array.reshape(-1)
        values = elements.astype(np.float64, copy=False)
        # Longer floats are calculated with as float64 everywhere.
        elements = values if elements.dtype.kind == "f" and elements.dtype.itemsize > values.dtype.itemsize else elements
        large = wide(elements.dtype) and beyond(elements)
        steps = Steps.of(elements if large else values) if array.ndim == 1 else Steps()
        finite = np.isfinite(values)
        kept, raw = (values, elements) if finite.all() else (values[finite], elements[finite])
        return ElementCounts(
            elements=elements.size,
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

    def merge(self, later: ElementCounts) -> ElementCounts:
        """Append what follows."""
        return ElementCounts(
            **{name: getattr(self, name) + getattr(later, name) for name in ADDITIVE},
            low=_outer(min, self.low, later.low),
            high=_outer(max, self.high, later.high),
            integral=self.integral and later.integral,
            moments=_quietly_merged(self.moments, later.moments),
            distinct=_added(self.distinct, later.distinct),
            steps=self.steps.merge(later.steps),
        )

    @property
    def exact_moments(self) -> Higher:
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
        shifted = Higher.of(less(large, large[:1]))
        return replace(shifted, low=replace(shifted.low, mean=float(large[0]) + shifted.low.mean))


def _quietly_merged(first: Higher, second: Higher) -> Higher:
    with np.errstate(over="ignore", invalid="ignore"):
        return first.merge(second)


def _outer(pick: Any, first: Number | None, second: Number | None) -> Number | None:
    given = [value for value in (first, second) if value is not None]
    return pick(given) if given else None


def _added(first: Mapping[Number, int] | None, second: Mapping[Number, int] | None) -> Mapping[Number, int] | None:
    if first is None or second is None:
        return None
    total = dict(first)
    for value, number in second.items():
        total[value] = total.get(value, 0) + number
    return total if len(total) <= DISTINCT else None
