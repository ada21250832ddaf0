"""A Markdown table, for a pull request or a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.render.cells import numeric, texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.render.style import Style
    from lossctl.report import Report


def render(report: Report, style: Style) -> str:
    """Return a header, a rule that sets numbers to the right, and one line for each row, rounded for reading."""
    return "\n".join(_render(part, style) for part in report.parts())


def _render(report: Report, style: Style) -> str:
    title = f"**{_escaped(report.title)}**\n\n" if report.title else ""
    rule = ["---:" if numeric(report, column) else "---" for column in report.columns]
    cells = [[_escaped(cell) for cell in line] for line in (report.columns, *texts(report, style))]
    return title + "".join(map(_line, (cells[0], rule, *cells[1:])))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _escaped(cell: str) -> str:
    return cell.replace("|", r"\|")
