"""The bare number, for `$(lossctl -b …)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.render.cells import exact, leaves

if TYPE_CHECKING:
    from lossctl.render.style import Style
    from lossctl.report import Report


def render(report: Report, _: Style) -> str:
    """Return the report's bare column, one value a line; a list gives one line for each number, in C order.

    Rows without that column say nothing: of a weighted sum only the total is printed.
    """
    return "".join(f"{exact(leaf)}\n" for row in report.rows if report.bare in row for leaf in leaves(row[report.bare]))
