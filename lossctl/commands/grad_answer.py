"""A gradient put into rows for people and one document for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lossctl.commands.answer import document_of
from lossctl.gradient.formats import precision
from lossctl.report import Report
from lossctl.sums import exact_sum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.advice import Warned
    from lossctl.blocks import NumPyArray
    from lossctl.commands.answer import Answer
    from lossctl.commands.asked import Asked
    from lossctl.gates import Check
    from lossctl.gradient.gathering import Gradient
    from lossctl.gradient.job import Job
    from lossctl.gradient.verdicts import Verdict

COLUMNS = ("norm", "mean", "max", "at", "zeros", "saturated", "top_1_percent", "not_finite")
FORMAT_COLUMNS = ("format", "underflow", "subnormal", "overflow", "scale", "scale_limit")
CHECK_COLUMNS = ("verdict", "checked", "of", "worst_relative_error", "at", "analytic", "numeric", "kinks_count", "steep_count")
# Rows of a histogram, at most; and the signs of its longest bar.
BARS, LONGEST = 16, 32


@dataclass(frozen=True)
class Found:
    """What was found: gradients by name, small ones as arrays, and what terms have to do with one another."""

    gradients: Mapping[str, Gradient]
    arrays: Mapping[str, NumPyArray]
    job: Job
    precision: Sequence[str] = ()
    files: Sequence[str] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, float]:
        """Derivatives by scalar parameters."""
        alone = len(self.job.terms) == 1
        return {
            f"param:{name}" if alone else f"{self.job.names[term]}.param:{name}": exact_sum(parts)
            for (term, name), parts in self.job.numbers.items()
        }

    def values(self, asked: Sequence[Asked]) -> dict[str, float]:
        """Every number that a gate may bound: `loss.norm` and so on, `input.norm` where there are several."""
        found: dict[str, float] = {}
        for name, gradient in self.gradients.items():
            figures = {key: value for key, value in facts(gradient).items() if isinstance(value, float | int)}
            heads = [name, *(asked[0].typed, asked[0].label, asked[0].loss.name) * (len(self.gradients) == len(asked) == 1)]
            found |= {f"{head}.{key}": float(value) for head in heads for key, value in figures.items()}
        return found | self.numbers


def facts(gradient: Gradient) -> dict[str, Any]:
    """The figures of one gradient; shares are of all its elements, or of its samples' lengths."""
    found = gradient.profile
    count = max(1, found.n)
    return {
        "norm": found.norm,
        "mean": found.mean,
        "max": found.largest,
        "at": list(found.at),
        "zeros": found.zeros / count,
        "saturated": found.small / count,
        "top_1_percent": found.share_of_top(),
        "not_finite": found.missing,
    }


def report(
    answer: Answer,
    found: Found,
    checks: Sequence[Check],
    inputs: Sequence[Mapping[str, Any]],
    warnings: Sequence[Warned],
) -> Report:
    """Put an answer and its gradients into a report."""
    document = document_of("grad", answer, checks, inputs, warnings)
    document |= {"gradient": _values(found), "gradients": [_entry(found, name) for name in found.gradients]}
    value = answer.total if answer.total is not None else answer.outcomes[0].value
    rows: list[dict[str, Any]] = [
        {"wrt": name, "value": value, **facts(one), "gradient": _listed(found, name)} for name, one in found.gradients.items()
    ]
    rows += [{"wrt": name, "value": value, "gradient": number} for name, number in found.numbers.items()]
    columns = ("wrt", "value", *COLUMNS, "gradient")
    more = [part for name in found.gradients for part in _details(found, name)]
    return Report(columns, rows, document, bare="gradient", title=_title(answer), heads="wrt", more=more)


def _title(answer: Answer) -> str:
    names = [f"{one.weight:g} {one.label}" if one.term else one.label for one in answer.asked]
    return f"d {' + '.join(names)}"


def _listed(found: Found, name: str) -> Any:
    return found.arrays[name].tolist() if name in found.arrays else None


def _values(found: Found) -> Any:
    """The nested list of a small gradient, or where a large one was written; by name if there are several."""
    every: dict[str, Any] = {name: _value(found, name) for name in found.gradients} | found.numbers
    return next(iter(every.values())) if len(every) == 1 else every


def _value(found: Found, name: str) -> Any:
    if name in found.arrays:
        return found.arrays[name].tolist()
    return {"files": list(found.files), "shape": list(found.gradients[name].shape)}


def _entry(found: Found, name: str) -> dict[str, Any]:
    """The machine-readable summary of one gradient."""
    gradient = found.gradients[name]
    entry: dict[str, Any] = {"wrt": name, "shape": list(gradient.shape), "dtype": gradient.dtype.name, **facts(gradient)}
    entry["not_finite_at"] = [list(place) for place in gradient.profile.places]
    entry["histogram"] = [
        {"low": low, "high": high, "positive": above, "negative": below}
        for low, high, above, below in gradient.profile.octaves()
    ]
    if gradient.classes is not None:
        entry["classes"] = [{"class": row.pop("group"), **row} for row in gradient.classes[0].rows()]
    if gradient.groups is not None:
        entry |= {"groups": gradient.groups[0].rows(), "conflicts": gradient.groups[0].cosines()}
    if name in found.job.together:
        entry |= {"terms": found.job.together[name].terms(), "conflicts": found.job.together[name].cosines()}
    clipped = gradient.clipped.facts(gradient.profile)
    if clipped:
        entry["clip"] = clipped
    if found.precision:
        entry["precision"] = [precision(kind, gradient.profile) for kind in found.precision]
    if name in found.verdicts:
        entry["check"] = found.verdicts[name].facts()
    return entry


def _details(found: Found, name: str) -> list[Report]:
    """The tables below the first: histogram, classes, groups, terms, conflicts, clipping, formats."""
    entry = _entry(found, name)
    tables = {
        "by class": entry.get("classes"),
        "by group": entry.get("groups"),
        "by term": entry.get("terms"),
        "cosine between their pulls": entry.get("conflicts"),
        "number formats": [{key: row[key] for key in FORMAT_COLUMNS} for row in entry.get("precision", ())],
        "clipping": [{"clip": kind, **row} for kind, row in entry.get("clip", {}).items()],
        "central differences": [{key: entry["check"][key] for key in CHECK_COLUMNS}] if "check" in entry else None,
        "kinks": entry.get("check", {}).get("kinks"),
        "sizes": _bars(entry["histogram"]),
    }
    parts = [(f"{name}: {title}", rows) for title, rows in tables.items() if rows]
    return [Report(tuple(dict.fromkeys(key for row in rows for key in row)), rows, title=title) for title, rows in parts]


def _bars(octaves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A histogram of sizes: octaves put together until there are few enough."""
    if not octaves:
        return []
    wide = -(-len(octaves) // BARS)
    parts = [octaves[start : start + wide] for start in range(0, len(octaves), wide)]
    counts = [sum(row["positive"] + row["negative"] for row in part) for part in parts]
    return [
        {"above": part[0]["low"], "up to": part[-1]["high"], "elements": count, "": "█" * -(-count * LONGEST // max(counts))}
        for part, count in zip(parts, counts, strict=True)
    ]
