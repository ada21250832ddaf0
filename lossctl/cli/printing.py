"""stdout carries the result, stderr all that is said to a person: what each does when it is closed, full or cut short.

From a report to what a command prints: formats, files that are written on the way, and notes.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.errors import InputError, LossctlError, UsageError
from lossctl.report.report import visible
from lossctl.sources.touched import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lossctl.report.report import Report
    from lossctl.request.arguments import Talk


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
    from lossctl.report import named

    try:
        return named(chosen).json
    except LossctlError:
        return False


@dataclass(frozen=True, eq=False, repr=False)
class Printed:
    """What a command says on stdout, and the error it ends with after having said it.

    `left` are the files of -o that were not written, since something has not passed.
    """

    text: str
    error: LossctlError | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Say:
    """Says notes on stderr, or nothing where it is `quiet`; `wordy` asks for those that -v adds."""

    quiet: bool
    wordy: bool

    def __call__(self, text: str) -> None:
        """Say one note."""
        if not self.quiet:
            tell(f"lossctl: {text}")


def say(options: Talk) -> Callable[[str], None]:
    """Notes go to stderr, and nowhere with -q; with -v there are more of them."""
    return Say(quiet=bool(options.quiet), wordy=bool(options.verbose and not options.quiet))


def _format(options: Talk) -> str:
    from lossctl.report import choose

    return choose("value" if options.bare else options.format, terminal=terminal())


def check_outputs(options: Talk, others: Iterable[str] = ()) -> None:
    """Refuse a format or a suffix that nobody writes, and options that contradict, before anything is computed.

    `others` are suffixes that the command itself writes.
    """
    if options.sig is not None and options.decimals is not None:
        raise UsageError("--sig and --decimals both say how to round.", hint="Keep one of them.")
    _format(options)
    run = current()
    outputs = run.outputs if run else []
    for flag, path in outputs:
        if "://" in path:
            message = f"{flag} {path.partition('?')[0]} is an address, and results are written to files."
            raise UsageError(message, hint="Write a file, and copy it there.")
    if options.output:
        from lossctl.report import format_of

        for path in options.output:
            format_of(path, others)
    for flag, path in outputs:
        from lossctl.sources.drafts import check_target

        if flag != "--tensorboard":
            check_target(path, added=flag == "--summary")


def wants_document(options: Talk) -> bool:
    """Whether what only machine-readable results hold is asked for."""
    from lossctl.report import format_of, named

    return any(named(name).document for name in (_format(options), *map(format_of, options.output)))


def printed(report: Report, options: Talk, error: LossctlError | None = None) -> Printed:
    """Render a report for stdout, after the files that `-o` asks for are written."""
    from lossctl.report import Style, render

    style = Style(sig=options.sig, decimals=options.decimals, color=_color(options))
    if options.output:
        from lossctl.report import write

        for path in options.output:
            write(report, path, style)
    if summary := getattr(options, "summary", ""):
        from lossctl.report.ci import append

        append(report, summary, style)
    return Printed("" if options.quiet > 1 else render(report, _format(options), style), error)


def _color(options: Talk) -> bool:
    if options.color != "auto":
        return options.color == "always"
    return not os.environ.get("NO_COLOR") and bool(os.environ.get("FORCE_COLOR") or terminal())
