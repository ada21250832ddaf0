"""Joining on an id column: which rows of each file belong together, whatever their order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import ShapeMismatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.blocks import NumPyArray

# 7, 7.0 and ' 7' are one id; 007 is another, since leading zeros are kept where they mean something.
INTEGER = re.compile(r"(-?(?:0|[1-9]\d*))\.0*", re.ASCII)
# 2024-01-31 00:00, 2024-01-31T00:00:00 and the moment of the same name in UTC are the day 2024-01-31, as in a column of dates.
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(\.\d+)?)?(?:Z|\+00:?00)?", re.ASCII)
SHORTEST = len("2024-01-31 00:00")
NAMED = 3


def normal(ids: Sequence[str]) -> list[str]:
    """Return ids in the form in which they are compared."""
    return [_normal(text.strip()) for text in ids]


def _normal(text: str) -> str:
    if len(text) >= SHORTEST and text[4] == "-" and (moment := MOMENT.fullmatch(text)):
        return _moment(*moment.groups())
    found = INTEGER.fullmatch(text) if "." in text else None
    return found[1] if found else text


def _moment(day: str, minute: str, second: str | None, fraction: str | None) -> str:
    time = f"{minute}:{second or '00'}{(fraction or '').rstrip('0').rstrip('.')}"
    return day if time == "00:00:00" else f"{day}T{time}"


def order(ids: Sequence[str], wanted: Sequence[str], name: str, other: str) -> NumPyArray:
    """Return the position in `ids` of each id that is `wanted`; both in normal form, from the files `name` and `other`.

    Raises: ShapeMismatch with up to three ids that are missing on either side.
    """
    where = {text: index for index, text in enumerate(ids)}
    missing = [text for text in wanted if text not in where]
    known = set(wanted)
    extra = [text for text in ids if text not in known]
    if missing or extra:
        lacks = [f"{first} lacks {_listed(gone)} of {second}" for first, second, gone in _sides(name, other, missing, extra)]
        message = f"The ids do not fit: {'; '.join(lacks)}."
        raise ShapeMismatch(message, hint="Both files need the same ids, in any order.")
    return np.fromiter((where[text] for text in wanted), np.int64, len(wanted))


def _sides(name: str, other: str, missing: list[str], extra: list[str]) -> list[tuple[str, str, list[str]]]:
    return [side for side in ((name, other, missing), (other, name, extra)) if side[2]]


def unique(ids: Sequence[str], name: str, on: str) -> None:
    """Check that no id occurs twice.

    Raises: ShapeMismatch with up to three that do.
    """
    if len(set(ids)) == len(ids):
        return
    seen: set[str] = set()
    # `add` returns None, so each id is kept once it has been seen before.
    double = list(dict.fromkeys(text for text in ids if text in seen or seen.add(text)))  # type: ignore[func-returns-value]
    message = f"{name}: {_listed(double)} in column '{on}' occur{'s' * (len(double) == 1)} more than once."
    raise ShapeMismatch(message, hint="An id names one sample; join on another column, or leave --on out to go by row order.")


def _listed(ids: Sequence[str]) -> str:
    named = ", ".join(repr(text) for text in ids[:NAMED])
    more = f", … ({len(ids)} ids)" if len(ids) > NAMED else ""
    return f"{'id' if len(ids) == 1 else 'ids'} {named}{more}"
