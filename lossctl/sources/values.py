"""Numbers out of Python values (inline inputs, JSON and YAML all come this way), and whole numbers beyond 2^53.

float64 holds such whole numbers only in part: this says which are rounded, what two differ by, and how to refuse one.
Nanoseconds since 1970, hashes and ids are of this size. Rounded to float64 they lose up to 128 at 1.7e18, which is all of the
difference between two of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import OutOfDomain, ShapeMismatch, UnreadableFile

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
            raise UnreadableFile(f"{where} is nested more than {DEEPEST} levels deep, which no array is.")
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
        raise ValueError(f"the key '{double}' occurs twice in one object")
    return record


# Up to here every whole number is a float64.
LIMIT = 2**53
# Beyond this floats have no fraction, and a whole number that is rounded changes its difference from a smaller one by no more
# than the last bit.
SMALL = LIMIT // 2
# A difference of this size may not fit into int64.
FAR = 2.0**62
# Numbers that a message proposes to subtract end in so many zeros.
ZEROS = 9


def wide(dtype: np.dtype[Any]) -> bool:
    """Whether a type has whole numbers that float64 does not hold."""
    return dtype.kind in "iu" and dtype.itemsize == 8  # noqa: PLR2004 - bytes


def beyond(array: NumPyArray, limit: int = LIMIT) -> bool:
    """Whether any number is larger than `limit` in size; NaN is not."""
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return bool((array > np.float64(limit)).any() or (array < -np.float64(limit)).any())
    return bool(wide(array.dtype) and array.size and (array.max() > limit or array.min() < -limit))


def rounded(array: NumPyArray) -> NumPyArray | None:
    """Which whole numbers float64 does not hold; None where it holds all of them."""
    if not wide(array.dtype) or not beyond(array):
        return None
    # Of the smallest int64 the size is right as well, since it wraps around to itself.
    sizes = np.where(array < 0, np.negative(array), array).astype(np.uint64) if array.dtype.kind == "i" else array
    near = sizes.astype(np.float64)
    fits = near < 2.0**64
    lost = ~fits | (np.where(fits, near, 0).astype(np.uint64) != sizes)
    return lost if lost.any() else None


def first_rounded(array: NumPyArray) -> tuple[int, ...] | None:
    """Where the first whole number stands that float64 does not hold; None where it holds all of them."""
    lost = rounded(array)
    return None if lost is None else tuple(int(i) for i in np.unravel_index(int(np.argmax(lost)), lost.shape))


def difference(first: NumPyArray, second: NumPyArray) -> NumPyArray:
    """Subtract numbers of any types, element by element, as if every whole number were exact, and round to float64 once.

    Rounding shows only where both are large: then floats are whole too.
    """
    one, other = first.reshape(-1), second.reshape(-1)
    with np.errstate(invalid="ignore", over="ignore"):
        result: NumPyArray = one.astype(np.float64) - other.astype(np.float64)
        both = (np.abs(one.astype(np.float64)) > SMALL) & (np.abs(other.astype(np.float64)) > SMALL) & np.isfinite(result)
        near = both & (np.abs(result) < FAR)
        for array in (one, other):
            near &= (np.abs(array) < 2.0**63) if array.dtype.kind == "f" else True
    result[near] = (_bits(one[near]) - _bits(other[near])).view(np.int64)
    for place in np.flatnonzero(both & ~near).tolist():
        result[place] = float(int(one[place]) - int(other[place]))
    return result.reshape(first.shape)


def less(array: NumPyArray, origin: NumPyArray) -> NumPyArray:
    """An array minus one number, as differences are."""
    return difference(array, np.broadcast_to(origin, array.shape))


def _bits(array: NumPyArray) -> NumPyArray:
    """Whole numbers modulo 2^64."""
    return (array.astype(np.int64) if array.dtype.kind == "f" else array).astype(np.uint64)


def held(number: int) -> bool:
    """Whether float64 holds a whole number."""
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


def together(values: list[int]) -> NumPyArray | None:
    """Whole numbers as int64, or as uint64 where none is negative; None where neither holds them all."""
    for kind in (np.int64, np.uint64):
        limits = np.iinfo(kind)
        if not values or (limits.min <= min(values) and max(values) <= limits.max):
            return np.array(values, kind)
    return None


def common(arrays: Sequence[NumPyArray]) -> list[NumPyArray] | None:
    """The same numbers in one type that holds all of them: float64, or int64 or uint64 where some are wide whole numbers.

    None where no type does: wide whole numbers beside fractions, NaN, or whole numbers of another range.
    """
    kinds = {array.dtype for array in arrays}
    if len(kinds) < 2 or not any(map(wide, kinds)):  # noqa: PLR2004 - one type is common
        return list(arrays)
    for kind in (np.int64, np.uint64, np.float64):
        result = [_as(array, np.dtype(kind)) for array in arrays]
        if all(item is not None for item in result):
            return [item for item in result if item is not None]
    return None


def _as(array: NumPyArray, kind: np.dtype[Any]) -> NumPyArray | None:
    """The same numbers in another type; None if it does not hold all of them."""
    if kind.kind == "f":
        return array.astype(kind) if rounded(array) is None else None
    limits = np.iinfo(kind)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.floor(array)).all()):
        return None
    # The limits as floats lie above the largest number, which is therefore never one of them.
    within = not array.size or (limits.min <= array.min() and (array.max() < float(limits.max) or array.dtype == kind))
    return array.astype(kind) if within else None


class Rounded(Exception):
    """The entry `row` is a whole number that float64 does not hold. Whoever knows the file makes an error of it."""

    def __init__(self, row: int, number: int) -> None:
        """Keep both."""
        super().__init__(row, number)
        self.row, self.number = row, number


def as_floats(array: NumPyArray, dtype: Any = np.float64) -> NumPyArray:
    """Whole numbers as floats.

    Raises: Rounded with the first, counted through all axes, that float64 does not hold.
    """
    lost = rounded(array)
    if lost is not None:
        row = int(np.argmax(lost))
        raise Rounded(row, int(array.reshape(-1)[row]))
    return array.astype(dtype, copy=False)


def first_of(arrays: Sequence[NumPyArray]) -> int:
    """The first number of some arrays that float64 does not hold."""
    result = ((array, first_rounded(np.atleast_1d(array))) for array in arrays)
    return next(int(np.atleast_1d(array)[at]) for array, at in result if at is not None)


def refusal(number: int, where: str, why: str = "") -> OutOfDomain:
    """The error about a whole number that would be rounded."""
    near = f"rounded to {int(float(number))}" if abs(number) < 2**1000 else "out of range"
    message = f"{where} is {number}, a whole number beyond 2^53 that float64 does not hold: it would be {near}{why}."
    offset = number - number % 10**ZEROS if number > 0 else number + -number % 10**ZEROS
    hint = (
        f"Subtract one number from all that is compared before it is written: numpy.save(path, array - ({offset})). Losses of "
        "the difference alone, such as mse, l1 and huber, subtract whole numbers exactly."
    )
    return OutOfDomain(message, hint=hint)
