"""The summary of a CI job: gates with their verdicts and the tables of the result, appended to a Markdown file."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from lossctl.errors import InputError
from lossctl.render.markdown import render
from lossctl.render.verdicts import SEEN, command, verdicts
from lossctl.report import Report
from lossctl.touched import descriptor_of, later, refuse_overwriting

if TYPE_CHECKING:
    from lossctl.render.style import Style

# GitHub refuses the whole summary of a step that is larger.
LIMIT = 1 << 20
# Bytes that tell text from what is none.
HEAD = 4096
# What a verdict of several gates is: that of the first of these words that occurs.
WORST = ("failed", "error", "undecided", "passed")


def append(report: Report, path: str, style: Style) -> None:
    """Append the report to the file at `path`, which is made if it is missing, and cut it to what GitHub takes.

    Within a run of a command it is appended when the run has ended well.
    Raises: InputError where the file cannot be written, or holds no text; WouldOverwrite for an input.
    """
    added = _Added(path, summary(report, style).encode(errors="backslashreplace"))
    refuse_overwriting(path)
    _check_text(path)
    if not later(added):
        added.commit()


@dataclass
class _Added:
    """Text that is to be appended to a file."""

    path: str
    text: bytes

    def commit(self) -> None:
        """Append it whole, or not at all.

        Raises: InputError.
        """
        try:
            with _opened(self.path) as file:
                status = os.fstat(file.fileno())
                size = status.st_size if stat.S_ISREG(status.st_mode) else 0
                try:
                    text = memoryview(_cut(self.text, LIMIT - size))
                    # In one piece where it fits, so that another process does not get between.
                    while text:
                        text = text[file.write(text) :]
                except OSError:
                    if stat.S_ISREG(status.st_mode):
                        os.ftruncate(file.fileno(), size)
                    raise
        except OSError as error:
            message = f"The summary '{self.path}' could not be written: {error.strerror or error}."
            raise InputError(message, hint="Check the path and the folder's permissions.") from error

    def drop(self) -> None:
        """Nothing has been written yet."""


def _check_text(path: str) -> None:
    """Refuse to add Markdown to what holds bytes that no text has, as arrays do: they could not be read any more.

    Raises: InputError.
    """
    # What may not be read may still be added to.
    with suppress(OSError):
        if not os.path.isfile(path):  # noqa: PTH113 - a text may be no path
            return
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            head = file.read(HEAD)
        if b"\0" in head:
            message = f"The summary '{path}' holds no text, and Markdown added to it would spoil it."
            raise InputError(message, hint="Name another file.")


def _opened(path: str) -> BinaryIO:
    number = descriptor_of(path)
    return cast("BinaryIO", open(path if number is None else os.dup(number), "ab", buffering=0))  # noqa: PTH123 - a path or a number


def summary(report: Report, style: Style) -> str:
    """Return the report as Markdown, with a verdict in its heading where there are gates."""
    checks = report.document.get("checks", ())
    found = verdicts(report)
    word = next((word for word in WORST if any(one.word == word for one in found)), "")
    title = f"## {command(report)}{f': {SEEN[word]}' if checks and word else ''}\n\n"
    if not checks:
        return f"{title}{render(report, style)}\n"
    rows = [
        {"file": one.file, "gate": one.name, "value": one.value, "verdict": SEEN[one.word], "": one.message} for one in found
    ]
    columns = ("file", "gate", "value", "verdict", "") if any(one.file for one in found) else ("gate", "value", "verdict", "")
    gates = render(Report(columns, rows), style)
    own = "" if report.document.get("command") == "check" else f"\n{render(report, style)}"
    return f"{title}{gates}{own}\n"


def _cut(text: bytes, room: int) -> bytes:
    """Whole lines that fit, and last how many do not."""
    if len(text) <= room:
        return text
    kept = text[: max(0, room - 100)]
    kept = kept[: kept.rfind(b"\n") + 1]
    left = text.count(b"\n") - kept.count(b"\n")
    note = f"\n{left} more lines are left out: GitHub takes 1 MiB.\n".encode()
    return kept + note if len(note) <= room else b""
