"""From a report to what a command prints: formats, files that are written on the way, and notes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossctl.errors import UsageError
from lossctl.streams import tell, terminal
from lossctl.touched import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lossctl.errors import LossctlError
    from lossctl.options import Talk
    from lossctl.report import Report


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
    from lossctl.render import choose

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
        from lossctl.render import format_of

        for path in options.output:
            format_of(path, others)
    for flag, path in outputs:
        from lossctl.drafts import check_target

        if flag != "--tensorboard":
            check_target(path, added=flag == "--summary")


def wants_document(options: Talk) -> bool:
    """Whether what only machine-readable results hold is asked for."""
    from lossctl.render import format_of, named

    return any(named(name).document for name in (_format(options), *map(format_of, options.output)))


def printed(report: Report, options: Talk, error: LossctlError | None = None) -> Printed:
    """Render a report for stdout, after the files that `-o` asks for are written."""
    from lossctl.render import Style, render

    style = Style(sig=options.sig, decimals=options.decimals, color=_color(options))
    if options.output:
        from lossctl.render import write

        for path in options.output:
            write(report, path, style)
    if summary := getattr(options, "summary", ""):
        from lossctl.render.ci import append

        append(report, summary, style)
    return Printed("" if options.quiet > 1 else render(report, _format(options), style), error)


def _color(options: Talk) -> bool:
    if options.color != "auto":
        return options.color == "always"
    return not os.environ.get("NO_COLOR") and bool(os.environ.get("FORCE_COLOR") or terminal())
