"""Columns of Arrow arrays as text: ids and groups. Dates are written as ISO 8601, a null is an empty text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.files.arrowed import number_type, raw, stored_as

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.blocks import NumPyArray


def texts(array: Any) -> list[str] | None:
    """Return the values of an Arrow array as text; None if they are neither text nor numbers nor dates."""
    array = stored_as(array)
    kind = str(array.type)
    if hasattr(array, "dictionary"):
        return _spelled(array)
    found = next((write for begins, write in WRITERS.items() if kind.startswith(begins)), None)
    if found is None and number_type(array.type) is None:
        return None
    written = (found or _numbers)(array)
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


def _numbers(array: Any) -> list[str]:
    if str(array.type) == "null":
        return [""] * len(array)
    return [str(number) for number in (raw(array).tolist() if str(array.type) not in {"float", "halffloat"} else raw(array))]


def _decimals(array: Any) -> list[str]:
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
    "decimal": _decimals,
    "date": _dates,
    "timestamp": _moments,
    "time32": _times,
    "time64": _times,
}
