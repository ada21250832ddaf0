"""Where a difference comes from: slices of the samples that carry it, and the samples that changed most.

For a mean, the slices of one column share out the summed difference. Each slice is tested by flips of its own samples, and
corrected by Holm's method for the number of slices; only the slices that are shown are tested, which corrects too much
rather than too little.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.judging import Pair, raw_p
from lossctl.comparison.reported import known
from lossctl.report import Report
from lossctl.statistics.flips import adjust

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.comparison.result import ComparisonRules
    from lossctl.statistics.arrays import Floats

# Numbers with more distinct values are cut into so many bins of about as many samples.
DISTINCT, BINS = 12, 5
# Slices of a column that are shown, and samples that changed most in each direction.
SHOWN, EXAMPLES = 10, 5
MISSING = "(none)"


@dataclass(frozen=True, eq=False)
class SliceColumn:
    """A column beside the samples that are compared: their entries as text, and the slices it makes, named and numbered."""

    name: str
    entries: Sequence[str]
    slices: Sequence[str]
    codes: Any


@dataclass(frozen=True)
class Slice:
    """One slice: `share` is its part of the whole difference, None for a loss that is no mean or where nothing differs."""

    column: str
    name: str
    n: int
    difference: float
    share: float | None
    p: float
    adjusted: float
    significant: bool
    opposite: bool


@dataclass(frozen=True)
class ChangedSample:
    """One sample: its place among those that are compared, and its losses under the baseline and the system."""

    place: int
    base: float
    value: float


@dataclass(frozen=True)
class Explained:
    """What is said of one pair: slices by column, and the samples that changed most for the better and for the worse."""

    pair: Pair
    slices: Sequence[Slice]
    better: Sequence[ChangedSample]
    worse: Sequence[ChangedSample]


def column_of(name: str, entries: Sequence[str]) -> SliceColumn:
    """Make slices of a column: its entries, or bins of numbers that are mostly different."""
    texts = [entry or MISSING for entry in entries]
    known, codes = np.unique(np.asarray(texts), return_inverse=True)
    numbers = _numbers(known)
    if numbers is None:
        return SliceColumn(name, texts, known.tolist(), codes)
    order = np.argsort(numbers, kind="stable")
    if len(known) <= DISTINCT:
        return SliceColumn(name, texts, known[order].tolist(), np.argsort(order)[codes])
    return SliceColumn(name, texts, *_binned(numbers[codes]))


def _numbers(texts: Any) -> Floats | None:
    """Texts as numbers, where all are but missing ones, which are NaN."""
    try:
        return np.asarray([math.nan if text == MISSING else float(text) for text in texts], np.float64)
    except ValueError:
        return None


def _binned(values: Floats) -> tuple[list[str], Any]:
    """Cut numbers at their quantiles; bins are named by the numbers they hold, and what is no number is a bin of its own."""
    finite = np.isfinite(values)
    edges = np.unique(np.quantile(values[finite], np.arange(1, BINS) / BINS, method="higher")) if finite.any() else np.zeros(0)
    raw = np.where(finite, np.searchsorted(edges, values, side="right"), BINS)
    present, codes = np.unique(raw, return_inverse=True)
    ends = [(np.min(values[raw == bin_]), np.max(values[raw == bin_])) if bin_ < BINS else None for bin_ in present]
    for form in ("{:.4g}", "{!r}"):
        names = [MISSING if end is None else " to ".join(form.format(float(each)) for each in end) for end in ends]
        if len(set(names)) == len(names):
            break
    return names, codes


def explain(
    pairs: Sequence[Pair], columns: Sequence[SliceColumn], rules: ComparisonRules, rows: Any, ids: Sequence[str] | None
) -> tuple[list[dict[str, Any]], list[Report]]:
    """Explain every pair that can be told apart by sample: what the document says, and the tables below.

    `rows` are the numbers of the compared samples in the data (m,), and `ids` names all of the data's samples.
    """
    told = [_explained(pair, columns, rules) for pair in pairs if not pair.why]
    samples = _ComparedSamples(rows, ids, columns)
    return [_entry(explained, samples) for explained in told], [*_tables(told, columns, samples)]


def _explained(pair: Pair, columns: Sequence[SliceColumn], rules: ComparisonRules) -> Explained:
    slices = [item for column in columns for item in _slices(pair, column, rules)]
    base, value = pair.base.single(), pair.other.single()
    with np.errstate(invalid="ignore"):
        change = value - base
    order = np.argsort(change, kind="stable")
    lower = [place for place in order[:EXAMPLES].tolist() if change[place] < 0]
    higher = [place for place in order[np.isfinite(change[order])][::-1][:EXAMPLES].tolist() if change[place] > 0]
    better, worse = (higher, lower) if pair.base.bound.loss.higher_is_better else (lower, higher)
    changed = [
        [ChangedSample(place, float(base[place]), float(value[place])) for place in places] for places in (better, worse)
    ]
    return Explained(pair, slices, *changed)


def _slices(pair: Pair, column: SliceColumn, rules: ComparisonRules) -> list[Slice]:
    """The slices of one column that carry most of the difference, whatever its sign in them."""
    parts = [_part(pair, column.codes == code, rules) for code in range(len(column.slices))]
    weights = [_weight(pair, part, column.codes == code) for code, part in enumerate(parts)]
    order = sorted(range(len(parts)), key=lambda code: (-abs(weights[code]), code))[:SHOWN]
    p = np.ones(len(parts))
    p[order] = [raw_p(parts[code], rules.subset(column.codes == code)) for code in order]
    adjusted = adjust(p, "holm")
    return [_slice(pair, column, code, parts[code], weights[code], p, adjusted, rules.alpha) for code in order]


def _part(pair: Pair, chosen: Any, rules: ComparisonRules) -> Pair:
    base, other = (measured.subset(chosen, rules.reduction) for measured in (pair.base, pair.other))
    estimate = replace(pair.estimate, value=other.value, base=base.value, n=base.n, why=base.why or other.why)
    return Pair(estimate, base, other)


def _weight(pair: Pair, part: Pair, chosen: Any) -> float:
    """What a slice adds to the mean difference; of a loss that is no mean, its own difference by its share of samples."""
    if pair.differences is None:
        share = np.count_nonzero(chosen) / len(chosen)
        return 0.0 if math.isnan(part.estimate.difference) else part.estimate.difference * float(share)
    return math.fsum(pair.differences[chosen].tolist()) / len(chosen)


def _slice(  # noqa: PLR0913, PLR0917 - all that is said of a slice
    pair: Pair, column: SliceColumn, code: int, part: Pair, weight: float, p: Floats, adjusted: Floats, alpha: float
) -> Slice:
    total = 0.0 if pair.differences is None else math.fsum(pair.differences.tolist()) / len(pair.differences)
    return Slice(
        column.name,
        column.slices[code],
        int(np.count_nonzero(column.codes == code)),
        part.estimate.difference,
        weight / total if total else None,
        float(p[code]),
        float(adjusted[code]),
        bool(adjusted[code] <= alpha) and part.estimate.difference != 0,
        part.estimate.difference * pair.estimate.difference < 0,
    )


class _ComparedSamples:
    """What the compared samples are called, and what the columns say of them."""

    def __init__(self, rows: Any, ids: Sequence[str] | None, columns: Sequence[SliceColumn]) -> None:
        self.rows, self.ids, self.columns = rows, ids, columns

    def named(self, place: int) -> dict[str, Any]:
        index = int(self.rows[place])
        return {"index": index} | ({} if self.ids is None else {"id": self.ids[index]})

    def entries(self, place: int) -> dict[str, str]:
        return {column.name: column.entries[place] for column in self.columns}


def _head(told: Explained) -> dict[str, Any]:
    return {"loss": told.pair.estimate.loss, "system": told.pair.estimate.system}


def _entry(told: Explained, samples: _ComparedSamples) -> dict[str, Any]:
    examples = {
        word: [
            {**samples.named(item.place), "base": item.base, "value": item.value, "columns": samples.entries(item.place)}
            for item in result
        ]
        for word, result in (("better", told.better), ("worse", told.worse))
    }
    slices = [{**asdict(item), "p_adjusted": item.adjusted} for item in told.slices]
    for one in slices:
        del one["adjusted"]
    return {**_head(told), "baseline": told.pair.estimate.baseline, "slices": slices, **examples}


def _tables(told: Sequence[Explained], columns: Sequence[SliceColumn], samples: _ComparedSamples) -> list[Report]:
    """One table of slices a column, and one of examples."""
    result = []
    for column in columns:
        rows = [_head(each) | _shown(item) for each in told for item in each.slices if item.column == column.name]
        result.append((f"slices of {column.name}", rows))
    examples = [
        _head(each) | _example(word, item, samples)
        for each in told
        for word, ones in (("better", each.better), ("worse", each.worse))
        for item in ones
    ]
    return [Report(tuple(rows[0]), rows, title=title) for title, rows in (*result, ("what changed most", examples)) if rows]


def _shown(one: Slice) -> dict[str, Any]:
    notes = [word for word, holds in (("significant", one.significant), ("against the whole", one.opposite)) if holds]
    figures = {"n": one.n, "difference": known(one.difference), "share": one.share, "p": one.adjusted}
    return {"slice": one.name, **figures, "note": ", ".join(notes)}


def _example(word: str, sample: ChangedSample, samples: _ComparedSamples) -> dict[str, Any]:
    entries = {name: entry for name, entry in samples.entries(sample.place).items() if name not in {"base", "value"}}
    return {**samples.named(sample.place), "changed": word, "base": sample.base, "value": sample.value, **entries}
