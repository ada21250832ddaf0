"""What a command has to say: rows under columns for people, one document for machines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


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


def strict(value: Any) -> Any:
    """Return `value` with NaN and infinities as None, which strict JSON can hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return value


def status(value: Any) -> str:
    """`ok`, `nan` or `inf`: the word beside a number that JSON cannot hold. Nested lists are as bad as their worst."""
    if isinstance(value, list | tuple):
        found = {status(item) for item in value}
        return next((word for word in ("nan", "inf") if word in found), "ok")
    if not isinstance(value, float) or math.isfinite(value):
        return "ok"
    return "nan" if math.isnan(value) else "inf"
