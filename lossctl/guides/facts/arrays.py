"""The facts of one array, or of a prediction and its target together, from one pass over their blocks; and those of text.

Two arrays fit by their shapes: element by element, or scores by class with one label each. Of both together the pass gathers
residuals, agreement and ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from lossctl.guides.facts.counts import MATRIX, ElementCounts, Range, RowCounts, balance, begun, ignored
from lossctl.guides.facts.kinds import likely_kinds
from lossctl.sources.readers import NumPyArray, Part, Shape, cuts
from lossctl.sources.values import SMALL, beyond, less, wide
from lossctl.statistics.ordered import among, positions, rank_correlation, ranked_above, sample_spread, share_of_top
from lossctl.statistics.sums import Higher, Joint


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
    texts = [Texts() for _ in range(columns)]
    for row in rows:
        for text, cell in zip(texts, row, strict=True):
            if cell is not None:
                text.add(cell)
    return [text.finish() for text in texts]


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
        self.counts = ElementCounts()
        self.rows, self.means, self.square = begun(self.shape)
        self.places = positions(prod(self.shape))
        self.samples: list[NumPyArray] = []

    def add(self, array: NumPyArray, start: int) -> None:
        """Take in the samples from `start` on."""
        array = array.reshape(1) if not array.ndim else array
        self.counts = self.counts.merge(ElementCounts.of(array, counting=self.counts.distinct is not None))
        self.samples.append(self.sample(array, start))
        if self.rows:
            values = array.astype(np.float64, copy=False)
            self.rows = [counts.add(values) for counts in self.rows]
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
        samples = np.concatenate([np.zeros(0), *self.samples])
        kept = samples[np.isfinite(samples)]
        facts = {
            "n": self.shape[0],
            "shape": list(self.given),
            "dtype": self.dtype.name,
            "elements": self.counts.elements,
            **_figures(self.counts),
            **sample_spread(kept),
            "sampled": self.places.size < self.counts.elements,
            "decimals": decimals(kept),
            "sample_repeats": kept.size - np.unique(kept).size,
            **self._rows(),
            **_series(self.counts, self.shape),
        }
        facts |= {"ignored": ignored(facts), "levels": _levels(facts["distinct_counts"])}
        facts["looks"] = likely_kinds(facts)
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
        facts: dict[str, Any] = {"columns": self.shape[1], "class_axis": rows.axis}
        for name, span in {"sum": rows.sums, "exp": rows.exps, "square": rows.squares}.items():
            facts |= {f"row_{name}_low": _plain(span.low), f"row_{name}_high": _plain(span.high)}
        means = None if self.means is None else [_plain(mean) for mean in self.means.list()]
        symmetric = self.square is not None and self.square.distances
        return facts | {"column_means": means, "corners": rows.corners and len(self.shape) == MATRIX, "symmetric": symmetric}


def _off(rows: RowCounts) -> float:
    """How far rows are from adding up to 1, as they are or as logarithms: of two axes the nearer one holds the classes."""
    return min(_distance(rows.sums), _distance(rows.exps))


def _distance(seen: Range) -> float:
    return max(abs(seen.low - 1), abs(seen.high - 1))


def _figures(counts: ElementCounts) -> dict[str, Any]:
    """Counts, shares and moments."""
    n, moments = counts.finite, counts.exact_moments
    mean = moments.low.mean if n else None
    variance = moments.variance
    return {
        "missing": counts.nan + counts.infinite,
        "nan": counts.nan,
        "infinite": counts.infinite,
        "low": counts.low,
        "high": counts.high,
        "mean": _plain(mean),
        "std": _plain(moments.low.std),
        "skew": _plain(moments.skew),
        "kurtosis": _plain(moments.kurtosis),
        "dispersion": _plain(variance / mean) if mean else None,
        "integral": bool(n) and counts.integral,
        "constant": bool(n) and counts.low == counts.high,
        "zero_share": counts.zeros / n if n else None,
        "one_share": counts.ones / n if n else None,
        "negative_share": counts.negatives / n if n else None,
        "distinct_counts": counts.distinct,
    }


def _series(counts: ElementCounts, shape: Shape) -> dict[str, Any]:
    """Order, steps, and intermittency along the first axis."""
    single = len(shape) == 1 and bool(counts.elements)
    return {
        "sorted": single and not counts.nan and counts.steps.monotone,
        "even_step": _plain(counts.steps.even) if single else None,
        "adi": shape[0] / counts.filled if counts.filled else None,
        "cv2": _squared_variation(counts),
    }


def _squared_variation(counts: ElementCounts) -> float | None:
    """The variance of what is not zero over its squared mean. The zeros are taken out by Chan's formula backwards."""
    n, used = counts.finite, counts.finite - counts.zeros
    low = counts.exact_moments.low
    if not used or not low.mean:
        return None
    mean = low.mean * n / used
    m2 = low.m2 - mean * mean * (counts.zeros * used / n)
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


@dataclass(frozen=True)
class Fit:
    """How prediction and target fit: `classes` is the axis of the prediction that the target lacks, None for none."""

    classes: int | None = None


def fitting(pred: Shape, target: Shape) -> Fit | None:
    """See how two shapes fit; axes of size 1 behind the first do not count. None where they do not fit."""
    pred, target = pred or (1,), target or (1,)
    if pred[0] != target[0]:
        return None
    if _wide(pred) == _wide(target):
        return Fit()
    axes = [axis for axis in dict.fromkeys((1, len(pred) - 1)) if 0 < axis < len(pred) and pred[axis] > 1]
    missing = [axis for axis in axes if _wide(pred[:axis] + pred[axis + 1 :]) == _wide(target)]
    return Fit(missing[0]) if missing and 0 not in target else None


def _wide(shape: Shape) -> Shape:
    return shape[:1] + tuple(size for size in shape[1:] if size != 1)


# Probabilities this close to 0 and 1 are saturated: the smallest step of float32 below 1.
SATURATED = 1e-7
COUNTED = ("valid", "saturated", "equal", "above_half", "above_zero", "rows", "rows_right", "outside")
RESIDUAL = ("median", "mad", "outlier_share", "tail")
ELEMENTWISE = (
    *("bias", "mse", "mae", "correlation", "r2", "residual_skew", "residual_kurtosis"),
    *(f"residual_{name}" for name in RESIDUAL),
    *("heteroscedasticity", "top_1_percent_mse", "equal_share", "auc"),
)


def pair_facts(pred: Part, target: Part) -> Facts:
    """Find the facts of two arrays of fitting shapes; `fits` is False, and nothing is read, where shapes do not fit.

    Raises: what reading raises, such as UnreadableFile.
    """
    if fitting(pred.shape, target.shape) is None:
        return Facts({"fits": False, "same_shape": False})
    return facts_of_both(pred, target)[2]


def facts_of_both(pred: Part, target: Part) -> tuple[Facts, Facts, Facts]:
    """Find the facts of the prediction, of the target, and of the two together, reading each once.

    Raises: ValueError for shapes that do not fit; what reading raises.
    """
    fit = fitting(pred.shape, target.shape)
    if fit is None:
        raise ValueError(f"shapes {pred.shape} and {target.shape} do not fit")
    first, second, both = ArrayPass(pred.shape, pred.dtype), ArrayPass(target.shape, target.dtype), PairPass(fit)
    elements = max(prod(first.shape[1:]), prod(second.shape[1:]))
    for start, stop in cuts(first.shape[0], elements) if elements else [(0, 0)]:
        preds, targets = pred.read(start, stop), target.read(start, stop)
        first.add(preds, start)
        second.add(targets, start)
        both.add(preds, targets, start, first)
    pred_facts, target_facts = first.finish(), second.finish()
    return pred_facts, target_facts, both.finish(pred_facts, target_facts, same_shape=pred.shape == target.shape)


@dataclass(frozen=True)
class Half:
    """Finite pairs of a sample."""

    pred: NumPyArray
    target: NumPyArray


class PairPass:
    """What one pass gathers of two arrays."""

    def __init__(self, fit: Fit) -> None:
        """Begin with how the shapes fit."""
        self.fit = fit
        self.counts = dict.fromkeys(COUNTED, 0)
        self.joint, self.residual = Joint(), Higher()
        self.size = 0.0
        self.origin: NumPyArray | None = None
        self.samples: list[tuple[NumPyArray, NumPyArray]] = []

    def add(self, pred: NumPyArray, target: NumPyArray, start: int, first: ArrayPass) -> None:
        """Take in the same samples of both, from `start` on."""
        pred, target = self._near(pred, target)
        self._count(saturated=(pred <= SATURATED) | (pred >= 1 - SATURATED))
        axis = self.fit.classes
        if axis is not None:
            label = target.reshape(pred.shape[:axis] + pred.shape[axis + 1 :])
            inside = (label >= 0) & (label < pred.shape[axis])
            self._count(valid=inside, outside=~inside, rows_right=(pred.argmax(axis=axis) == label) & inside)
            self.counts["rows"] += int(np.count_nonzero(inside))
            return
        if pred.ndim > 1 and pred.shape == target.shape and pred.shape[1] > 1:
            self._count(rows_right=pred.argmax(axis=1) == target.argmax(axis=1))
            self.counts["rows"] += pred.size // pred.shape[1]
        self.samples.append((first.sample(pred, start), first.sample(target, start)))
        self._add_elements(pred.reshape(-1), target.reshape(-1))

    def _near(self, pred: NumPyArray, target: NumPyArray) -> tuple[NumPyArray, NumPyArray]:
        """Both as float64; whole numbers that it does not hold lose the first target, which changes no difference."""
        if self.origin is None and self.fit.classes is None and wide(target.dtype) and beyond(target, SMALL):
            self.origin = target.reshape(-1)[:1].copy()
        if self.origin is None:
            return pred.astype(np.float64, copy=False), target.astype(np.float64, copy=False)
        return less(pred, self.origin), less(target, self.origin)

    def _count(self, **marks: NumPyArray) -> None:
        for name, mark in marks.items():
            self.counts[name] += int(np.count_nonzero(mark))

    def _add_elements(self, pred: NumPyArray, target: NumPyArray) -> None:
        kept = np.isfinite(pred) & np.isfinite(target)
        if not kept.all():
            pred, target = pred[kept], target[kept]
        self._count(
            valid=np.ones(pred.size, bool),
            equal=pred == target,
            above_half=(pred > 0.5) == (target > 0.5),  # noqa: PLR2004 - the middle of 0 and 1
            above_zero=(pred > 0) == (target > 0),
        )
        with np.errstate(over="ignore", invalid="ignore"):
            self.joint = self.joint.merge(Joint.of(pred, target))
            self.residual = self.residual.merge(Higher.of(pred - target))
            self.size += float(np.abs(pred - target).sum())

    def finish(self, pred: Facts, target: Facts, *, same_shape: bool) -> Facts:
        """The facts of all that was taken in, given those of each."""
        between = pred["low"] is not None and pred["low"] >= 0 and pred["high"] <= 1
        facts: dict[str, Any] = {
            "fits": True,
            "same_shape": same_shape,
            "n": pred["n"],
            "elements": self.counts["valid"] + self.counts["outside"],
            "valid": self.counts["valid"],
            "class_axis": self.fit.classes,
            "labels_outside": self.counts["outside"] if self.fit.classes is not None else None,
            "sampled": pred["sampled"],
            "saturated_share": self.counts["saturated"] / pred["elements"] if between and pred["elements"] else None,
            "accuracy": self._accuracy(pred, target),
            "majority_share": _majority(target),
        }
        return Facts(facts | (self._elementwise(pred, target) if self.fit.classes is None else dict.fromkeys(ELEMENTWISE)))

    def _accuracy(self, pred: Facts, target: Facts) -> float | None:
        """The share of right decisions: the class with the highest score, or the side of one half, or of 0."""
        rows, valid = self.counts["rows"], self.counts["valid"]
        if self.fit.classes is not None or (rows and target["kind"] in {"one_hot", "simplex"}):
            return self.counts["rows_right"] / rows if rows else None
        if not valid:
            return None
        if pred["kind"] in {"labels", "plus_minus", "binary"} and pred["integral"] and target["integral"]:
            return self.counts["equal"] / valid
        if target["kind"] in {"binary", "multi_hot", "mask"} and {*target["levels"]} <= {0, 1}:
            unit = pred["low"] >= 0 and pred["high"] <= 1
            return self.counts["above_half" if unit else "above_zero"] / valid
        return self.counts["above_zero"] / valid if target["kind"] == "plus_minus" else None

    def _elementwise(self, pred: Facts, target: Facts) -> dict[str, Any]:
        n, residual = self.counts["valid"], self.residual
        half = self._sample()
        apart = half.pred - half.target
        best = self.joint.y.m2
        bias = residual.low.mean
        total = residual.low.m2 + n * bias * bias
        two = target["levels"] is not None and len(target["levels"]) == 2 and {*target["levels"]} <= {-1, 0, 1}  # noqa: PLR2004
        return {
            "bias": _plain(bias) if n else None,
            "mse": _plain(total / n) if n else None,
            "mae": _plain(self.size / n) if n else None,
            "correlation": None if pred["constant"] or target["constant"] else _plain(self.joint.correlation),
            "r2": _plain(1 - total / best) if best > 0 and not target["constant"] else None,
            "residual_skew": _plain(residual.skew),
            "residual_kurtosis": _plain(residual.kurtosis),
            **{f"residual_{name}": value for name, value in sample_spread(apart).items()},
            "heteroscedasticity": None if pred["constant"] else rank_correlation(half.pred, np.abs(apart)),
            "top_1_percent_mse": share_of_top(apart * apart),
            "equal_share": self.counts["equal"] / n if n else None,
            "auc": ranked_above(half.pred, half.target > 0) if two and not pred["constant"] else None,
        }

    def _sample(self) -> Half:
        pred, target = (np.concatenate([np.zeros(0), *blocks]) for blocks in zip(*self.samples, strict=True))
        kept = np.isfinite(pred) & np.isfinite(target)
        return Half(pred[kept], target[kept])


def _majority(target: Facts) -> float | None:
    """The accuracy of always naming the commonest class."""
    if target["imbalance"] is None or target["smallest_share"] is None:
        return None
    return float(target["imbalance"] * target["smallest_share"])
