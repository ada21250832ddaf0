"""`diagnose`: a history of losses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from lossctl.cli.app import app
from lossctl.options import HEADER, Passing
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spreading import GATES, HOW, INPUT, spread
from lossctl.spreading import option as _option
from lossctl.streams import unicode


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosing(Passing):
    """What `diagnose` takes."""

    loss: Annotated[str, _option("--loss", metavar="COLUMN", panel=INPUT, doc="The column of the loss.")] = ""
    val: Annotated[str, _option("--val", metavar="COLUMN", panel=INPUT, doc="The column of the validation loss.")] = ""
    step: Annotated[str, _option("--step", metavar="COLUMN", panel=INPUT, doc="The column of the steps.")] = ""
    lr: Annotated[str, _option("--lr", metavar="COLUMN", panel=INPUT, doc="The column of the learning rate.")] = ""
    grad_norm: Annotated[str, _option("--grad-norm", metavar="COLUMN", panel=INPUT, doc="The column of the gradient norm.")] = (
        ""
    )
    in_format: Annotated[
        str, _option("--in-format", metavar="FORMAT", panel=INPUT, doc="Read the file as this format, whatever its suffix.")
    ] = ""
    header: Annotated[str, _option("--header", metavar="yes|no", panel=INPUT, doc=HEADER)] = ""
    floor: Annotated[
        float | None,
        _option("--floor", metavar="X", panel=HOW, doc="The loss that could be reached: tells a plateau from the end."),
    ] = None
    fail_on: Annotated[
        str,
        _option(
            "--fail-on", metavar="WHAT", panel=GATES, doc="Fail (exit 1) on any, error, warning or worse, or CODE[,CODE…]."
        ),
    ] = ""


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
