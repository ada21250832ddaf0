"""Lines of JSON, .jsonl and .ndjson: records are the rows of a table, numbers and lists the samples of one array.

A file is gone through in pieces for its columns, since any record may have keys of its own. What the first piece shows to be
numbers is kept along the way, in a temporary file once it is much; where a later piece shows otherwise, the columns that are
wanted are read in a second pass. Numbers are float64, as in other tables; integers are read as such and rounded once.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import LossctlError, ShapeMismatch, UnreadableFile
from lossctl.sources.cells import large
from lossctl.sources.npy import NpyPart
from lossctl.sources.readers import Memory, NumPyArray, Part, Shape, place
from lossctl.sources.spool import Converted, ConvertedFile, Group, Spool, TextPiece, pieces
from lossctl.sources.values import NUMERIC, WORDS, common, first_of, numbers, reason, refusal, rounded, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.sources.stored import Stored


# Numbers of one line that are kept while the columns are looked for: all of them are read where one column is.
WIDEST = 64


@dataclass(frozen=True)
class Survey:
    """What one pass over the file finds. Values stand on consecutive lines from the first if there is no `gap`."""

    columns: tuple[JsonColumn, ...]
    rows: int
    gap: bool


@dataclass(eq=False)
class Jsonl(ConvertedFile):
    """An opened file of lines of JSON. `records` says whether they are objects; `kept` are its columns of numbers."""

    stored: Stored
    records: bool
    survey: Survey
    kept: Part | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process parses the file for itself, once for all that is asked of it there."""
        return _again, (self.stored, self.records, self.survey, tuple(self._wanted))

    def __post_init__(self) -> None:
        self.noun = "column" if self.records else "this file of JSON lines"

    @cached_property
    def names(self) -> Sequence[str] | None:
        """The keys of all records, nested ones as `a.b`; None where the file is one array."""
        return [column.name for column in self.survey.columns] if self.records else None

    def numeric(self) -> list[int]:
        """Return the columns that hold numbers and nothing else."""
        return [position for position, column in enumerate(self.survey.columns) if column.numeric]

    def part(self, position: int) -> Part:
        """Return one column, shape (n,), or (n, k) where it holds lists.

        Raises: UnreadableFile with the line that holds no number, ShapeMismatch with one whose list is shorter or longer;
        when it is first looked at.
        """
        return self._columns(Group((position,)))

    def block(self, positions: Sequence[int]) -> Part:
        """Return several columns of numbers, shape (n, k).

        Raises: ShapeMismatch if one of them holds lists.
        """
        if not self.records:
            return self.part(positions[0])
        lists = next((column for column in (self.survey.columns[i] for i in positions) if column.shape), None)
        if lists is not None:
            message = f"{self.stored.name}: '{lists.name}' holds lists of shape {lists.shape}, and no single numbers."
            raise ShapeMismatch(message, hint="Only one-dimensional arrays of one length stand side by side in a block.")
        return self._columns(Group(tuple(positions), block=True))

    def _columns(self, group: Group) -> Part:
        self.want(group)
        return JsonColumns(self, group)

    def convert(self, groups: Sequence[Group]) -> Sequence[Part]:
        """Return the numbers of columns.

        Raises: UnreadableFile with the line that holds no number, ShapeMismatch with one whose list is shorter or longer.
        """
        columns = self.survey.columns
        if self.kept is not None and all(columns[at].numeric for group in groups for at in group.positions):
            return [self._of_kept(group, self.kept) for group in groups]
        filling = [Filling([columns[at] for at in group.positions], self.stored.name, block=group.block) for group in groups]
        for piece in pieces(self.stored):
            content = parsed(piece, self.stored.name, records=self.records)
            for filled in filling:
                filled.add(content)
        return [filled.done() for filled in filling]

    def _of_kept(self, group: Group, kept: Part) -> Part:
        columns = self.survey.columns
        starts = {at: sum(math.prod(column.shape) for column in columns[:at] if column.numeric) for at in group.positions}
        if group.block:
            return KeptColumns(kept, tuple(starts.values()))
        shape = columns[group.positions[0]].shape
        first = starts[group.positions[0]]
        return KeptColumns(kept, tuple(range(first, first + math.prod(shape))), shape)

    def texts(self, position: int) -> Iterator[Sequence[str]]:
        """Yield the values of a column as text, null as nothing; integers as they are written.

        Raises: ShapeMismatch if it holds lists or objects.
        """
        column = self.survey.columns[position]
        for piece in pieces(self.stored):
            content = parsed(piece, self.stored.name, records=self.records, decoder=TEXTS)
            yield [self._text(value, column) for value in column.of(content.values)]

    def _text(self, value: Any, column: JsonColumn) -> str:
        if isinstance(value, list | dict):
            where = f"{self.stored.name}:{column.name}" if self.records else self.stored.name
            raise ShapeMismatch(f"{where} is no list of ids or groups.", hint="They are text or numbers, one for each sample.")
        return "" if value is None else str(value)

    def line(self, row: int) -> int:
        """Return the line on which a value stands, from 1."""
        return int(self._lines[row]) if self.survey.gap else row + 1

    @cached_property
    def _lines(self) -> NumPyArray:
        blanks = BLANKS.encode()
        lines = (line for piece in pieces(self.stored) for line in piece.content.removesuffix(b"\n").split(b"\n"))
        return np.flatnonzero(np.fromiter((bool(line.strip(blanks)) for line in lines), np.bool_)) + 1


@lru_cache(maxsize=4)
def _again(stored: Stored, records: bool, survey: Survey, groups: tuple[Group, ...]) -> Jsonl:  # noqa: FBT001 - as it is pickled
    opened = Jsonl(stored, records, survey)
    for group in groups:
        opened.want(group)
    return opened


class JsonColumns(Converted["Jsonl"]):
    """One column, or several side by side."""

    def place(self, index: tuple[int, ...]) -> str:
        """Return `line 7, column 'yhat'`, and the place in a list."""
        if not index:
            return place(index)
        block = self.group.block and len(index) > 1
        column = self.table.survey.columns[self.group.positions[index[1] if block else 0]]
        inner = "" if block or len(index) == 1 else f", {place(index[1:])}"
        return f"line {self.table.line(index[0])}" + (f", column '{column.name}'" if column.path else "") + inner


class Filling:
    """Takes some columns of a file piece by piece: side by side as a block (n, k), or one as (n, *shape).

    A column of lists is kept as one column for each element of a list.
    """

    def __init__(self, columns: Sequence[JsonColumn], name: str, *, block: bool) -> None:
        """Begin empty; messages call the file `name`."""
        self._columns, self._name = columns, name
        self._shape = None if block else columns[0].shape
        size = sum(math.prod(column.shape) for column in columns)
        self._rows = 0
        self._spool = Spool(Group(tuple(range(size)), block=self._shape != ()), name) if size else None

    def add(self, content: Parsed, kind: np.dtype[Any] | None = None) -> bool:
        """Add some rows; not those, if a `kind` is asked for, of which some column is of another."""
        rows = len(content.lines)
        arrays = [floats(content, column) for column in self._columns]
        if kind is not None and any(array.dtype != kind for array in arrays):
            return False
        self._rows += rows
        if self._spool and rows:
            sizes = [math.prod(column.shape) for column in self._columns]
            self._spool.add([part for array, size in zip(arrays, sizes, strict=True) for part in array.reshape(rows, size).T])
        return True

    def done(self) -> Part:
        """Return everything as one array."""
        part = self._spool.done() if self._spool else Memory(np.empty((self._rows, *(self._shape or (0,)))))
        if not self._shape:
            return part
        shape = (self._rows, *self._shape)
        if isinstance(part, NpyPart):
            return replace(part, header=replace(part.header, shape=shape))
        return Memory(part.read(0, self._rows).reshape(shape))


@dataclass(frozen=True)
class KeptColumns:
    """Some columns of a two-dimensional array: (n, k) for several or, with a `shape`, (n, *shape) for those of one list."""

    whole: Part
    positions: tuple[int, ...]
    tail: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the columns."""
        return (self.whole.shape[0], *((len(self.positions),) if self.tail is None else self.tail))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the whole."""
        return self.whole.dtype

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        rows = self.whole.read(0, self.whole.shape[0]) if axis else self.whole.read(start, stop)
        array = np.ascontiguousarray(rows[:, self.positions]).reshape(len(rows), *self.shape[1:])
        return array[(slice(None),) * axis + (slice(start, stop),)] if axis else array

    def place(self, index: tuple[int, ...]) -> str:
        """Return the index in brackets."""
        return place(index)


def open_jsonl(stored: Stored) -> Jsonl:
    """Open lines of JSON. NaN, Infinity and null are numbers; blank lines are skipped.

    Raises: UnreadableFile with the first line that is no JSON, or not of the kind of the others.
    """
    records, node, rows, last = _of_records(stored), Node(), 0, 0
    kept: Filling | None = None
    columns: tuple[JsonColumn, ...] = ()
    for piece in pieces(stored):
        content = parsed(piece, stored.name, records=records)
        if not content.lines:
            continue
        node.see(content.values)
        before, columns = columns, tuple(node.columns())
        numeric = [column for column in columns if column.numeric]
        if not rows and 0 < sum(math.prod(column.shape) for column in numeric) <= WIDEST:
            kept = Filling(numeric, stored.name, block=True)
        kept = kept if kept and (not rows or columns == before) and _added(kept, content) else None
        rows, last = rows + len(content.lines), content.lines[-1]
    return Jsonl(stored, records, Survey(columns, rows, gap=last != rows), kept.done() if kept else None)


def _added(kept: Filling, content: Parsed) -> bool:
    try:
        return kept.add(content, np.dtype(np.float64))
    except LossctlError:
        # Said when the column is asked for.
        return False


def _of_records(stored: Stored) -> bool:
    """Whether the first line that is not blank holds an object.

    Raises: UnreadableFile if there is no such line.
    """
    for piece in pieces(stored):
        if text := piece.content.lstrip(BLANKS.encode()):
            return text.startswith(b"{")
    message = f"{stored.name} holds nothing: all its lines are blank."
    raise UnreadableFile(message, hint="Each line holds a record, a number or a list.")


# More digits than any float has before the point.
LONGEST = 400
# The white space of JSON.
BLANKS = " \t\r\n"
UTF8 = "Convert it with iconv -t UTF-8."
PER_LINE = "Each line holds one JSON value of its own; for one document of several lines write --in-format json."


def whole_number(text: str) -> int | float:
    """A whole number with all its digits; one beyond every float as infinity, and -0 with its sign."""
    return float(text) if text == "-0" or len(text) > LONGEST else int(text)


NUMBERS = json.JSONDecoder(object_pairs_hook=unique, parse_int=float)
# The same for lines with a whole number of so many digits that float64 may not hold it.
EXACT = json.JSONDecoder(object_pairs_hook=unique, parse_int=whole_number)
MANY_DIGITS = re.compile(rb"(?<![.\d])\d{16,}(?![.\deE])")
# Ids keep the digits that they are written with.
TEXTS = json.JSONDecoder(object_pairs_hook=unique, parse_int=str)


@dataclass(frozen=True)
class JsonColumn:
    """A place in every record, and the shape of its first value that is not null; `path` is empty for bare values.

    `mixed` says that other records hold an object there.
    """

    path: tuple[str, ...]
    shape: Shape
    numeric: bool
    mixed: bool = False

    @property
    def name(self) -> str:
        """The name that users type."""
        return ".".join(self.path)

    def of(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return what records hold there; None where they hold nothing."""
        for depth, key in enumerate(self.path):
            if depth:
                values = [value.get(key) if isinstance(value, dict) else None for value in values]
            else:
                values = [value.get(key) for value in values]
        return values


@dataclass
class Node:
    """What stands at one place of the records: objects with their keys, or `others`, which may all be `numeric`.

    Null is neither. `shape` is that of the first of the others.
    """

    objects: bool = False
    others: bool = False
    numeric: bool = True
    shape: Shape | None = None
    children: dict[str, Node] = field(default_factory=dict)

    def see(self, values: Sequence[Any]) -> None:
        """Take note of what some records hold."""
        kinds = set(map(type, values))
        if dict in kinds:
            self.objects = True
            inner = values if len(kinds) == 1 else [value for value in values if isinstance(value, dict)]
            for key in dict.fromkeys(chain.from_iterable(inner)):
                self.children.setdefault(key, Node()).see([value.get(key) for value in inner])
        if kinds <= {dict, type(None)}:
            return
        self.others = True
        if self.shape is None:
            self.shape = _shape_of(next(value for value in values if not (value is None or isinstance(value, dict))))
        # Once a text has been seen, nothing makes a column one of numbers.
        if self.numeric and not kinds <= PLAIN:
            self.numeric = all(value is None or isinstance(value, dict) or _is_numeric(value) for value in values)

    def columns(self, path: tuple[str, ...] = ()) -> Iterator[JsonColumn]:
        """Yield this place, unless it holds nothing but objects, and those below it, in file order."""
        if self.others or not self.objects:
            yield JsonColumn(path, self.shape or (), self.numeric, self.objects)
        for key, node in self.children.items():
            yield from node.columns((*path, key))


PLAIN = frozenset({float, int, bool, type(None), dict})


def _is_numeric(value: Any) -> bool:
    """Whether a value, or all in a list at any depth, are numbers or null; words such as nan are numbers in quotes too."""
    if isinstance(value, list):
        return set(map(type, value)) <= {float, bool} or all(item is None or _is_numeric(item) for item in value)
    return value.strip().lower() in WORDS if isinstance(value, str) else not isinstance(value, dict)


def _shape_of(value: Any) -> Shape:
    """The shape that a list has if it is not ragged."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


@dataclass
class Parsed:
    """The values of a piece of a file that is called `name`, and the numbers of their lines."""

    piece: TextPiece
    name: str
    lines: Sequence[int]
    values: Sequence[Any]

    @cached_property
    def exact(self) -> Parsed:
        """The same with all digits of whole numbers, of which floats may have lost some."""
        if not MANY_DIGITS.search(self.piece.content):
            return self
        return parsed(self.piece, self.name, records=isinstance(self.values[0], dict), decoder=EXACT)


def parsed(piece: TextPiece, name: str, *, records: bool, decoder: json.JSONDecoder = NUMBERS) -> Parsed:
    """Parse lines that are all objects (`records`), or none; blank ones are left out.

    Raises: UnreadableFile with the first line that is no JSON, or not of the kind of the others.
    """
    try:
        content, fault = piece.content.decode(), None
    except UnicodeDecodeError as error:
        sound = piece.content[: piece.content.rfind(b"\n", 0, error.start) + 1]
        content, fault = sound.decode(), _fault(name, piece.line + sound.count(b"\n"), "is not UTF-8 text", UTF8)
    lines: list[int] = []
    values: list[Any] = []
    for line, text in enumerate([text.strip(BLANKS) for text in content.split("\n")], piece.line):
        try:
            value, end = decoder.raw_decode(text)
            value = value if end == len(text) else decoder.decode(text)
        except (ValueError, RecursionError):
            if text:
                fault = _no_json(name, line, text, decoder)
                break
            continue
        lines.append(line)
        values.append(value)
    if set(map(type, values)) - {dict} if records else dict in set(map(type, values)):
        odd = next(line for line, value in zip(lines, values, strict=True) if isinstance(value, dict) != records)
        kinds = "no object, but lines before it are" if records else "an object, but lines before it are not"
        raise _fault(name, odd, f"is {kinds}", "All lines hold records, or all hold numbers or lists.")
    if fault is not None:
        raise fault
    return Parsed(piece, name, lines, values)


def _no_json(name: str, line: int, text: str, decoder: json.JSONDecoder) -> UnreadableFile:
    try:
        decoder.decode(text)
    except RecursionError:
        return _fault(name, line, "is nested too deeply to be a sample", "")
    except ValueError as error:
        said = f"{error.msg} (column {error.colno})" if isinstance(error, json.JSONDecodeError) else reason(error)
    return _fault(name, line, f"is not valid JSON: {said}", PER_LINE)


def _fault(name: str, line: int, what: str, hint: str) -> UnreadableFile:
    return UnreadableFile(f"{name}, line {line}, {what}.", hint=hint)


def floats(content: Parsed, column: JsonColumn) -> NumPyArray:
    """Return what records hold in a column, shape (rows, *shape); NaN where they hold nothing, or null.

    Raises: UnreadableFile with the line that holds no numbers there, ShapeMismatch with one that holds more or fewer.
    """
    quick = _at_once(column.of(content.values), column.shape)
    if quick is not None and not large(quick):
        return quick
    content = content.exact
    values = column.of(content.values)
    quick = _at_once(values, column.shape)
    if quick is not None:
        return quick
    where = [f"{content.name}, line {line}" + (f", column '{column.name}'," if column.path else ",") for line in content.lines]
    nothing = np.full(column.shape, math.nan)
    rows = [nothing if value is None else _fitting(value, column, place) for place, value in zip(where, values, strict=True)]
    if not rows:
        return np.empty((0, *column.shape))
    lost = next((row for row, array in enumerate(rows) if rounded(array) is not None), None)
    if lost is None:
        return np.stack([row.astype(np.float64) for row in rows])
    exact = common(rows)
    if exact is None:
        raise refusal(first_of(rows), f"{where[lost]} the number", ", since not all lines hold whole numbers there")
    return np.stack(exact)


def _at_once(values: Sequence[Any], shape: Shape) -> NumPyArray | None:
    """Convert values that are all plain; None where each needs a look."""
    kinds = set(map(type, values))
    if not shape:
        if kinds <= {float, bool}:
            return np.array(values, np.float64)
        if kinds <= {float, bool, type(None)}:
            return np.array([math.nan if value is None else value for value in values], np.float64)
        return None
    try:
        array = np.asarray(values)
    except ValueError:
        return None
    # NumPy rounds whole numbers beside fractions.
    fits = array.shape == (len(values), *shape) and array.dtype.kind in NUMERIC and not large(array)
    return array.astype(np.float64, copy=False) if fits else None


def _fitting(value: Any, column: JsonColumn, where: str) -> NumPyArray:
    array = numbers(value, where.rstrip(","))
    if array.shape != column.shape:
        held, first = (f"a list of shape {shape}" if shape else "a number" for shape in (array.shape, column.shape))
        message = f"{where} holds {held}, but lines before it {first}."
        raise ShapeMismatch(message, hint="All lines need lists of one shape; pad the short ones or mask them.")
    return array
