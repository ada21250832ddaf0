"""Numbers out of Python values: inline inputs, JSON and YAML all come this way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import ShapeMismatch, UnreadableFile

if TYPE_CHECKING:
    from lossctl.sources.readers import NumPyArray

# JSON has no words for these, so they are also understood in quotes.
WORDS = {"nan": np.nan, "inf": np.inf, "+inf": np.inf, "-inf": -np.inf, "infinity": np.inf, "-infinity": -np.inf}
NUMERIC = "biuf"
# What arrays of other kinds are called in messages.
KINDS = {"c": "complex numbers", "S": "text", "U": "text", "V": "raw bytes", "M": "dates", "m": "time spans"}
# From here on some whole numbers are no float64.
ROUNDED = 2.0**53
# Beyond this no number is a float64.
LARGEST = 2**1024
# NumPy's own limit on the number of axes.
DEEPEST = 64
# More arrays than anybody keeps in a file; a small file that refers to itself can claim any number.
MOST_NAMES = 100_000


def numbers(value: Any, where: str) -> NumPyArray:
    """Return a number, or a list of lists of numbers, as an array. null and "nan" are NaN; "inf" and "-inf" are infinite.

    Raises: ShapeMismatch if lists of one level differ in length, UnreadableFile if something is no number.
    """
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError, RecursionError, TypeError):
        array = np.empty(0, object)
    if array.dtype.kind in "biu":
        return array
    if array.dtype.kind == "f":
        if not isinstance(value, np.ndarray) and (np.abs(array) >= ROUNDED).any():
            _refuse_rounded(value, where, ())
        return array
    plain = _plain(value, where, ())
    try:
        return np.asarray(plain, dtype=np.float64)
    except ValueError as error:
        message = f"{where} is ragged: {_ragged(plain)}."
        raise ShapeMismatch(
            message, hint="Lists of one level must be equally long; pad the short ones or mask them."
        ) from error


def _refuse_rounded(value: Any, where: str, at: tuple[int, ...]) -> None:
    """Look for a whole number that float64 does not hold, beside others that are not whole.

    Raises: OutOfDomain.
    """
    from lossctl.sources.wholes import held, refusal

    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse_rounded(item, where, (*at, index))
    elif isinstance(value, int) and not held(value):
        place = f" at [{', '.join(map(str, at))}]" if at else ""
        raise refusal(value, f"The number in {where}{place}", ", since it stands beside numbers that are not whole")


def _plain(value: Any, where: str, at: tuple[int, ...]) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        if len(at) >= DEEPEST:
            message = f"{where} is nested more than {DEEPEST} levels deep, which no array is."
            raise UnreadableFile(message)
        return [_plain(item, where, (*at, index)) for index, item in enumerate(value)]
    if value is None:
        return np.nan
    return _float(value, where, at)


def _float(value: Any, where: str, at: tuple[int, ...]) -> float:
    if isinstance(value, int) and abs(value) < LARGEST:
        _refuse_rounded(value, where, at)
    if isinstance(value, str) and value.strip().lower() in WORDS:
        return WORDS[value.strip().lower()]
    try:
        if not isinstance(value, str | bytes | Mapping):
            return float(value)
        reason = "is not a number"
    except OverflowError:
        reason = "is too large for a float64"
    except (TypeError, ValueError):
        reason = "is not a number"
    place = f" at [{', '.join(map(str, at))}]" if at else ""
    message = f"{where} holds {shown(value)}{place}, which {reason}."
    raise UnreadableFile(message, hint='Numbers, null, "nan", "inf" and "-inf" are read, and lists of them.')


def _ragged(value: Any) -> str:
    """Say where the first unequal lengths stand."""
    for level in _levels(value):
        sizes = [len(item) if isinstance(item, list) else None for item in level]
        other = next((index for index, size in enumerate(sizes) if size != sizes[0]), None)
        if other is not None:
            first, second = (f"a list of {size}" if size is not None else "a number" for size in (sizes[0], sizes[other]))
            return f"{first} stands beside {second} (item {other})"
    return "its lists differ in length"


def _levels(value: Any) -> Any:
    level = value if isinstance(value, list) else [value]
    while level:
        yield level
        level = [item for inner in level if isinstance(inner, list) for item in inner]


def shown(value: Any, limit: int = 40) -> str:
    """Write a value for a message, cut short."""
    try:
        text = repr(value) if not isinstance(value, Mapping) else f"a mapping with the keys {', '.join(map(str, value))}"
    except ValueError:
        text = "a number of very many digits"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def reason(error: BaseException) -> str:
    """The first line of what another library says, without its full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON.

    Raises: ValueError if it names a key twice.
    """
    record = dict(pairs)
    if len(record) < len(pairs):
        double = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        message = f"the key '{double}' occurs twice in one object"
        raise ValueError(message)
    return record
