"""Tab-separated values: what a pipe gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.render.cells import exact

if TYPE_CHECKING:
    from lossctl.render.style import Style
    from lossctl.report import Report

# TSV has no quotes: what would end a cell or a line is written as in C.
# A terminal would obey the other control characters, and a pipe often ends on one.
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
ESCAPES = CONTROLS | str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})


def render(report: Report, _: Style) -> str:
    """Return a header line and one line for each row; floats read back as the same bits."""
    cells = [list(report.columns), *([exact(row.get(column)) for column in report.columns] for row in report.rows)]
    return "".join("\t".join(cell.translate(ESCAPES) for cell in line) + "\n" for line in cells)
