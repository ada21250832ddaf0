"""Lines of JSON by the json module: the one reading of them that counts. The quick way in `jsonl_arrow` agrees or steps back.

Numbers are float64, as in other tables; integers are read as such and rounded once.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import ShapeMismatch, UnreadableFile
from lossctl.files.values import NUMERIC, numbers, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lossctl.blocks import NumPyArray
    from lossctl.files.pieces import Piece
    from lossctl.shapes import Shape

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


NUMBERS = json.JSONDecoder(object_pairs_hook=unique, parse_int=float)
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
    quick = _at_once(values, column.shape)
    if quick is not None:
        return quick
    array = np.full((len(values), *column.shape), math.nan)
    for row, (line, value) in enumerate(zip(found.lines, values, strict=True)):
        if value is not None:
            array[row] = _fitting(
                value, column, f"{name}, line {line}" + (f", column '{column.name}'," if column.path else ",")
            )
    return array


def _at_once(values: list[Any], shape: Shape) -> NumPyArray | None:
    """Convert values that are all plain; None where each needs a look."""
    if not shape:
        plain = set(map(type, values)) <= {float, bool, type(None)}
        return np.array([math.nan if value is None else value for value in values], np.float64) if plain else None
    try:
        array = np.asarray(values)
    except ValueError:
        return None
    fits = array.shape == (len(values), *shape) and array.dtype.kind in NUMERIC
    return array.astype(np.float64, copy=False) if fits else None


def _fitting(value: Any, column: Column, where: str) -> NumPyArray:
    array = numbers(value, where.rstrip(","))
    if array.shape != column.shape:
        held, first = (f"a list of shape {shape}" if shape else "a number" for shape in (array.shape, column.shape))
        message = f"{where} holds {held}, but lines before it {first}."
        raise ShapeMismatch(message, hint="All lines need lists of one shape; pad the short ones or mask them.")
    return array
