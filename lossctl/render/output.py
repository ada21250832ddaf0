"""Results into files, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lossctl.drafts import atomic
from lossctl.errors import UsageError
from lossctl.render import render

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.render.style import Style
    from lossctl.report import Report

SUFFIXES = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "tsv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".xml": "junit",
}


def format_of(path: str, others: Iterable[str] = ()) -> str:
    """Return the format that the suffix of `path` asks for; `others` are known to somebody else.

    Raises: UsageError for a suffix that stands for none, which is worth asking before computing.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        message = f"'{path}' has {f'the suffix {suffix}' if suffix else 'no suffix'}, which stands for no output format."
        raise UsageError(message, hint=f"Known suffixes: {', '.join(dict.fromkeys([*others, *SUFFIXES]))}.")
    return SUFFIXES[suffix]


def write(report: Report, path: str, style: Style) -> None:
    """Write `report` to `path` in the format of its suffix, as UTF-8; a file that is there is replaced only by a whole one.

    Raises: UsageError for an unknown suffix, InputError where the file cannot be written.
    """
    text = render(report, format_of(path), style)
    with atomic(path) as file:
        # A file name that is no UTF-8 reaches Python as half a character, which cannot be encoded.
        file.write(text.encode(errors="backslashreplace"))
