"""One value in one cell: exact for machines, rounded for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossctl.report.report import Report

# float32 carries about seven digits: six are sure to mean something.
DIGITS = 6
# A list of more values than this is no longer read by a person; the machine formats hold all of it.
LISTED = 32
LEADING = 8


@dataclass(frozen=True)
class Style:
    """What `--sig`, `--decimals`, `--color` and the terminal's width ask for. Machine formats ignore all of it."""

    sig: int | None = None
    decimals: int | None = None
    width: int | None = None
    color: bool = False


def exact(value: Any) -> str:
    """Return `value` so that a machine reads the same value back: `nan` and `inf` are words, nothing is an empty cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float.__repr__(value)
    return compact(value) if isinstance(value, Mapping | list | tuple) else str(value)


def compact(value: Any) -> str:
    """Return `value` as JSON on one line, but with `nan` and `inf` as in a cell of their own."""
    import json

    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        if isinstance(value, Mapping):
            return f"{{{','.join(f'{json.dumps(str(key))}:{compact(item)}' for key, item in value.items())}}}"
        if isinstance(value, list | tuple):
            return f"[{','.join(map(compact, value))}]"
        return float.__repr__(value)


def shown(value: Any, style: Style) -> str:
    """Return `value` rounded for reading."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _rounded(value, style)
    if isinstance(value, list | tuple):
        return _listed(value, style)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={shown(item, style)}" for key, item in value.items())
    return visible(str(value))


def leaves(value: Any) -> Iterable[Any]:
    """Yield the values of nested lists in C order; a bare value is its own only leaf."""
    if not isinstance(value, list | tuple):
        yield value
        return
    for item in value:
        yield from leaves(item)


def texts(report: Report, style: Style) -> list[list[str]]:
    """Return the rows as people see them, cell by cell."""
    return [[shown(row.get(column), style) for column in report.columns] for row in report.rows]


def numeric(report: Report, column: str) -> bool:
    """Whether `column` holds numbers and gaps only, and so belongs on the right."""
    values = [row.get(column) for row in report.rows]
    return any(value is not None for value in values) and all(value is None or _number(value) for value in values)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rounded(value: float, style: Style) -> str:
    return f"{value:.{style.sig or DIGITS}g}" if style.decimals is None else f"{value:.{style.decimals}f}"


def _listed(values: Sequence[Any], style: Style) -> str:
    count = sum(1 for _ in leaves(values))
    if count <= LISTED:
        return f"[{', '.join(shown(item, style) for item in values)}]"
    first = ", ".join(shown(item, style) for item in islice(leaves(values), LEADING))
    return f"[{first}, …] ({count} values)"


def visible(text: str) -> str:
    """Return `text` with what is not printable spelt out: an id may hold escape sequences, and a terminal would obey them."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
