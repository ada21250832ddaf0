"""`diagnose`: a history of losses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from lossctl.cli.app import app
from lossctl.option_table import GATES, HOW, INPUT, option
from lossctl.options import Passing
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spec import Options
from lossctl.spreading import spread
from lossctl.streams import unicode


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosing(Options, Passing):
    """What `diagnose` takes."""

    takes: ClassVar = ("in_format", "header")

    loss: str = option("", "--loss COLUMN", INPUT, "The column of the loss.")
    val: str = option("", "--val COLUMN", INPUT, "The column of the validation loss.")
    step: str = option("", "--step COLUMN", INPUT, "The column of the steps.")
    lr: str = option("", "--lr COLUMN", INPUT, "The column of the learning rate.")
    grad_norm: str = option("", "--grad-norm COLUMN", INPUT, "The column of the gradient norm.")
    floor: float | None = option(None, "--floor X", HOW, "The loss that could be reached: tells a plateau from the end.")
    fail_on: str = option("", "--fail-on WHAT", GATES, "Fail (exit 1) on any, error, warning or worse, or CODE[,CODE…].")


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
