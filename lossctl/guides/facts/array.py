"""Facts under names.

The facts of a column of text.

The facts of one array, from one pass over its blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.guides.facts.counts import MATRIX, ElementCounts, Range, RowCounts, balance, begun, ignored
from lossctl.guides.facts.kinds import looks
from lossctl.sources.readers import cuts
from lossctl.statistics.ordered import among, positions, sample_spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.sources.readers import NumPyArray, Part
    from lossctl.sources.shapes import Shape


@dataclass(frozen=True)
class Facts:
    """What was found, in plain Python values: `facts["mean"]`. A fact that does not apply is None."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str, default: Any = None) -> Any:
        """Return a fact, or `default` where there is none of that name."""
        return self.values.get(name, default)

    def fits(self, kind: str) -> bool:
        """Whether the values could be of a kind, however likely."""
        return any(look["kind"] == kind for look in self.values.get("looks", ()))


DISTINCT = 1000
EXAMPLES = 3


@dataclass
class Texts:
    """Counts of the cells of one column."""

    n: int = 0
    blank: int = 0
    seen: dict[str, None] = field(default_factory=dict)

    def add(self, cell: str) -> None:
        """Take in one cell."""
        self.n += 1
        if not cell.strip():
            self.blank += 1
        elif len(self.seen) <= DISTINCT:
            self.seen[cell] = None

    def finish(self) -> Facts:
        """The facts: `distinct` is None beyond a thousand values, `examples` are the first ones."""
        distinct = len(self.seen) if len(self.seen) <= DISTINCT else None
        return Facts(
            {
                "n": self.n,
                "shape": [self.n],
                "dtype": "text",
                "elements": self.n,
                "missing": self.blank,
                "distinct": distinct,
                "examples": list(self.seen)[:EXAMPLES],
                "kind": "text",
                "looks": [],
            }
        )


def text_facts(rows: Iterable[Sequence[str | None]], columns: int) -> list[Facts]:
    """Find the facts of columns of text, row by row; None is no cell at all."""
    found = [Texts() for _ in range(columns)]
    for row in rows:
        for one, cell in zip(found, row, strict=True):
            if cell is not None:
                one.add(cell)
    return [one.finish() for one in found]


# Few enough distinct values to list them.
LEVELS = 20
# Decimals that are looked for in numbers that were rounded.
ROUNDED = 6


def facts_of(reader: Part) -> Facts:
    """Find the facts of an array of any shape, reading it once; `docs/inspect.md` lists their names.

    Raises: what reading raises, such as UnreadableFile.
    """
    gathered = ArrayPass(reader.shape, reader.dtype)
    shape = gathered.shape
    # Rows without elements are as many as a header claims, and there is nothing in them to look at.
    for start, stop in cuts(shape[0], prod(shape[1:])) if prod(shape) else [(0, 0)]:
        gathered.add(reader.read(start, stop), start)
    return gathered.finish()


class ArrayPass:
    """What one pass gathers; blocks come in order, each a range of samples."""

    def __init__(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        """Begin with an array's shape and type; a single number is one sample."""
        self.given, self.dtype = shape, dtype
        self.shape = shape or (1,)
        self.tally = ElementCounts()
        self.rows, self.means, self.square = begun(self.shape)
        self.places = positions(prod(self.shape))
        self.taken: list[NumPyArray] = []

    def add(self, array: NumPyArray, start: int) -> None:
        """Take in the samples from `start` on."""
        array = array.reshape(1) if not array.ndim else array
        self.tally = self.tally.merge(ElementCounts.of(array, counting=self.tally.distinct is not None))
        self.taken.append(self.sample(array, start))
        if self.rows:
            values = array.astype(np.float64, copy=False)
            self.rows = [one.add(values) for one in self.rows]
            if self.means is not None:
                self.means.add(values)
            if self.square is not None:
                self.square.add(values, start)

    def sample(self, array: NumPyArray, start: int) -> NumPyArray:
        """The elements of a block that are in the sample, as float64, shape (k,)."""
        size = prod(self.shape[1:])
        return array.reshape(-1)[among(self.places, start * size, start * size + array.size)].astype(np.float64)

    def finish(self) -> Facts:
        """The facts of all that was taken in."""
        taken = np.concatenate([np.zeros(0), *self.taken])
        kept = taken[np.isfinite(taken)]
        facts = {
            "n": self.shape[0],
            "shape": list(self.given),
            "dtype": self.dtype.name,
            "elements": self.tally.elements,
            **_figures(self.tally),
            **sample_spread(kept),
            "sampled": self.places.size < self.tally.elements,
            "decimals": decimals(kept),
            "sample_repeats": kept.size - np.unique(kept).size,
            **self._rows(),
            **_series(self.tally, self.shape),
        }
        facts |= {"ignored": ignored(facts), "levels": _levels(facts["distinct_counts"])}
        facts["looks"] = looks(facts)
        facts["kind"] = facts["looks"][0]["kind"]
        facts |= balance(facts)
        counts = facts.pop("distinct_counts")
        return Facts({**facts, "distinct": None if counts is None else len(counts)})

    def _rows(self) -> dict[str, Any]:
        if not self.rows:
            names = ("columns", "class_axis", "row_sum_low", "row_sum_high", "row_exp_low", "row_exp_high")
            return dict.fromkeys((*names, "row_square_low", "row_square_high", "column_means")) | {
                "corners": False,
                "symmetric": False,
            }
        rows = min(self.rows, key=_off)
        found: dict[str, Any] = {"columns": self.shape[1], "class_axis": rows.axis}
        for name, one in {"sum": rows.sums, "exp": rows.exps, "square": rows.squares}.items():
            found |= {f"row_{name}_low": _plain(one.low), f"row_{name}_high": _plain(one.high)}
        means = None if self.means is None else [_plain(mean) for mean in self.means.list()]
        symmetric = self.square is not None and self.square.distances
        return found | {"column_means": means, "corners": rows.corners and len(self.shape) == MATRIX, "symmetric": symmetric}


def _off(rows: RowCounts) -> float:
    """How far rows are from adding up to 1, as they are or as logarithms: of two axes the nearer one holds the classes."""
    return min(_distance(rows.sums), _distance(rows.exps))


def _distance(seen: Range) -> float:
    return max(abs(seen.low - 1), abs(seen.high - 1))


def _figures(tally: ElementCounts) -> dict[str, Any]:
    """Counts, shares and moments."""
    n, moments = tally.finite, tally.settled
    mean = moments.low.mean if n else None
    variance = moments.variance
    return {
        "missing": tally.nan + tally.infinite,
        "nan": tally.nan,
        "infinite": tally.infinite,
        "low": tally.low,
        "high": tally.high,
        "mean": _plain(mean),
        "std": _plain(moments.low.std),
        "skew": _plain(moments.skew),
        "kurtosis": _plain(moments.kurtosis),
        "dispersion": _plain(variance / mean) if mean else None,
        "integral": bool(n) and tally.integral,
        "constant": bool(n) and tally.low == tally.high,
        "zero_share": tally.zeros / n if n else None,
        "one_share": tally.ones / n if n else None,
        "negative_share": tally.negatives / n if n else None,
        "distinct_counts": tally.distinct,
    }


def _series(tally: ElementCounts, shape: Shape) -> dict[str, Any]:
    """Order, steps, and intermittency along the first axis."""
    single = len(shape) == 1 and bool(tally.elements)
    return {
        "sorted": single and not tally.nan and tally.steps.monotone,
        "even_step": _plain(tally.steps.even) if single else None,
        "adi": shape[0] / tally.filled if tally.filled else None,
        "cv2": _squared_variation(tally),
    }


def _squared_variation(tally: ElementCounts) -> float | None:
    """The variance of what is not zero over its squared mean. The zeros are taken out by Chan's formula backwards."""
    n, used = tally.finite, tally.finite - tally.zeros
    low = tally.settled.low
    if not used or not low.mean:
        return None
    mean = low.mean * n / used
    m2 = low.m2 - mean * mean * (tally.zeros * used / n)
    return _plain(max(0.0, m2) / used / (mean * mean)) if mean * mean else None


def _levels(counts: Mapping[Any, int] | None) -> list[Any] | None:
    return sorted(counts) if counts is not None and len(counts) <= LEVELS else None


def decimals(values: NumPyArray) -> int | None:
    """To how many decimals all values are rounded; None for more than six, or none given."""
    if not values.size or float(np.abs(values).max()) >= 2.0**20:
        return None
    for digits in range(ROUNDED + 1):
        scaled = values * 10.0**digits
        # A float32 that was rounded to a few digits is off by its own precision.
        if (np.abs(scaled - np.round(scaled)) <= np.abs(scaled) * 2e-7).all():
            return digits
    return None


def _plain(value: float | None) -> float | None:
    """A finite float, or None."""
    return float(value) if value is not None and math.isfinite(value) else None
