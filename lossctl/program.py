"""One run of the program: from what was typed to what is printed, and to the code that it exits with."""

from __future__ import annotations

import gc
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from lossctl.cli import commands
from lossctl.errors import InputError, LossctlError, MissingExtra, TooLarge, UsageError
from lossctl.printing import Printed
from lossctl.streams import drop, put, tell, tell_error

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED, PIPE_CLOSED = 130, 141
# What pip calls packages that are imported under another name.
INSTALLED_AS = {"yaml": "pyyaml", "array_api_compat": "array-api-compat", "sklearn": "scikit-learn"}
# What Typer calls the types of options, in the words of those who type them.
PLAIN = {"int": "whole number", "float": "number"}


def main() -> NoReturn:
    """Run the command line and exit with the code that its table promises."""
    arguments = sys.argv[1:] or ["--help"]
    # Commands turn it on once they are loaded: to look for garbage among modules takes a tenth of a small run.
    gc.disable()
    try:
        code = _run(arguments)
    except BrokenPipeError:
        drop(sys.stdout)
        code = PIPE_CLOSED
    except KeyboardInterrupt:
        code = INTERRUPTED
    # As much again would be taken by the search when Python ends, among objects that end with it.
    gc.freeze()
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Run a command and print what it returns; whatever goes wrong, a person sees a sentence."""
    try:
        with _only(arguments) as app:
            result = app(_protected(arguments), prog_name="lossctl", standalone_mode=False)
        if not isinstance(result, Printed):
            return int(result or 0)
        put(result.text)
        if result.left:
            tell(f"lossctl: not written, since not everything passed: {', '.join(result.left)}.")
        return tell_error(result.error, arguments) if result.error else 0
    except typer.Abort:
        return INTERRUPTED
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - a bug, too, is said in a sentence
        return tell_error(_said(error), arguments)


@contextmanager
def _only(arguments: list[str]) -> Iterator[typer.Typer]:
    """The program with no command but the one that is asked for: Typer makes every option of each before it parses a word."""
    name = next((word for word in arguments if word != "--"), "")
    app, needed = commands(name)
    every, app.registered_commands = app.registered_commands, needed
    try:
        yield app
    finally:
        app.registered_commands = every


def _protected(arguments: list[str]) -> list[str]:
    """`-:KEY` is a key of stdin, not an option; `@SOURCE` means the same source and begins with no dash."""
    return [f"@{argument}" if argument.startswith("-:") else argument for argument in arguments]


def _said(error: Exception) -> LossctlError:
    """Whatever went wrong, as one of our errors."""
    if isinstance(error, LossctlError):
        return error
    if isinstance(error, typer.TyperException):
        return _usage(error)
    if isinstance(error, MemoryError):
        return TooLarge("There is not enough memory for this.", hint="Give it more, or less at once.")
    if isinstance(error, OSError):
        return InputError(f"The system refused: {error.strerror or error}.", hint="--debug shows what it was doing.")
    if isinstance(error, ModuleNotFoundError) and (missing := _missing(error.name or "")):
        return MissingExtra(missing, "This", INSTALLED_AS.get(missing, missing))
    message = f"This is a bug in lossctl: {type(error).__name__}: {error}."
    return LossctlError(message, hint="Please report it on the project's issue tracker with what --debug prints.")


def _missing(module: str) -> str:
    """The package of somebody else's that a module is of; "" for Python's own and ours, whose absence is a bug."""
    package = module.partition(".")[0]
    return "" if package in {"", "lossctl"} or package in sys.stdlib_module_names else package


def _usage(error: Any) -> LossctlError:
    """An error of the command line's own grammar, as one of ours."""
    command = getattr(getattr(error, "ctx", None), "command_path", "lossctl")
    message = " ".join(error.format_message().split()).rstrip(".")
    message = re.sub(r"a valid (int|float)( range)?\b", lambda found: f"a {PLAIN[found[1]]}", message)
    negative = re.match(r"No such option: -[\d.]", message)
    hint = "Put -- before inputs that begin with a dash." if negative else f"See: {command} --help"
    return UsageError(message if message.endswith("?") else f"{message}.", hint=hint)
