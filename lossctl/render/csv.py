"""Comma-separated values, quoted only where they must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.render.cells import exact

if TYPE_CHECKING:
    from lossctl.render.style import Style
    from lossctl.report import Report

# The csv module quotes what its own line end holds: only this one makes it quote a lone carriage return.
LINE_END = "\r\n"


class _Lines(list[str]):
    """A file for the csv module, which writes each line with one call."""

    def write(self, line: str) -> None:
        self.append(line.removesuffix(LINE_END))


def render(report: Report, _: Style) -> str:
    """Return a header line and one line for each row, ended by a newline; floats read back as the same bits."""
    import csv

    lines = _Lines()
    writer = csv.writer(lines, lineterminator=LINE_END)
    writer.writerow(report.columns)
    writer.writerows([exact(row.get(column)) for column in report.columns] for row in report.rows)
    return "".join(f"{line}\n" for line in lines)
