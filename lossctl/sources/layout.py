"""How a text table is laid out: delimiter, header, names, and its rows of cells with their line numbers.

This is the one reading of text tables that counts. The quick ways in `bulk` either agree with it or step back to it. Whether
the first row holds names or the first sample is decided by the look of it and of some rows below. A decision that may be wrong
is reported in a sentence, and its doubt lets inputs of other lengths turn it round.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise

from lossctl.errors import UnreadableFile
from lossctl.sources.cells import BLANK, NUMBER, number
from lossctl.sources.container import EVEN, RULE, SURE, WEAK, Heading
from lossctl.sources.keys import WELL_KNOWN, names_id
from lossctl.sources.stored import BUFFER, Stored
from lossctl.sources.values import reason

# What cells are.
TEXT, NUMERIC, TRUTH, DATE, NOTHING = "text", "number", "bool", "date", ""
# Kinds of values, which do not name columns.
VALUES = frozenset({NUMERIC, TRUTH, DATE})
# What people write where a value is missing.
MISSING = BLANK | {"n/a", "#n/a", "<na>", "none", "-", "--", "?", "."}
# No longer than what is read at once as a number.
INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
# As pandas and NumPy write floating-point numbers, also whole ones.
DECIMAL = re.compile(r"[+-]?(\d*\.\d*(e[+-]?\d+)?|\d+e[+-]?\d+)", re.ASCII | re.IGNORECASE)
DAY = re.compile(r"\d{4}-\d\d?-\d\d?([T ]\d\d?:\d\d.*)?|\d\d?[/.]\d\d?[/.]\d{4}|\d\d?:\d\d(:\d\d.*)?", re.ASCII)
NAMES = frozenset().union(*WELL_KNOWN.values()) | {"name", "sample", "row", "time", "step", "epoch", "group", "class"}
# Fewer rows than this say nothing of what is usual in a table.
FEW = 3
# Cells that are looked at: of a wide table fewer rows.
CELLS = 20_000
# Words of a first row that a sentence repeats.
SHOWN = 4

# What it costs to turn a reading round.
COSTS = {EVEN: 0, WEAK: 1, RULE: 2}

Columns = list[list[str]]
# The files of an input whose headings are in doubt, and its length as they are read now.
Entry = tuple[frozenset[str], int]


def heading(
    first: Sequence[str], below: Sequence[Sequence[str]], more: Callable[[], set[str]], quoted: Callable[[], bool]
) -> Heading:
    """Decide about a table's `first` row by the rows `below` it, some of the first.

    `quoted` tells whether its cells are in quotes and those below are not, and `more` the words of further rows, which only a
    table of text alone needs.
    """
    below = below[: max(FEW, CELLS // len(first))]
    if all(_kind(cell) in {NUMERIC, NOTHING} for cell in first):
        return _of_numbers([cell.strip() for cell in first], below, quoted)
    return _of_words([cell.strip() for cell in first], below, more)


def _kind(cell: str) -> str:
    text = cell.strip()
    if text.lower() in MISSING:
        return NOTHING
    if NUMBER.fullmatch(text):
        return NUMERIC
    if text.lower() in {"true", "false"}:
        return TRUTH
    return DATE if DAY.fullmatch(text) else TEXT


def _kind_of(column: Sequence[str]) -> str:
    """What most cells of a column are."""
    kinds = [kind for kind in map(_kind, column) if kind != NOTHING]
    if not kinds:
        return NOTHING
    most = max(VALUES, key=kinds.count)
    return most if 2 * kinds.count(most) >= len(kinds) else TEXT


def _of_numbers(first: list[str], below: Sequence[Sequence[str]], quoted: Callable[[], bool]) -> Heading:
    """A first row without text: pandas writes 0, 1, … for columns without names, and a blank above its index."""
    index = len(first) > 1 and not first[0]
    names = first[index:]
    if "" in names or not below:
        return Heading(header=index and _counted(names))
    if quoted():
        return Heading(header=True)
    counted = _counted(names)
    columns = _columns(below, range(int(index), len(first)))
    if not counted and any(column and all(map(_is_word, column)) for column in columns):
        return Heading(header=True, doubt=RULE, why="for a number stands above a column of words")
    beside = [row[0].strip() for row in below]
    if index and _tells_apart(beside) and (counted or _rises(names)):
        return Heading(
            header=True, doubt=RULE, why="" if counted else "for what stands below its blank cell looks like an index"
        )
    if counted:
        return _of_one(columns[0]) if len(names) == 1 else _of_several(columns)
    return (
        Heading(header=False, doubt=WEAK, why="though it stands out") if _stands_out(names, columns) else Heading(header=False)
    )


def _is_word(cell: str) -> bool:
    """Whether a cell is text that begins with a letter: `1,000` and `$5` are numbers that were written for people."""
    return _kind(cell) == TEXT and cell[0].isalpha()


def _counted(names: Sequence[str]) -> bool:
    return all(name == str(number) for number, name in enumerate(names))


def _columns(rows: Sequence[Sequence[str]], positions: Sequence[int]) -> Columns:
    """The cells of columns, without those that are blank."""
    return [[cell for row in rows if (cell := row[at].strip()).lower() not in MISSING] for at in positions]


def _tells_apart(column: Sequence[str]) -> bool:
    """Whether a column looks like an index: unique whole numbers or unique text, without a gap."""
    return len(set(column)) == len(column) and all(INTEGER.fullmatch(cell) or _kind(cell) in {TEXT, DATE} for cell in column)


def _of_one(column: Sequence[str]) -> Heading:
    """A single column under 0. Labels often begin with 0, and pandas writes numbers with a decimal point as 0.0."""
    if column and _kind_of(column) == TEXT:
        return Heading(header=True, doubt=RULE, why="as pandas writes it above a column without a name")
    if any(DECIMAL.fullmatch(cell) for cell in column) and not any(map(INTEGER.fullmatch, column)):
        return Heading(header=True, doubt=RULE, why="as pandas writes it above a column without a name")
    goes_on = column[:1] == ["1"]
    alone = len(column) >= FEW and "0" not in column and not goes_on and all(map(INTEGER.fullmatch, column))
    return Heading(header=False, doubt=WEAK, why="though no other is 0" if alone else "")


def _of_several(columns: Columns) -> Heading:
    """Several columns, under 0, 1, and so on."""
    if any(column and _kind_of(column) == TEXT for column in columns):
        return Heading(header=True, doubt=RULE)
    inside = all(INTEGER.fullmatch(cell) and 0 <= int(cell) < len(columns) for column in columns for cell in column)
    if inside and any(columns):
        return Heading(header=False, doubt=EVEN, why="though pandas writes the same above columns without names")
    return Heading(header=True, doubt=RULE, why="as pandas writes them above columns without names")


def _rises(names: Sequence[str]) -> bool:
    """Whether all are whole numbers, each larger than the one before it."""
    if not all(map(INTEGER.fullmatch, names)):
        return False
    numbers = [int(name) for name in names]
    return all(low < high for low, high in pairwise(numbers))


def _stands_out(names: Sequence[str], columns: Columns) -> bool:
    """Whether rising whole numbers are unlike what is below them: written without a point, or far away, or alone in rising."""
    if not _rises(names) or not all(columns):
        return False
    if all(DECIMAL.fullmatch(cell) for column in columns for cell in column):
        return True
    if (
        len(names) == 1
        or min(map(len, columns)) < FEW
        or not all(NUMBER.fullmatch(cell) for column in columns for cell in column)
    ):
        return False
    return all(_far(float(name), [float(cell) for cell in column]) for name, column in zip(names, columns, strict=True))


def _far(number: float, others: Sequence[float]) -> bool:
    """Whether a number is farther from the others than they are from one another."""
    low, high = min(others), max(others)
    return number > high + (high - low) or number < low - (high - low)


def _of_words(first: list[str], below: Sequence[Sequence[str]], more: Callable[[], set[str]]) -> Heading:
    """A first row with text: names, unless each column goes on as it begins and one of values tells so."""
    kinds = [_kind(cell) for cell in first]
    if not below:
        sample = any(kind == NUMERIC and not INTEGER.fullmatch(cell) for kind, cell in zip(kinds, first, strict=True))
        return Heading(header=False, doubt=WEAK, why="though nothing follows it") if sample else Heading(header=True)
    numeric: list[int] = []
    goes_on = False
    for at, kind in enumerate(kinds):
        if kind == NOTHING:
            continue
        column = _kind_of([row[at] for row in below])
        if column in VALUES and (kind == TEXT or (kind, column) == (DATE, NUMERIC)):
            return Heading(header=True)
        goes_on |= kind == column and kind in VALUES
        numeric += [at] if kind == column == NUMERIC else []
    if not goes_on:
        return _of_text(first, below, more)
    return _going_on(first, [cell for cell, kind in zip(first, kinds, strict=True) if kind == TEXT], below, numeric)


def _going_on(first: list[str], words: list[str], below: Sequence[Sequence[str]], numeric: list[int]) -> Heading:
    """Values above values: a sample, unless its numbers stand out, as years or 0, 1, … in a header do."""
    numbers, columns = [first[at] for at in numeric], _columns(below, numeric)
    counted = len(numbers) > 1 and _counted(numbers) and _of_several(columns).header
    if not (counted or (numbers and _stands_out(numbers, columns))):
        return Heading(header=False)
    if all(names_id(word) or word.lower() in NAMES for word in words):
        return Heading(header=True, doubt=RULE, why="for its numbers stand out")
    return Heading(header=False, doubt=WEAK, why="though its numbers stand out")


def _of_text(first: list[str], below: Sequence[Sequence[str]], more: Callable[[], set[str]]) -> Heading:
    """A table of text alone."""
    words = {cell for cell in first if _kind(cell) == TEXT}
    known = {cell.strip() for row in below for cell in row}
    if all(_kind(cell) == NOTHING for cell in known):
        return Heading(header=True)
    if words & known or words & more():
        return Heading(header=False, doubt=WEAK, why="since its words occur below it too")
    return Heading(header=True, doubt=WEAK, why="since its words occur nowhere below it")


def alike(headings: Mapping[str, Heading]) -> list[str]:
    """Return which of several files of one array are to be read the other way, for all of them to be read alike.

    The ones least in doubt say how. Where they differ themselves, as pieces of a table that was cut do, each stays as it is.
    """
    for doubt in (SURE, RULE, WEAK):
        said = {heading.header for heading in headings.values() if heading.doubt == doubt}
        if said:
            return [
                path
                for path, heading in headings.items()
                if heading.doubt != SURE and {heading.header} != said and len(said) == 1
            ]
    return []


def sentence(name: str, first: Sequence[str], heading: Heading) -> str:
    """What is said of a decision: `t.csv: the first row (0, 1) is taken for names, …; --header no takes it for a sample`."""
    shown = ", ".join(cell.strip() for cell in first[:SHOWN]) + (", …" if len(first) > SHOWN else "")
    taken, other = ("names", "a sample") if heading.header else ("a sample", "names")
    flag = "no" if heading.header else "yes"
    return f"{name}: the first row ({shown}) is taken for {taken}, {heading.why}; --header {flag} takes it for {other}"


def ways(tables: Mapping[str, Heading], entries: Sequence[Entry]) -> list[frozenset[str]]:
    """Return which files to read the other way, so that all entries have one length; nothing where that cannot be.

    Several ways are equally likely, the one with the least changes first. That is so only where a reading is EVEN.
    """
    turns: dict[int, frozenset[str]] = {}
    for length in {length for entry in entries for length in (entry[1], _turned_length(tables, entry))}:
        turned = _turned(tables, entries, length)
        if turned is not None:
            turns[length] = turned
    if not turns:
        return []
    costs = {length: max((COSTS[tables[path].doubt] for path in turned), default=0) for length, turned in turns.items()}
    even = any(tables[path].doubt == EVEN for paths, _ in entries for path in paths)
    least = max(min(costs.values()), COSTS[WEAK] if even else 0)
    best = sorted((turned for length, turned in turns.items() if costs[length] <= least), key=len)
    return best if even else best[:1]


def _turned_length(tables: Mapping[str, Heading], entry: Entry) -> int:
    """The length of an input whose files are all read the other way: a header is one sample less."""
    paths, length = entry
    return length + sum(1 if tables[path].header else -1 for path in paths)


def _turned(tables: Mapping[str, Heading], entries: Sequence[Entry], wanted: int) -> frozenset[str] | None:
    """The files to read the other way for all entries to be of the length `wanted`; None where none would do."""
    kept: set[str] = set()
    turned: set[str] = set()
    for paths, length in entries:
        if length == wanted:
            kept |= paths
        elif _turned_length(tables, (paths, length)) == wanted:
            turned |= paths
        else:
            return None
    return None if kept & turned else frozenset(turned)


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
