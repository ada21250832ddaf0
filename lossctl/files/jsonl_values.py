"""Lines of JSON by the json module: the one reading of them that counts. The quick way in `jsonl_arrow` agrees or steps back.

Numbers are float64, as in other tables; integers are read as such and rounded once.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import ShapeMismatch, UnreadableFile
from lossctl.files.cells import large
from lossctl.files.values import NUMERIC, numbers, reason
from lossctl.wholes import common, first_of, refusal, rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lossctl.blocks import NumPyArray
    from lossctl.files.pieces import Piece
    from lossctl.shapes import Shape

# More digits than any float has before the point.
LONGEST = 400
# The white space of JSON.
BLANKS = b" \t\r\n"
PER_LINE = "Each line holds one JSON value of its own; for one document of several lines write --in-format json."


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON.

    Raises: ValueError if it names a key twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        double = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        message = f"the key '{double}' occurs twice in one object"
        raise ValueError(message)
    return found


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
class Column:
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

    def of(self, value: Any) -> Any:
        """Return what a record holds there; None where it holds nothing."""
        for key in self.path:
            value = value.get(key) if isinstance(value, dict) else None
        return value


@dataclass(frozen=True)
class Parsed:
    """The values of a piece, and the numbers of their lines."""

    lines: Sequence[int]
    values: Sequence[Any]


def parsed(piece: Piece, name: str, *, records: bool, decoder: json.JSONDecoder = NUMBERS) -> Parsed:
    """Parse lines that are all objects (`records`), or none.

    Raises: UnreadableFile with the first line that is no JSON, or not of the kind of the others.
    """
    if decoder is NUMBERS and MANY_DIGITS.search(piece.content):
        decoder = EXACT
    pairs = list(_parsed(piece, name, records, decoder.decode))
    return Parsed([line for line, _ in pairs], [value for _, value in pairs])


def _parsed(piece: Piece, name: str, records: bool, decode: Callable[[str], Any]) -> Iterator[tuple[int, Any]]:  # noqa: FBT001 - private
    for line, content in enumerate(piece.content.split(b"\n"), piece.line):
        text = content.strip(BLANKS)
        if not text:
            continue
        try:
            value = decode(text.decode())
        except (ValueError, RecursionError) as error:
            raise _no_json(name, line, error) from error
        if isinstance(value, dict) != records:
            kinds = "no object, but lines before it are" if records else "an object, but lines before it are not"
            message = f"{name}, line {line}, is {kinds}."
            raise UnreadableFile(message, hint="All lines hold records, or all hold numbers or lists.")
        yield line, value


def _no_json(name: str, line: int, error: Exception) -> UnreadableFile:
    where = f"{name}, line {line},"
    if isinstance(error, UnicodeDecodeError):
        return UnreadableFile(f"{where} is not UTF-8 text.", hint="Convert it with iconv -t UTF-8.")
    if isinstance(error, RecursionError):
        return UnreadableFile(f"{where} is nested too deeply to be a sample.")
    said = f"{error.msg} (column {error.colno})" if isinstance(error, json.JSONDecodeError) else reason(error)
    return UnreadableFile(f"{where} is not valid JSON: {said}.", hint=PER_LINE)


def floats(found: Parsed, column: Column, name: str) -> NumPyArray:
    """Return what records hold in a column, shape (rows, *shape); NaN where they hold nothing, or null.

    Raises: UnreadableFile with the line that holds no numbers there, ShapeMismatch with one that holds more or fewer.
    """
    values = [column.of(value) for value in found.values]
    where = [f"{name}, line {line}" + (f", column '{column.name}'," if column.path else ",") for line in found.lines]
    quick = _at_once(values, column.shape)
    if quick is not None:
        return quick
    nothing = np.full(column.shape, math.nan)
    rows = [nothing if value is None else _fitting(value, column, place) for place, value in zip(where, values, strict=True)]
    if not rows:
        return np.empty((0, *column.shape))
    lost = next((row for row, found in enumerate(rows) if rounded(found) is not None), None)
    if lost is None:
        return np.stack([row.astype(np.float64) for row in rows])
    exact = common(rows)
    if exact is None:
        raise refusal(first_of(rows), f"{where[lost]} the number", ", since not all lines hold whole numbers there")
    return np.stack(exact)


def _at_once(values: list[Any], shape: Shape) -> NumPyArray | None:
    """Convert values that are all plain; None where each needs a look."""
    kinds = set(map(type, values))
    if not shape:
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


def _fitting(value: Any, column: Column, where: str) -> NumPyArray:
    array = numbers(value, where.rstrip(","))
    if array.shape != column.shape:
        held, first = (f"a list of shape {shape}" if shape else "a number" for shape in (array.shape, column.shape))
        message = f"{where} holds {held}, but lines before it {first}."
        raise ShapeMismatch(message, hint="All lines need lists of one shape; pad the short ones or mask them.")
    return array
