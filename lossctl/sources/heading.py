"""Whether the first row of a text table holds names or the first sample, by the look of it and of some rows below.

Nothing is guessed in silence: a decision that may be wrong has a sentence that is said, and a doubt, by which inputs of other
lengths may turn it round.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from lossctl.sources.cells import BLANK, NUMBER
from lossctl.sources.container import EVEN, RULE, SURE, WEAK, Heading
from lossctl.sources.keys import WELL_KNOWN, names_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# What cells are.
TEXT, NUMERIC, TRUTH, DATE, NOTHING = "text", "number", "bool", "date", ""
# Kinds of values, which do not name columns.
VALUES = frozenset({NUMERIC, TRUTH, DATE})
# What people write where a value is missing.
MISSING = BLANK | {"n/a", "#n/a", "<na>", "none", "-", "--", "?", "."}
# No longer than what is read at once as a number.
WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
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
    return len(set(column)) == len(column) and all(WHOLE.fullmatch(cell) or _kind(cell) in {TEXT, DATE} for cell in column)


def _of_one(column: Sequence[str]) -> Heading:
    """A single column under 0. Labels often begin with 0, and pandas writes numbers with a decimal point as 0.0."""
    if column and _kind_of(column) == TEXT:
        return Heading(header=True, doubt=RULE, why="as pandas writes it above a column without a name")
    if any(DECIMAL.fullmatch(cell) for cell in column) and not any(map(WHOLE.fullmatch, column)):
        return Heading(header=True, doubt=RULE, why="as pandas writes it above a column without a name")
    goes_on = column[:1] == ["1"]
    alone = len(column) >= FEW and "0" not in column and not goes_on and all(map(WHOLE.fullmatch, column))
    return Heading(header=False, doubt=WEAK, why="though no other is 0" if alone else "")


def _of_several(columns: Columns) -> Heading:
    """Several columns, under 0, 1, and so on."""
    if any(column and _kind_of(column) == TEXT for column in columns):
        return Heading(header=True, doubt=RULE)
    inside = all(WHOLE.fullmatch(cell) and 0 <= int(cell) < len(columns) for column in columns for cell in column)
    if inside and any(columns):
        return Heading(header=False, doubt=EVEN, why="though pandas writes the same above columns without names")
    return Heading(header=True, doubt=RULE, why="as pandas writes them above columns without names")


def _rises(names: Sequence[str]) -> bool:
    """Whether all are whole numbers, each larger than the one before it."""
    if not all(map(WHOLE.fullmatch, names)):
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
        sample = any(kind == NUMERIC and not WHOLE.fullmatch(cell) for kind, cell in zip(kinds, first, strict=True))
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
