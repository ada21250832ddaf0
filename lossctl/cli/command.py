"""What every command is made of: options spread over Typer's signature, the way from a report to output, and what is said.

A command's dataclass of options becomes the parameters of a function that Typer makes a command line of. stdout carries the
result and stderr everything that is said to a person; both may be closed, full or cut short. Files of `-o` are written on the
way, each in the format of its suffix.
"""

from __future__ import annotations

import gc
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import typer

from lossctl.errors import InputError, LossctlError, UsageError
from lossctl.progress import progress
from lossctl.report import FORMATS, RENDERERS, Report, Style, choose, format_of, named, render, visible, write
from lossctl.request.options import PANELS, Option, Talk, check, converted, rows
from lossctl.sources.stored import kept_open
from lossctl.sources.touched import Output, current, touching


def spread(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give Typer a command whose last parameter, a dataclass of options, is spread over the command line.

    The command also gets `typed`: the names of the options that were given, by flag or environment. Typer sees its options
    once it is `signed`.
    """

    def run(ctx: typer.Context, **given: Any) -> Any:
        kind, every = options_of(command)
        typed = {name for name in given if getattr(ctx.get_parameter_source(name), "name", "") != "DEFAULT"}
        given = {name: _unprotected(value) for name, value in given.items()}
        chosen = {name: given.pop(name) for name in every}
        check(every, chosen, typed)
        outputs = [Output(row.shortest, path) for name, row in every.items() if row.writes for path in _listed(chosen[name])]
        others = [word for name, row in every.items() if not row.writes for word in _listed(chosen[name])]
        others += [word for value in given.values() for word in _listed(value)]
        # Look for garbage from now on, in what is made from now on.
        gc.freeze()
        gc.enable()
        with (
            touching(outputs, others) as files,
            kept_open(),
            progress(quiet=bool(chosen.get("quiet") or chosen.get("no_progress"))),
        ):
            result = command(**given, options=kind(**converted(every, chosen)), typed=typed)
            left = files.finish(passed=getattr(result, "error", None) is None, wanted=chosen.get("output_if", ""))
        return replace(result, left=tuple(left)) if left and not chosen.get("quiet") else result

    run.__doc__, run.__name__ = command.__doc__, command.__name__
    run.__wrapped__ = command  # type: ignore[attr-defined]
    return run


def _listed(value: Any) -> list[str]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str) and item]


def signed(run: Any) -> None:
    """Give a command that `spread` made its signature, once. It takes a while, and the list of commands does without."""
    command = getattr(run, "__wrapped__", None)
    if command is None or hasattr(run, "__signature__"):
        return
    hints = inspect.get_annotations(command, eval_str=True)
    *own, _, _ = list(inspect.signature(command).parameters)
    plain = inspect.signature(command).parameters
    parameters = [inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    parameters += [plain[name].replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY) for name in own]
    # Arguments come first in the help, then the panels in their order.
    by_panel = sorted(map(with_formats, options_of(command)[1].values()), key=lambda row: PANELS.index(row.panel))
    parameters += [
        inspect.Parameter(row.name, inspect.Parameter.KEYWORD_ONLY, annotation=row.annotation(), default=row.typed_default)
        for row in by_panel
    ]
    run.__signature__ = inspect.Signature(parameters)
    run.__annotations__ = {}


def with_formats(row: Option) -> Option:
    """The row of --format with the names to choose from, and any other row as it is.

    Packages are asked for their output formats only where help is shown: it costs.
    """
    if row.name != "format":
        return row
    names = RENDERERS.names() if {"-h", "--help"} & {*sys.argv} else FORMATS
    return replace(row, choices=("auto", *names))


@cache
def options_of(command: Callable[..., Any]) -> tuple[Any, dict[str, Option]]:
    """The dataclass of a command's options, and the rows that the command takes."""
    kind = inspect.get_annotations(command, eval_str=True)["options"]
    return kind, rows(kind, command.__name__.rstrip("_"))


def _unprotected(value: Any) -> Any:
    """A key of stdin, which the command line's grammar would have taken for an option, as it was typed."""
    if isinstance(value, list):
        return [_unprotected(item) for item in value]
    return value.removeprefix("@") if isinstance(value, str) and value.startswith("@-:") else value


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
        for path in options.output:
            format_of(path, others)
    for flag, path in outputs:
        from lossctl.sources.drafts import check_target

        if flag != "--tensorboard":
            check_target(path, added=flag == "--summary")


def wants_document(options: Talk) -> bool:
    """Whether what only machine-readable results hold is asked for."""
    return any(named(name).document for name in (_format(options), *map(format_of, options.output)))


def printed(report: Report, options: Talk, error: LossctlError | None = None) -> Printed:
    """Render a report for stdout, after the files that `-o` asks for are written."""
    style = Style(sig=options.sig, decimals=options.decimals, color=_color(options))
    if options.output:
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
