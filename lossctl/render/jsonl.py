"""One JSON object a line, for tools that read results as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.render.json import line
from lossctl.report import strict

if TYPE_CHECKING:
    from lossctl.render.style import Style
    from lossctl.report import Report


def render(report: Report, _: Style) -> str:
    """Return one line for each of the document's results, or for each row where the document has none or rows say more."""
    entries = report.rows if report.heads else report.document.get("results", report.rows)
    return "".join(f"{line(strict(entry))}\n" for entry in entries)
