"""How a text table is laid out: delimiter, header, names, and its rows of cells with their line numbers.

This is the one reading of text tables that counts. The quick ways in `bulk` either agree with it or step back to it.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from lossctl.errors import UnreadableFile
from lossctl.sources.cells import number
from lossctl.sources.container import Heading
from lossctl.sources.heading import heading
from lossctl.sources.stored import BUFFER
from lossctl.sources.values import reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lossctl.sources.stored import Stored

# The rows that decide which columns hold numbers; the same for small and large tables, so that both decide alike.
SAMPLE = 100
# And those that are looked through for the words of the first one, in a table of text alone.
MANY = 10_000
UTF16 = (b"\xff\xfe", b"\xfe\xff")
WHITESPACE = ""
NAMED = Heading(header=True)
WIDE = ("\t", ",", ";", WHITESPACE)
# Refused in data, so it can mark their end.
END = "\0"
QUOTED = re.compile(r'"[^"]*"')

Row = tuple[int, list[str]]


@dataclass(frozen=True)
class TextStyle:
    """What a suffix promises: the delimiters to look for, the likeliest first, and whether # begins a comment."""

    delimiters: tuple[str, ...]
    comments: bool = False


CSV = TextStyle((",", ";", "\t"))
TSV = TextStyle(("\t",))
TXT = TextStyle(WIDE, comments=True)
UNKNOWN = TextStyle(WIDE)


@dataclass(frozen=True)
class Layout:
    """A table's delimiter and columns. The data begin after `skip` lines; `numeric` columns have no text in the first rows.

    `heading` says whether the `first` row holds the names, which are `#1`, `#2`, … where it does not.
    """

    delimiter: str
    comments: bool
    names: tuple[str, ...]
    skip: int
    numeric: tuple[int, ...]
    first: tuple[str, ...] = ()
    heading: Heading = NAMED


def read_layout(stored: Stored, style: TextStyle) -> Layout:
    """Find out the layout from the first lines.

    Raises: UnreadableFile if the table is empty, no text, or its rows differ in length.
    """
    delimiter = _delimiter(stored, style)
    head = _head(stored, delimiter, comments=style.comments)
    if not head:
        message = f"{stored.name} is empty: it has no rows."
        raise UnreadableFile(message, hint="A table has one row a sample, with or without a header.")
    first, below = head[0][1], [cells for _, cells in head[1:]]
    reading = heading(
        first,
        below,
        lambda: _words(islice(records(stored, delimiter, comments=style.comments), 1, MANY)),
        lambda: _in_quotes(stored, len(first), comments=style.comments),
    )
    return _laid(stored, delimiter, head, reading, comments=style.comments)


def read_otherwise(stored: Stored, layout: Layout, reading: Heading) -> Layout:
    """Return the layout of the same table with, or without, a header, whatever its first row looks like."""
    head = _head(stored, layout.delimiter, comments=layout.comments)
    return _laid(stored, layout.delimiter, head, reading, comments=layout.comments)


def _words(rows: Iterable[Row]) -> set[str]:
    return {cell.strip() for _, cells in rows for cell in cells}


def _head(stored: Stored, delimiter: str, *, comments: bool) -> list[Row]:
    return list(islice(records(stored, delimiter, comments=comments), SAMPLE + 1))


def _laid(stored: Stored, delimiter: str, head: list[Row], reading: Heading, *, comments: bool) -> Layout:
    first = head[0][1]
    names = tuple(cell.strip() for cell in first) if reading.header else tuple(f"#{i + 1}" for i in range(len(first)))
    data = head[1:] if reading.header else head[:SAMPLE]
    numeric = tuple(i for i in range(len(names)) if all(number(cells[i]) is not None for _, cells in data))
    skip = data[0][0] - 1 if data else sum(1 for _ in Lines(stored))
    return Layout(delimiter, comments, names, skip, numeric, tuple(first), reading)


def _in_quotes(stored: Stored, width: int, *, comments: bool) -> bool:
    """Whether all cells of the first row are in quotes, and none of the second."""
    lines = islice((line for line in Lines(stored, comments=comments) if line.strip()), 2)
    first, second = next(lines, ""), next(lines, "")
    return first.count('"') == 2 * width and bool(second) and '"' not in second


def rows(stored: Stored, layout: Layout) -> Iterator[Row]:
    """Yield the rows below the header: the line on which each begins, and its cells.

    Raises: UnreadableFile with the line that is ragged or no text.
    """
    for line, cells in records(stored, layout.delimiter, comments=layout.comments):
        if line > layout.skip:
            yield line, cells


def records(stored: Stored, delimiter: str, *, comments: bool = False) -> Iterator[Row]:
    """Yield all rows that are not blank, the header among them. In a single column a blank line is a blank cell.

    Raises: UnreadableFile with the line that is ragged or no text.
    """
    width = 0
    blank: list[int] = []
    for line, cells in _split(stored, delimiter, comments=comments):
        if not cells or (len(cells) == 1 and cells[0].isspace()):
            blank.append(line)
            continue
        if width and len(cells) != width:
            raise _ragged(stored, line, len(cells), width)
        # Blank lines at either end of the file say nothing.
        yield from ((empty, [""]) for empty in (blank if width == 1 else ()))
        blank.clear()
        width = len(cells)
        yield line, cells


def _split(stored: Stored, delimiter: str, *, comments: bool) -> Iterator[Row]:
    lines = Lines(stored, comments=comments)
    if delimiter == WHITESPACE:
        for text in lines:
            yield lines.number, text.split()
        return
    # The csv module takes an open quote at the end for closed, with all rows in it; a last line of its own tells.
    reader = csv.reader(chain(lines, [END]), delimiter=delimiter)
    fed = 0
    try:
        for cells in reader:
            begin = lines.number - (reader.line_num - fed) + 1
            fed = reader.line_num
            if cells == [END]:
                return
            if cells and END in cells[-1]:
                message = f"{stored.name}, line {begin + 1}, opens a quote that no later line closes."
                raise UnreadableFile(message, hint='Close it, or write a quote that belongs to the text as "".')
            yield begin, cells
    except csv.Error as error:
        message = f"{stored.name}, line {lines.number}, is not a row of a table: {reason(error)}."
        raise UnreadableFile(message, hint="A quote that is opened must be closed.") from error


class Lines:
    """The lines of a text file with their line ends; `number` is that of the last one given, from 1."""

    def __init__(self, stored: Stored, *, comments: bool = False) -> None:
        """Start at the first line; lines that begin with # are counted and left out if they are `comments`."""
        self._stored = stored
        self._text = io.TextIOWrapper(stored.stream(), encoding="utf-8-sig", newline="")
        self._comments = comments
        self.number = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        while True:
            try:
                line = next(self._text)
            except UnicodeDecodeError as error:
                raise _undecodable(self._stored) from error
            self.number += 1
            if "\0" in line:
                message = f"{self._stored.name}, line {self.number}, holds a zero byte: this is no text table."
                raise UnreadableFile(message, hint="Name its format with --in-format.")
            if not (self._comments and line.lstrip().startswith("#")):
                return line


def _delimiter(stored: Stored, style: TextStyle) -> str:
    """The first likely delimiter that stands in the first line outside of quotes."""
    first = next((line for line in Lines(stored, comments=style.comments) if line.strip()), "")
    bare = QUOTED.sub("", first.strip("\r\n"))
    inside = (delimiter for delimiter in style.delimiters if delimiter and delimiter in bare)
    spaced = WHITESPACE in style.delimiters and '"' not in first
    return next(inside, WHITESPACE if spaced else style.delimiters[0] or ",")


def _ragged(stored: Stored, line: int, count: int, width: int) -> UnreadableFile:
    cells = "1 cell" if count == 1 else f"{count} cells"
    message = f"{stored.name}, line {line}, has {cells}, but the first row has {width}."
    return UnreadableFile(message, hint="Put a cell that holds the delimiter in double quotes.")


def _undecodable(stored: Stored) -> UnreadableFile:
    """Say on which line the text ends being UTF-8."""
    if b"\0" in stored.head(BUFFER) and stored.head(2) not in UTF16:
        return UnreadableFile(f"{stored.name} is binary, no text table.", hint="Name its format with --in-format.")
    if stored.head(2) in UTF16:
        message = f"{stored.name} is UTF-16 text, and tables are read as UTF-8."
        return UnreadableFile(message, hint=f"Convert it: iconv -f UTF-16 -t UTF-8 '{stored.name}'.")
    for count, line in enumerate(stored.stream(), 1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            message = f"{stored.name}, line {count}, is not UTF-8 text: {error.reason} 0x{line[error.start]:02x}."
            return UnreadableFile(message, hint=f"Convert it: iconv -f LATIN1 -t UTF-8 '{stored.name}'.")
    return UnreadableFile(f"{stored.name} is not UTF-8 text.")
