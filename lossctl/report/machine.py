"""Formats for machines: numbers read back to the same bits, and nothing is rounded, cut or coloured.

JSON is strict and ASCII, so that no locale and no pipe can spoil it. What holds no further object stands on one line: a row of
`checks` reads as a row, a matrix stays together, and a million numbers go through the C encoder, which knows no indentation.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from lossctl.report.report import exact, leaves, strict

if TYPE_CHECKING:
    from json import JSONEncoder

    from lossctl.report.report import Report, Style

# TSV has no quotes: what would end a cell or a line is written as in C.
# A terminal would obey the other control characters, and a pipe often ends on one.
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
ESCAPES = CONTROLS | str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})
# The csv module quotes what its own line end holds: only this one makes it quote a lone carriage return.
LINE_END = "\r\n"


def render_tsv(report: Report, _: Style) -> str:
    """Return a header line and one line for each row; floats read back as the same bits."""
    cells = [list(report.columns), *([exact(row.get(column)) for column in report.columns] for row in report.rows)]
    return "".join("\t".join(cell.translate(ESCAPES) for cell in line) + "\n" for line in cells)


class _Lines(list[str]):
    """A file for the csv module, which writes each line with one call."""

    def write(self, line: str) -> None:
        self.append(line.removesuffix(LINE_END))


def render_csv(report: Report, _: Style) -> str:
    """Return a header line and one line for each row, ended by a newline; floats read back as the same bits."""
    import csv

    lines = _Lines()
    writer = csv.writer(lines, lineterminator=LINE_END)
    writer.writerow(report.columns)
    writer.writerows([exact(row.get(column)) for column in report.columns] for row in report.rows)
    return "".join(f"{line}\n" for line in lines)


def render_value(report: Report, _: Style) -> str:
    """Return the report's bare column, one value a line; a list gives one line for each number, in C order.

    Rows without that column say nothing: of a weighted sum only the total is printed.
    """
    return "".join(f"{exact(leaf)}\n" for row in report.rows if report.bare in row for leaf in leaves(row[report.bare]))


def render_jsonl(report: Report, _: Style) -> str:
    """Return one line for each of the document's results, or for each row where the document has none or rows say more."""
    entries = report.rows if report.heads else report.document.get("results", report.rows)
    return "".join(f"{line(strict(entry))}\n" for entry in entries)


def render_json(report: Report, _: Style) -> str:
    """Return the document, or the rows where a report has none; NaN and infinities become null."""
    return f"{_block(strict(report.document or list(report.rows)), '')}\n"


def line(value: Any) -> str:
    """Return `value`, already strict, as JSON on one line."""
    return _encoder().encode(value)


@cache
def _encoder() -> JSONEncoder:
    # json.dumps would build one for each line of a million.
    import json

    return json.JSONEncoder(allow_nan=False)


def _block(value: Any, margin: str) -> str:
    if not value:
        return line(value)
    inner = f"{margin}  "
    if isinstance(value, dict):
        items = [f"{line(str(key))}: {_text(item, inner)}" for key, item in value.items()]
        return _between("{", items, "}", margin)
    return _between("[", [_text(item, inner) for item in value], "]", margin)


def _between(opening: str, items: list[str], closing: str, margin: str) -> str:
    separator = f",\n{margin}  "
    return f"{opening}\n{margin}  {separator.join(items)}\n{margin}{closing}"


def _text(value: Any, margin: str) -> str:
    return _block(value, margin) if _holds_object(value) else line(value)


def _holds_object(value: Any) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(isinstance(item, dict) or (isinstance(item, list) and _holds_object(item)) for item in members)
