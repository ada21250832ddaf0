"""The command line: words, help and exit codes. Nothing heavy is imported before a command needs it.

Commands return what they have to print, and `lossctl.program` prints it, so that a closed pipe or a failure in the middle
leaves nothing half said.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Annotated

import typer

from lossctl import __version__
from lossctl.options import Comparing, Computing, Diagnosing, Grading, Inspecting, Talk
from lossctl.printing import Printed, check_outputs, printed, say, wants_document
from lossctl.spreading import spread
from lossctl.streams import terminal, unicode
from lossctl.trial_options import Training
from lossctl.wishes import Recommending

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

    check_outputs(options)
    spec = compute_spec([losses, *sources], options, typed)
    check_overwriting(spec, options.output)
    report, error = run(spec, say(options), document=wants_document(options))
    return printed(report, options, error)


@app.command()
@spread
def grad(losses: Loss, sources: Sources = [], *, options: Grading, typed: set[str]) -> Printed:  # noqa: B006
    """Differentiate a loss: a summary of the gradient, and with -o the array.

    Example: lossctl grad mse pred.npy target.npy -o grad.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.grad import run, wanted_of
    from lossctl.request import check_overwriting, compute_spec
    from lossctl.sinks import is_array

    arrays = [path for path in options.output if is_array(path)]
    reports = replace(options, output=[path for path in options.output if path not in arrays])
    check_outputs(reports)
    spec = compute_spec([losses, *sources], options, typed)
    check_overwriting(spec, options.output)
    report, error = run(spec, wanted_of(options, arrays), say(options), document=wants_document(reports))
    return printed(report, reports, error)


@app.command()
@spread
def compare(losses: Losses, sources: Sources = [], *, options: Comparing, typed: set[str]) -> Printed:  # noqa: B006
    """Compare predictions under one loss or several, or several losses on one prediction.

    Example: lossctl compare mse,l1 base.npy new.npy -t target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.compare import run, wanted_of
    from lossctl.request import check_overwriting, compute_spec

    check_outputs(options)
    wanted = wanted_of(options, sources)
    spec = compute_spec([losses], options, typed)
    check_overwriting(spec, options.output)
    report, error = run(spec, wanted, say(options), document=wants_document(options))
    return printed(report, options, error)


@app.command()
@spread
def diagnose(
    history: Annotated[str, typer.Argument(metavar="HISTORY", help="A table or JSON of losses, event files, or - for stdin.")],
    *,
    options: Diagnosing,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """Say what is wrong with a training run, by its history of losses.

    Example: lossctl diagnose history.csv --fail-on error
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.diagnose import run

    check_outputs(options)
    report, error = run(history, options, say(options), plain=not unicode())
    return printed(report, options, error)


@app.command()
@spread
def inspect(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE…", help="PATH, PATH:KEY, - for stdin.")],
    *,
    options: Inspecting,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """Say what files hold: shapes, types, ranges, and what each array looks like.

    Example: lossctl inspect predictions.csv
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.inspect import run

    check_outputs(options)
    return printed(run(sources, options.in_format, say(options)), options)


@app.command()
@spread
def recommend(
    sources: Annotated[list[str], typer.Argument(metavar="[PRED] [TARGET]", show_default=False)] = [],  # noqa: B006
    *,
    options: Recommending,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """Say which loss to take, why, and why not another: by flags, questions, or the data.

    Example: lossctl recommend target.csv:y
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.recommend import is_picture, picture, run

    if is_picture(options):
        return Printed(picture(options, terminal=terminal(), plain=not unicode()))
    check_outputs(options)
    return printed(run(sources, options, say(options)), options)


@app.command()
@spread
def trial(
    features: Annotated[str, typer.Argument(metavar="FEATURES", help="'table.csv:x_*', or an array with one row a sample.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Numbers, classes, or a column of 0 and 1 for each label.")],
    *,
    options: Training,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """Train the same small model under each of several losses, and compare on held-out rows.

    Example: lossctl trial 'table.csv:x_*' table.csv:y --losses mse,l1,huber
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.trial import run
    from lossctl.request import check_overwriting
    from lossctl.spec import Given, Spec

    check_outputs(options)
    check_overwriting(Spec(positional=(Given(text=features), Given(text=target))), options.output)
    return printed(run(features, target, options, say(options)), options)


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

    check_outputs(options)
    report = list_framework(framework) if framework else list_losses(task)
    return printed(report, replace(options, format="json") if json else options)


@app.command()
@spread
def info(loss: LossName, *, options: Talk, typed: set[str]) -> Printed:  # noqa: ARG001
    """Say everything about a loss: formula, inputs, parameters, pitfalls, source."""
    from lossctl.commands.listing import info as page

    check_outputs(options)
    return printed(page(loss), options)


@app.command()
@spread
def verify(loss: LossName, *, options: Talk, typed: set[str]) -> Printed:  # noqa: ARG001
    """Check that a loss keeps its promises; exit 1 if it does not."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.verify import run

    check_outputs(options)
    report, error = run(loss)
    return printed(report, options, error)


@app.command()
def schema(what: Annotated[str, typer.Argument(metavar="result|spec", help="Which schema.")] = "result") -> Printed:
    """Print the JSON Schema of results or of specs."""
    from lossctl.commands.schema import run

    return Printed(run(what))
