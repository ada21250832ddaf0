"""The machine-readable result: one strict JSON document.

What holds no further object stands on one line: a row of `checks` reads as a row, a matrix stays together, and a million
numbers go through the C encoder, which knows no indentation. The text is ASCII, so no locale and no pipe can spoil it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from lossctl.report import strict

if TYPE_CHECKING:
    from json import JSONEncoder

    from lossctl.render.style import Style
    from lossctl.report import Report


def render(report: Report, _: Style) -> str:
    """Return the document, or the rows where a report has none; NaN and infinities become null."""
    return f"{_block(strict(report.document or list(report.rows)), '')}\n"


def line(value: Any) -> str:
    """Return `value`, already strict, as JSON on one line."""
    return _encoder().encode(value)


@cache
def _encoder() -> JSONEncoder:
    # json.dumps would build one for each line of a million.
    import json

    return json.JSONEncoder(allow_nan=False)


def _block(value: Any, margin: str) -> str:
    if not value:
        return line(value)
    inner = f"{margin}  "
    if isinstance(value, dict):
        items = [f"{line(str(key))}: {_text(item, inner)}" for key, item in value.items()]
        return _between("{", items, "}", margin)
    return _between("[", [_text(item, inner) for item in value], "]", margin)


def _between(opening: str, items: list[str], closing: str, margin: str) -> str:
    separator = f",\n{margin}  "
    return f"{opening}\n{margin}  {separator.join(items)}\n{margin}{closing}"


def _text(value: Any, margin: str) -> str:
    return _block(value, margin) if _holds_object(value) else line(value)


def _holds_object(value: Any) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(isinstance(item, dict) or (isinstance(item, list) and _holds_object(item)) for item in members)
