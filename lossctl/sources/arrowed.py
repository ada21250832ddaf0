"""What Arrow holds: its arrays as NumPy arrays or as text, and the columns of its schemas, fields of structs among them.

Arrays are read by their buffers: pyarrow's own conversion imports pandas where that is installed. A null is NaN, or an empty
text. Lists become axes, so they must be equally long; a list that is null is a row of NaN. Dates are written as ISO 8601.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import count
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import LossctlError, TooLarge, UnreadableFile
from lossctl.sources.stored import explained, titled
from lossctl.sources.values import Rounded, as_floats, held, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lossctl.sources.readers import NumPyArray, Shape

# Arrow's names for its types of numbers, and NumPy's. A decimal is the float64 nearest to it; a column of nulls alone is NaN.
PLAIN = {"bool": "bool", "halffloat": "float16", "float": "float32", "double": "float64", "null": "float64"}
PLAIN |= {f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
# float64 holds integers up to this one, and powers of ten up to that, so that one division rounds once.
EXACT = 1 << 53
EXACT_POWER = 22
# Decimals of 32 bits are no whole words of 64.
WORD = 8
# More digits than any decimal of Arrow has.
LARGEST_SCALE = 128


class Ragged(Exception):
    """The list in `row` has `length` elements, and not `wanted`. Whoever knows the file makes an error of it."""

    def __init__(self, row: int, length: int, wanted: int) -> None:
        """Keep the row, counted in the array, and both lengths."""
        super().__init__(row, length, wanted)
        self.row, self.length, self.wanted = row, length, wanted


def bare(kind: Any) -> Any:
    """Return the type that an extension type is stored as."""
    while hasattr(kind, "storage_type"):
        kind = kind.storage_type
    return kind


def stored_as(array: Any) -> Any:
    """Return the array that an array of an extension type is stored as."""
    while hasattr(array.type, "storage_type"):
        array = array.storage
    return array


def item_type(kind: Any) -> Any:
    """Return the type of a list's elements; None for what is no list."""
    from pyarrow import types

    kind = bare(kind)
    listed = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return kind.value_type if listed else None


def nesting(kind: Any) -> tuple[list[int | None], Any]:
    """Return the lengths of nested lists, None where the type leaves them open, and the type of what is in them."""
    lengths: list[int | None] = []
    while (item := item_type(kind)) is not None:
        lengths.append(getattr(bare(kind), "list_size", None))
        kind = item
    return lengths, bare(kind)


def number_type(kind: Any) -> np.dtype[Any] | None:
    """Return the type of a column's numbers where none is null; None if it holds no numbers."""
    from pyarrow import types

    value = nesting(kind)[1]
    if types.is_dictionary(value):
        value = bare(value.value_type)
        return None if item_type(value) is not None else number_type(value)
    if types.is_decimal(value):
        return np.dtype(np.float64) if abs(value.scale) <= LARGEST_SCALE else None
    return np.dtype(PLAIN[str(value)]) if str(value) in PLAIN else None


def joined(arrays: Sequence[Any], tail: Shape, dtype: np.dtype[Any] | None) -> NumPyArray:
    """Return Arrow arrays, one after another, as one NumPy array of shape (n, *tail), which may share their memory.

    Without a `dtype` each has the type that its numbers and nulls need.

    Raises: Ragged, with the row counted over all of them.
    """
    parts, start = [], 0
    for array in arrays:
        try:
            numbers = values(array, tail)
        except Ragged as ragged:
            raise Ragged(start + ragged.row, ragged.length, ragged.wanted) from ragged
        except Rounded as rounded:
            raise Rounded(start + rounded.row // max(1, prod(tail)), rounded.number) from rounded
        if dtype is not None and numbers.dtype.kind == "f" != dtype.kind:
            raise ValueError("it holds nulls, though it says that it holds none")
        try:
            parts.append(
                numbers
                if dtype is None
                else as_floats(numbers, dtype)
                if dtype.kind == "f"
                else numbers.astype(dtype, copy=False)
            )
        except Rounded as rounded:
            raise Rounded(start + rounded.row // max(1, prod(tail)), rounded.number) from rounded
        start += len(array)
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, *tail), dtype), *parts])


def values(array: Any, tail: Shape) -> NumPyArray:
    """Return an Arrow array as NumPy's, of shape (n, *tail); float64 with NaN if something in it is null.

    Raises: Ragged if a list has another length than `tail` says.
    """
    array = stored_as(array)
    return _lists(array, tail) if tail else _numbers(array)


def _lists(array: Any, tail: Shape) -> NumPyArray:
    size, *inner = tail
    present, sizes = _present(array), lengths(array)
    odd = sizes != size if present is None else (sizes != size) & present
    if odd.any():
        row = int(odd.argmax())
        raise Ragged(row, int(sizes[row]), size)
    rows = np.arange(len(array)) if present is None else np.flatnonzero(present)
    try:
        items = values(array.flatten(), tuple(inner)).reshape(len(rows), *tail)
    except Ragged as ragged:
        raise Ragged(int(rows[ragged.row // size]), ragged.length, ragged.wanted) from ragged
    if len(rows) == len(array):
        return items
    filled = np.full((len(array), *tail), np.nan)
    filled[rows] = items
    return filled


def lengths(array: Any) -> NumPyArray:
    """Return how many elements each list has; what it says of a list that is null means nothing."""
    if hasattr(array.type, "list_size"):
        return np.full(len(array), array.type.list_size)
    width = np.dtype(np.int64 if str(array.type).startswith("large_") else np.int32)
    if not len(array):
        return np.empty(0, width)
    offsets = np.frombuffer(array.buffers()[1], width, len(array) + 1, array.offset * width.itemsize)
    return np.diff(offsets)


def tail_of(arrays: Sequence[Any], sizes: Sequence[int | None]) -> Shape | None:
    """Return the lengths of nested lists, from the first that is not null; None if these arrays do not say."""
    if all(size is not None for size in sizes):
        return tuple(size for size in sizes if size is not None)
    for array in map(stored_as, arrays):
        present = _present(array)
        rows = np.arange(len(array)) if present is None else np.flatnonzero(present)
        if len(rows):
            first = array.slice(int(rows[0]), 1)
            size = int(lengths(first)[0])
            return (size, *(tail_of([first.flatten()], sizes[1:]) or (0,) * (len(sizes) - 1)))
    return None


def has_nulls(array: Any) -> bool:
    """Whether anything in an array is null: a row, an element of a list, or a word of a dictionary."""
    array = stored_as(array)
    if array.null_count:
        return True
    if item_type(array.type) is not None:
        return has_nulls(array.flatten())
    return bool(array.dictionary.null_count) if hasattr(array, "dictionary") else False


def _present(array: Any) -> NumPyArray | None:
    """Which rows are not null; None if all are there."""
    if not array.null_count:
        return None
    valid = array.buffers()[0]
    return np.zeros(len(array), bool) if valid is None else _bits(valid, array.offset, len(array))


def _bits(buffer: Any, offset: int, size: int) -> NumPyArray:
    skipped, shift = divmod(offset, 8)
    packed = np.frombuffer(buffer, np.uint8, (shift + size + 7) // 8, skipped)
    return np.unpackbits(packed, count=shift + size, bitorder="little")[shift:].view(bool)


def _numbers(array: Any) -> NumPyArray:
    if not len(array):
        return np.empty(0, number_type(array.type))
    if str(array.type) == "null":
        return np.full(len(array), np.nan)
    present = _present(array)
    if hasattr(array, "dictionary"):
        words, codes = values(array.dictionary, ()), raw(array.indices)
        if present is None:
            return words[codes]
        return np.append(as_floats(words), np.nan)[np.where(present, codes, len(words))]
    numbers = _decimals(array) if hasattr(array.type, "scale") else raw(array)
    if present is None:
        return numbers
    # What stands where a null is means nothing.
    return np.where(present, as_floats(np.where(present, numbers, numbers.dtype.type(0))), np.nan)


def raw(array: Any, dtype: str = "") -> NumPyArray:
    """Return the values as they lie in memory, whatever stands where a null is."""
    if not dtype and str(array.type) == "bool":
        return _bits(array.buffers()[1], array.offset, len(array))
    kind = np.dtype(dtype or PLAIN[str(array.type)])
    return (
        np.frombuffer(array.buffers()[1], kind, len(array), array.offset * kind.itemsize) if len(array) else np.empty(0, kind)
    )


def _decimals(array: Any) -> NumPyArray:
    """Return decimals as the nearest float64, as their digits would be read."""
    width, scale = array.type.bit_width // 8, array.type.scale
    if width < WORD:
        return raw(array, "<i4") / 10**scale if 0 <= scale <= EXACT_POWER else _exactly(array, np.arange(len(array)))
    words = raw(array, f"V{width}").view("<i8").reshape(len(array), width // WORD)
    low = words[:, 0]
    small = (np.abs(low) <= EXACT) & (low > np.iinfo(np.int64).min) & (0 <= scale <= EXACT_POWER)
    small &= (words[:, 1:] == (low >> 63)[:, None]).all(axis=1)
    numbers = low / 10**scale if small.any() else np.empty(len(array))
    rest = np.flatnonzero(~small)
    numbers[rest] = _exactly(array, rest)
    return numbers


def _exactly(array: Any, rows: NumPyArray) -> NumPyArray:
    """Divide integers of any size: Python rounds their quotient once.

    Raises: Rounded for a whole number that float64 does not hold.
    """
    present = _present(array)
    valid = np.ones(len(array), bool) if present is None else present
    width, scale = array.type.bit_width // 8, array.type.scale
    content = raw(array, f"V{width}")
    above, below = 10 ** max(-scale, 0), 10 ** max(scale, 0)
    quotients = np.empty(len(rows))
    for place, row in enumerate(rows.tolist()):
        number = int.from_bytes(content[row].tobytes(), "little", signed=True) * above
        quotients[place] = number / below
        whole, rest = divmod(number, below)
        if not rest and not held(whole) and valid[row]:
            raise Rounded(row, whole)
    return quotients


def slots(kind: Any, numbers: count[int]) -> list[int]:
    """Return the numbers of the columns that a type takes in a file that stores every innermost value on its own."""
    kind = bare(kind)
    if not kind.num_fields:
        return [next(numbers)]
    return [number for i in range(kind.num_fields) for number in slots(kind.field(i).type, numbers)]


def texts(array: Any) -> list[str] | None:
    """Return the values of an Arrow array as text; None if they are neither text nor numbers nor dates."""
    array = stored_as(array)
    kind = str(array.type)
    if hasattr(array, "dictionary"):
        return _spelled(array)
    writer = next((write for begins, write in WRITERS.items() if kind.startswith(begins)), None)
    if writer is None and number_type(array.type) is None:
        return None
    written = (writer or _number_texts)(array)
    if not array.null_count:
        return written
    return ["" if null else text for text, null in zip(written, _nulls(array), strict=True)]


def _nulls(array: Any) -> list[bool]:
    return [not valid for valid in raw(array.is_valid()).tolist()]


def _spelled(array: Any) -> list[str] | None:
    """Look up the words of a dictionary; the one after the last stands for a null."""
    words = texts(array.dictionary)
    codes = [len(words or ()) if code is None else code for code in array.indices.to_pylist()]
    return None if words is None else [[*words, ""][code] for code in codes]


def _strings(array: Any) -> list[str]:
    return [text or "" for text in array.to_pylist()]


def _bytes(array: Any) -> list[str]:
    return [(content or b"").decode(errors="replace") for content in array.to_pylist()]


def _number_texts(array: Any) -> list[str]:
    if str(array.type) == "null":
        return [""] * len(array)
    return [str(number) for number in (raw(array).tolist() if str(array.type) not in {"float", "halffloat"} else raw(array))]


def _decimal_texts(array: Any) -> list[str]:
    return [str(number) for number in array.to_pylist()]


def _dates(array: Any) -> list[str]:
    """Days since 1970, or milliseconds that make whole days."""
    unit, width = ("D", "<i4") if str(array.type).startswith("date32") else ("ms", "<i8")
    return [str(day) for day in raw(array, width).astype(f"M8[{unit}]").astype("M8[D]")]


def _moments(array: Any) -> list[str]:
    """Arrow counts moments with a time zone in UTC."""
    ending = "Z" if array.type.tz else ""
    return [_short(text) + ending for text in np.datetime_as_string(raw(array, "<i8").view(f"M8[{array.type.unit}]"))]


def _times(array: Any) -> list[str]:
    width = "<i4" if str(array.type).startswith("time32") else "<i8"
    since: NumPyArray = raw(array, width).astype(f"m8[{array.type.unit}]") + np.datetime64("1970-01-01")
    return [_short(text).partition("T")[2] for text in np.datetime_as_string(since)]


def _short(text: str) -> str:
    """Leave out zeros at the end of a fraction of a second."""
    return text.rstrip("0").rstrip(".") if "." in text else text


WRITERS: dict[str, Callable[[Any], list[str]]] = {
    "string": _strings,
    "large_string": _strings,
    "binary": _bytes,
    "large_binary": _bytes,
    "fixed_size_binary": _bytes,
    "decimal": _decimal_texts,
    "date": _dates,
    "timestamp": _moments,
    "time32": _times,
    "time64": _times,
}


# What arrays of other types are called in messages, by the beginning of Arrow's name for the type.
KINDS = {"string": "text", "large_string": "text", "date": "dates", "timestamp": "dates", "time": "times", "map": "maps"}
KINDS |= {"binary": "raw bytes", "large_binary": "raw bytes", "fixed_size_binary": "raw bytes", "duration": "time spans"}
# Deeper than anybody nests, and far from Python's own limit.
DEEPEST = 64


@dataclass(frozen=True)
class Leaf:
    """A column: `path` leads to it through structs, `sizes` are the lengths of the lists in it, None where left open.

    `slots` are its numbers among the innermost columns of the file; `dtype` is None if it holds no numbers.
    """

    name: str
    path: tuple[int, ...]
    slots: tuple[int, ...]
    sizes: tuple[int | None, ...]
    dtype: np.dtype[Any] | None
    kind: str
    nullable: bool

    @property
    def open(self) -> bool:
        """Whether it holds lists whose lengths the type leaves open."""
        return None in self.sizes


def leaves(schema: Any) -> list[Leaf]:
    """Return all columns of a schema in order."""
    numbers = count()
    fields = [(schema.field(i), i) for i in range(len(schema))]
    return [leaf for field, i in fields for leaf in _within(field, field.name, (i,), numbers, nullable=False)]


def _within(field: Any, name: str, path: tuple[int, ...], numbers: count[int], *, nullable: bool) -> Iterator[Leaf]:
    from pyarrow import types

    kind, nullable = bare(field.type), nullable or field.nullable
    if not types.is_struct(kind):
        yield _leaf(field.type, name, path, numbers, nullable)
        return
    if len(path) > DEEPEST:
        raise ValueError(f"column '{name}' is nested more than {DEEPEST} levels deep")
    for i in range(kind.num_fields):
        inner = kind.field(i)
        yield from _within(inner, f"{name}.{inner.name}", (*path, i), numbers, nullable=nullable)


def _leaf(given: Any, name: str, path: tuple[int, ...], numbers: count[int], nullable: bool) -> Leaf:  # noqa: FBT001
    sizes, value = nesting(given)
    called = next((word for begins, word in KINDS.items() if str(value).startswith(begins)), "values")
    kind = f"{called if not sizes else f'lists of {called}'} ({bare(given)})"
    # An element of a list may always be null.
    return Leaf(name, path, tuple(slots(given, numbers)), tuple(sizes), number_type(given), kind, nullable or bool(sizes))


def route(path: tuple[int, ...], chosen: Sequence[tuple[int, ...]], depth: int) -> tuple[int, ...]:
    """Return where a column stands among the `chosen` ones, if only their fields were read in the first `depth` levels."""
    among = [sorted({other[i] for other in chosen if other[:i] == path[:i] and len(other) > i}) for i in range(len(path))]
    return tuple(level.index(step) if i < depth else step for i, (step, level) in enumerate(zip(path, among, strict=True)))


def follow(arrays: Sequence[Any], steps: Sequence[int]) -> list[Any]:
    """Go down into structs; where a struct is null, so are its fields."""
    return [reduce(lambda struct, step: stored_as(struct).flatten()[step], steps, array) for array in arrays]


@contextmanager
def reading(name: str, what: str) -> Iterator[None]:
    """Turn pyarrow's errors about `name`, which should be `what`, into ours.

    Raises: UnreadableFile; MissingFile; TooLarge where memory does not suffice.
    """
    import pyarrow as pa

    try:
        yield
    except LossctlError:
        raise
    except (FileNotFoundError, PermissionError):
        with explained(name):
            raise
    except MemoryError as error:
        message = f"{titled(name)} asks for more memory than there is: {reason(error)}."
        raise TooLarge(
            message, hint="Write it again in smaller row groups or record batches; it may also be damaged."
        ) from error
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        OverflowError,
        RecursionError,
        struct.error,
    ) as error:
        why = reason(error)
        if "crypt" in why:
            message = f"{titled(name)} is encrypted: {why}."
            raise UnreadableFile(message, hint="Decrypt it where the key is known, and write it again.") from error
        message = f"{titled(name)} is not {what} that can be read: {why}."
        raise UnreadableFile(
            message, hint="Copy or write it again; --in-format names its format if the suffix does not."
        ) from error
