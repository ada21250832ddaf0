"""JSON lines: one object a line, with whatever was logged at that moment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lossctl.errors import UnreadableFile
from lossctl.files.stored import titled
from lossctl.files.values import shown

if TYPE_CHECKING:
    from lossctl.files.stored import Stored

HEAD = 1 << 16
HINT = 'Each line is one object: {"step": 1, "loss": 2.3}.'


def has_lines(content: Stored) -> bool:
    """Whether the first line is an object by itself, and not the last."""
    first, _, rest = content.head(HEAD).partition(b"\n")
    try:
        return bool(rest.strip()) and isinstance(json.loads(first), dict)
    except ValueError:
        return False


def records(content: Stored) -> list[dict[str, object]]:
    """Return the objects of all lines that are not blank; NaN and Infinity are numbers.

    Raises: UnreadableFile with the line that is none.
    """
    lines = ((line, text) for line, text in enumerate(content.stream(), 1) if text.strip())
    return [_record(text, f"{titled(content.name)}, line {line},") for line, text in lines]


def _record(text: bytes, where: str) -> dict[str, object]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"{where} is not JSON: {error}."
        raise UnreadableFile(message, hint=HINT) from error
    if not isinstance(record, dict):
        message = f"{where} is {shown(record)} and no object."
        raise UnreadableFile(message, hint=HINT)
    return record
