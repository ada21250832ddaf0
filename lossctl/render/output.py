"""Results into files, whole or not at all: written under another name in the same folder, then renamed."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lossctl.errors import InputError, UsageError
from lossctl.render import render

if TYPE_CHECKING:
    from collections.abc import Iterator

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
}


def format_of(path: str) -> str:
    """Return the format that the suffix of `path` asks for.

    Raises: UsageError for a suffix that stands for none, which is worth asking before computing.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        message = f"'{path}' has {f'the suffix {suffix}' if suffix else 'no suffix'}, which stands for no output format."
        raise UsageError(message, hint=f"Known suffixes: {', '.join(SUFFIXES)}.")
    return SUFFIXES[suffix]


def write(report: Report, path: str, style: Style) -> None:
    """Write `report` to `path` in the format of its suffix, as UTF-8; a file that is there is replaced only by a whole one.

    Raises: UsageError for an unknown suffix, InputError where the file cannot be written.
    """
    text = render(report, format_of(path), style)
    with atomic(path) as file:
        # A file name that is no UTF-8 reaches Python as half a character, which cannot be encoded.
        file.write(text.encode(errors="backslashreplace"))


@contextmanager
def atomic(path: str) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes `path` when the block ends well, and leaves no trace when it does not.

    An existing file keeps its mode, a link keeps pointing where it points, and a new file gets the mode of the umask.
    Raises: InputError where the folder is missing, or the file cannot be written.
    """
    with _explained(path):
        target = _target(path)
        draft = target.with_name(f".lossctl-{os.urandom(6).hex()}.tmp")
        try:
            with draft.open("xb") as file:
                yield file
            if target.exists():
                draft.chmod(target.stat().st_mode & 0o777)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"'{path}' could not be written: {error.strerror or error}."
        raise InputError(message, hint="Check the folder's permissions and the space that is left.") from error


def _target(path: str) -> Path:
    target = Path(path).resolve()
    if not target.parent.is_dir():
        message = f"'{path}' could not be written: there is no folder '{Path(path).parent}'."
        raise InputError(message, hint=f"Run: mkdir -p '{Path(path).parent}'")
    if target.exists() and not target.is_file():
        message = f"'{path}' could not be written: it is no ordinary file."
        raise InputError(message, hint="Name a file, new or to be replaced.")
    return target
