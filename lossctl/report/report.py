"""What a command has to say: rows under columns for people, one document for machines.

What a result was asked for, written into it so that `verify` can ask again: a spec as JSON holds it, and back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Row = Mapping[str, Any]
OK = "ok"


@dataclass(frozen=True)
class Report:
    """A result before it has a format.

    `columns` and `rows` are what tables show; the column that `value` prints bare is named by `bare`. `document` is the
    machine-readable result, made of plain Python values, in which NaN and infinity may still stand. Where there is a column
    `heads`, people see the table upright: one line a column, and one column for each row, under its entry there. `more` are
    tables that only people see, below.
    """

    columns: tuple[str, ...]
    rows: Sequence[Row]
    document: Mapping[str, Any] = field(default_factory=dict)
    bare: str = "value"
    title: str = ""
    heads: str = ""
    more: Sequence[Report] = ()

    def parts(self) -> list[Report]:
        """The tables that people see."""
        return [_upright(self) if self.heads else self, *self.more]


def _upright(report: Report) -> Report:
    heads = [str(row[report.heads]) for row in report.rows]
    rows = [
        {"": column, **{head: row.get(column) for head, row in zip(heads, report.rows, strict=True)}}
        for column in report.columns
        if column != report.heads and any(row.get(column) is not None for row in report.rows)
    ]
    return Report(("", *heads), rows, title=report.title)


# What a request and its parameters say is read as it was typed: there infinity is a word.
TYPED = {"params", "request"}


def strict(value: Any) -> Any:
    """Return `value` as strict JSON can hold it: NaN and infinities are null, and what they were stands beside them.

    `status` says it of a `value`, `statuses` of an infinity under any other key; `not_finite` says it, with its index, of each
    number in a list under `value`, and `gradient_not_finite` of those under `gradient`. Any other null is NaN, or a number that
    there is none of.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return _marked(value)
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return value


def _marked(value: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: worded(item) if key in TYPED else strict(item) for key, item in value.items()}
    if "value" in value and (word := status(value["value"])) != OK:
        found["status"] = word
        if isinstance(value["value"], list | tuple):
            found["not_finite"] = not_finite(value["value"])
    if "gradient" in value:
        found["gradient"] = _plain(value["gradient"])
        if places := list(_in_gradient(value["gradient"])):
            found["gradient_not_finite"] = places
    infinite = {key: word for key, item in value.items() if key not in {"value", "gradient"} and (word := _infinite(item))}
    return {**found, "statuses": infinite} if infinite else found


def _infinite(value: Any) -> str:
    return status(value) if isinstance(value, float) and math.isinf(value) else ""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return strict(value)


def _in_gradient(value: Any) -> Iterator[dict[str, Any]]:
    """The places of one gradient, or of several by name."""
    for name, one in value.items() if isinstance(value, Mapping) else [("", value)]:
        yield from ({**({"wrt": name} if name else {}), **place} for place in not_finite(one))


def worded(value: Any) -> Any:
    """Return `value` with NaN and infinities as words, which inputs and parameters may be written as."""
    if isinstance(value, float):
        return value if math.isfinite(value) else status(value)
    if isinstance(value, Mapping):
        return {key: worded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [worded(item) for item in value]
    return value


def not_finite(value: Any) -> list[dict[str, Any]]:
    """The place and the status of each number in nested lists that is NaN or infinite, in C order."""
    return [{"index": list(index), "status": word} for index, word in _places(value, ())]


def _places(value: Any, index: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    if isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _places(item, (*index, number))
    elif (word := status(value)) != OK:
        yield index, word


def status(value: Any) -> str:
    """`ok`, `nan`, `inf` or `-inf`: the word beside a number that JSON cannot hold. Lists are as bad as their worst."""
    if isinstance(value, list | tuple):
        found = {status(item) for item in value}
        return next((word for word in ("nan", "inf", "-inf") if word in found), OK)
    if not isinstance(value, float) or math.isfinite(value):
        return OK
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def number_of(entry: Mapping[str, Any], key: str = "value") -> float:
    """The number under a key of a document, whether JSON can hold it or not; NaN where there is none."""
    value = entry.get(key)
    word = entry.get("status") if key == "value" else entry.get("statuses", {}).get(key)
    return float(value) if value is not None else float(word) if word in {"inf", "-inf"} else math.nan


def with_request(report: Report, command: str, wanted: Mapping[str, Any]) -> Report:
    """The report with what its command was asked for besides a spec."""
    request = {**report.document.get("request", {}), command: dict(wanted)}
    return replace(report, document={**report.document, "request": request})
