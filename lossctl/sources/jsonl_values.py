"""What lines of JSON mean: their values, the columns of their records, and the numbers in them.

Numbers are float64, as in other tables; integers are read as such and rounded once.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import ShapeMismatch, UnreadableFile
from lossctl.sources.cells import large
from lossctl.sources.values import NUMERIC, WORDS, numbers, reason, unique
from lossctl.sources.wholes import common, first_of, refusal, rounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.sources.readers import NumPyArray
    from lossctl.sources.shapes import Shape
    from lossctl.sources.spool import TextPiece

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
