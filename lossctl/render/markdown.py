"""A Markdown table, for a pull request or a notebook."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lossctl.render.cells import numeric, texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.render.style import Style
    from lossctl.report import Report

# Bars end cells. Of the other signs, those that would begin a mark here: a backslash before a letter, an underscore inside a
# word, a star between spaces, a bracket that no address follows and a lone `<` do not, and stay readable in the file.
MARKS = re.compile(
    r"[|`~$]|(?<!\s)\*|\*(?!\s)|\\(?=[!-/:-@\[-`{-~]|$)|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[])|<(?=[A-Za-z/!?])|&(?=#|[A-Za-z][A-Za-z0-9]*;)"
)


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
    """A cell that is seen as it is: what Markdown would take for its own stands behind a backslash."""
    return MARKS.sub(r"\\\g<0>", cell)
