"""The command line: words, help and exit codes. Nothing heavy is imported before a command needs it.

Commands return what they have to print, and `lossctl.program` prints it, so that a closed pipe or a failure in the middle
leaves nothing half said.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossctl import __version__
from lossctl.errors import UsageError
from lossctl.options import Computing, Grading, Talk, spread
from lossctl.streams import JSON, tell, terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.errors import LossctlError
    from lossctl.report import Report

COLORS = ("auto", "always", "never")

app = typer.Typer(
    name="lossctl",
    help="Compute, check and compare loss functions on the files that predictions are kept in.",
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich draws help on a terminal; into a pipe goes plain text, which does not need to import it.
    rich_markup_mode="rich" if terminal() else None,
    context_settings={"help_option_names": ["--help", "-h"]},
)

Losses = Annotated[str, typer.Argument(metavar="LOSSES|SPEC.yaml", help="LOSS[:param=value][,LOSS…], @task, or a spec.")]
Loss = Annotated[str, typer.Argument(metavar="LOSS|SPEC.yaml", help="LOSS[:param=value…], or a spec.")]
Sources = Annotated[
    list[str], typer.Argument(metavar="PRED TARGET [MORE…]", help="PATH, PATH:KEY, - for stdin.", show_default=False)
]
LossName = Annotated[str, typer.Argument(metavar="LOSS", help="A loss, under any of its names.")]


@dataclass(frozen=True)
class Printed:
    """What a command says on stdout, and the error it ends with after having said it."""

    text: str
    error: LossctlError | None = None


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        typer.echo(f"lossctl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,  # noqa: FBT002
) -> None:
    pass


@app.command()
@spread
def compute(losses: Losses, sources: Sources = [], *, options: Computing, typed: set[str]) -> Printed:  # noqa: B006
    """Compute the value of one loss or several.

    Example: lossctl compute mse pred.npy target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.compute import run
    from lossctl.request import check_overwriting, compute_spec

    _check_outputs(options)
    spec = compute_spec([losses, *sources], options, typed)
    check_overwriting(spec, options.output)
    report, error = run(spec, _say(options), document=_wants_document(options))
    return _print(report, options, error)


@app.command()
@spread
def grad(losses: Loss, sources: Sources = [], *, options: Grading, typed: set[str]) -> Printed:  # noqa: B006
    """Differentiate a loss: a summary of the gradient, and with -o the array.

    Example: lossctl grad mse pred.npy target.npy -o grad.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.grad import run, wanted_of
    from lossctl.request import check_overwriting, compute_spec
    from lossctl.sinks import SUFFIXES, is_array

    arrays = [path for path in options.output if is_array(path)]
    reports = replace(options, output=[path for path in options.output if path not in arrays])
    _check_outputs(reports, SUFFIXES)
    spec = compute_spec([losses, *sources], options, typed)
    check_overwriting(spec, options.output)
    report, error = run(spec, wanted_of(options, arrays), _say(options), document=_wants_document(reports))
    return _print(report, reports, error)


@app.command("list")
@spread
def list_(
    task: Annotated[str, typer.Option("--task", help="Only losses for this task.")] = "",
    framework: Annotated[str, typer.Option("--from", help="What this framework calls its losses, and what we do.")] = "",
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,  # noqa: FBT002
    *,
    options: Talk,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """List the losses that lossctl knows."""
    from lossctl.commands.listing import list_framework, list_losses

    _check_outputs(options)
    report = list_framework(framework) if framework else list_losses(task)
    return _print(report, replace(options, format="json") if json else options)


@app.command()
@spread
def info(loss: LossName, *, options: Talk, typed: set[str]) -> Printed:  # noqa: ARG001
    """Say everything about a loss: formula, inputs, parameters, pitfalls, source."""
    from lossctl.commands.listing import info as page

    _check_outputs(options)
    return _print(page(loss), options)


@app.command()
@spread
def verify(loss: LossName, *, options: Talk, typed: set[str]) -> Printed:  # noqa: ARG001
    """Check that a loss keeps its promises; exit 1 if it does not."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.verify import run

    _check_outputs(options)
    report, error = run(loss)
    return _print(report, options, error)


@app.command()
def schema(what: Annotated[str, typer.Argument(metavar="result|spec", help="Which schema.")] = "result") -> Printed:
    """Print the JSON Schema of results or of specs."""
    from lossctl.commands.schema import run

    return Printed(run(what))


def _say(options: Talk) -> Any:
    """Notes go to stderr, and nowhere with -q."""
    return (lambda _: None) if options.quiet else (lambda text: tell(f"lossctl: {text}"))


def _format(options: Talk) -> str:
    from lossctl.render import choose

    return choose("value" if options.bare else options.format, terminal=terminal())


def _check_outputs(options: Talk, others: Iterable[str] = ()) -> None:
    """Refuse a format or a suffix that nobody writes, and options that contradict, before anything is computed."""
    if options.color not in COLORS:
        message = f"--color takes {', '.join(COLORS)}, not '{options.color}'."
        raise UsageError(message, hint=f"Its default is {COLORS[0]}.")
    if options.sig is not None and options.decimals is not None:
        raise UsageError("--sig and --decimals both say how to round.", hint="Keep one of them.")
    _format(options)
    if options.output:
        from lossctl.render.output import format_of

        for path in options.output:
            format_of(path, others)


def _wants_document(options: Talk) -> bool:
    return _format(options) in JSON or any(path.lower().endswith((".json", ".jsonl")) for path in options.output)


def _print(report: Report, options: Talk, error: LossctlError | None = None) -> Printed:
    """Render a report for stdout, after the files that `-o` asks for are written."""
    from lossctl.render import Style, render

    style = Style(sig=options.sig, decimals=options.decimals, color=_color(options))
    if options.output:
        from lossctl.render.output import write

        for path in options.output:
            write(report, path, style)
    return Printed("" if options.quiet > 1 else render(report, _format(options), style), error)


def _color(options: Talk) -> bool:
    if options.color != "auto":
        return options.color == "always"
    return not os.environ.get("NO_COLOR") and bool(os.environ.get("FORCE_COLOR") or terminal())
