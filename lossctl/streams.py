"""stdout carries the result, stderr all that is said to a person: what each does when it is closed, full or cut short."""

from __future__ import annotations

import os
import sys
from typing import Any

from lossctl.errors import InputError, LossctlError
from lossctl.render.cells import visible


def terminal() -> bool:
    """Whether stdout is a terminal. It is None where the shell has closed it."""
    return sys.stdout is not None and sys.stdout.isatty()


def unicode() -> bool:
    """Whether stdout takes signs of all alphabets."""
    return sys.stdout is not None and (sys.stdout.encoding or "").lower().startswith("utf")


def put(text: str) -> None:
    """Write a result to stdout to the last byte; signs that its encoding lacks are spelt out.

    Raises: InputError where it cannot be written; BrokenPipeError where nobody reads any longer.
    """
    if not text:
        return
    if sys.stdout is None:
        raise _unwritten("it is closed")
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        drop(sys.stdout)
        raise _unwritten(error.strerror or str(error)) from error


def _unwritten(why: str) -> InputError:
    return InputError(f"Standard output could not be written: {why}.", hint="Send the result elsewhere, or to a file with -o.")


def tell(text: str) -> None:
    """Say one paragraph on stderr. A file name in it may hold escape sequences, and a terminal would obey them."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"{visible(text)}\n")
        sys.stderr.flush()
    except OSError:
        drop(sys.stderr)


def drop(stream: Any) -> None:
    """Let a stream go nowhere, so that Python does not stumble over it once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def tell_error(error: LossctlError, arguments: list[str]) -> int:
    """Say an error, as JSON where JSON was asked for; show where it came from under --debug. Returns its exit code."""
    if "--debug" in arguments and sys.stderr is not None and sys.exc_info()[0]:
        import traceback

        traceback.print_exc()
    if asked_for_json(arguments):
        import json

        tell(json.dumps({"error": error.as_dict()}))
    else:
        tell(f"lossctl: {error.paragraph()}")
    return error.code


def asked_for_json(arguments: list[str]) -> bool:
    """Whether JSON was asked for, even on a line that could not be parsed."""
    if {"-b", "--bare"} & set(arguments):
        return False
    chosen = os.environ.get("LOSSCTL_FORMAT", "")
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word in {"-f", "--format"}:
            chosen = following
        elif word.startswith(("--format=", "-f")):
            chosen = word.removeprefix("--format=").removeprefix("-f")
    if not chosen or chosen == "auto":
        return False
    from lossctl.render import named

    try:
        return named(chosen).json
    except LossctlError:
        return False
