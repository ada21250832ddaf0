"""More of the command line: commands that guide, by looking at data, at training, or at what is asked."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from lossctl.cli import app
from lossctl.looking_options import Diagnosing, Inspecting
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spreading import spread
from lossctl.streams import terminal, unicode
from lossctl.trial_options import Training
from lossctl.wishes import Recommending

__all__ = ["app"]


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
