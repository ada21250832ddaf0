"""Tables for people: on a terminal, and in Markdown for a pull request or a notebook.

A terminal's table is never written into a pipe, where a screen's width would cut it. Its widths are set here and not by Rich,
which takes from columns until the table fits, digits included.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lossctl.report import Report, Style, numeric, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table


# A word of text may be folded down to this many signs.
NARROW = 12
# A padding on both sides of each column, and a rule between two of them.
GAP = 3
# Bars end cells. Of the other signs, those that would begin a mark here: a backslash before a letter, an underscore inside a
# word, a star between spaces, a bracket that no address follows and a lone `<` do not, and stay readable in the file.
MARKS = re.compile(
    r"[|`~$]|(?<!\s)\*|\*(?!\s)|\\(?=[!-/:-@\[-`{-~]|$)|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[])|<(?=[A-Za-z/!?])|&(?=#|[A-Za-z][A-Za-z0-9]*;)"
)


def render_table(report: Report, style: Style) -> str:
    """Return tables drawn with lines, rounded for reading.

    Text folds to fit the width. Numbers never lose a digit: where they do not fit, the table is wider than the screen.
    """
    return "\n".join(_drawn(part, style) for part in report.parts())


def _drawn(report: Report, style: Style) -> str:
    import io
    import shutil

    from rich.console import Console

    lines = texts(report, style)
    room = (style.width or shutil.get_terminal_size().columns) - GAP * len(report.columns)
    widths = _widths(report, lines, room)
    width = sum(widths) + GAP * len(widths)
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=style.color, color_system="standard" if style.color else None)
    console.print(_table(report, lines, widths))
    return out.getvalue()


def _widths(report: Report, lines: list[list[str]], room: int) -> list[int]:
    columns = [[name, *(line[position] for line in lines)] for position, name in enumerate(report.columns)]
    least = [_least(report, cells) for cells in columns]
    widths = [max(low, min(_widest(cells), room)) for low, cells in zip(least, columns, strict=True)]
    while sum(widths) > room and (loose := [place for place, low in enumerate(least) if widths[place] > low]):
        widths[max(loose, key=widths.__getitem__)] -= 1
    return widths


def _least(report: Report, cells: list[str]) -> int:
    """The width below which a number would be broken: of the column, or of the words where its cells are lists."""
    name, *values = cells
    if numeric(report, name):
        return _widest(cells)
    text = [isinstance(row.get(name), str) for row in report.rows]
    words = [word for cell, skip in zip(values, text, strict=True) if not skip for word in cell.split()]
    return max(min(NARROW, _widest(cells)), _widest(words))


def _widest(cells: Sequence[str]) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, cells), default=0)


def _table(report: Report, lines: list[list[str]], widths: list[int]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # Text and not str: a loss such as `[mse]` is no markup.
    title = Text(report.title) if report.title else None
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, header_style="bold")
    for name, width in zip(report.columns, widths, strict=True):
        right = numeric(report, name)
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold", no_wrap=right, width=width)
    for line in lines:
        table.add_row(*map(Text, line))
    return table


def render_markdown(report: Report, style: Style) -> str:
    """Return a header, a rule that sets numbers to the right, and one line for each row, rounded for reading."""
    return "\n".join(_marked(part, style) for part in report.parts())


def _marked(report: Report, style: Style) -> str:
    title = f"**{_escaped(report.title)}**\n\n" if report.title else ""
    rule = ["---:" if numeric(report, column) else "---" for column in report.columns]
    cells = [[_escaped(cell) for cell in line] for line in (report.columns, *texts(report, style))]
    return title + "".join(map(_row, (cells[0], rule, *cells[1:])))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _escaped(cell: str) -> str:
    """A cell that is seen as it is: what Markdown would take for its own stands behind a backslash."""
    return MARKS.sub(r"\\\g<0>", cell)
