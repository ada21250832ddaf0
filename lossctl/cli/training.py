"""`trial`: the same model under each of several losses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from lossctl.cli.app import app
from lossctl.options import HEADER, Talk
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spreading import HOW, INPUT, RESULT, spread
from lossctl.spreading import option as _option


@dataclass(frozen=True, eq=False, repr=False)
class Training(Talk):
    """What `trial` takes."""

    losses: Annotated[
        str, _option("--losses", metavar="LOSSES", panel=HOW, doc="LOSS[:param=value][,LOSS…] or @task; else usual ones.")
    ] = ""
    task: Annotated[
        str, _option("--task", metavar="TASK", panel=HOW, doc="regression, classification, binary or multilabel.")
    ] = ""
    model: Annotated[str, _option("--model", metavar="MODEL", panel=HOW, doc="linear or mlp.")] = "mlp"
    hidden: Annotated[int, _option("--hidden", metavar="N", panel=HOW, min=1, doc="The width of the MLP's hidden layer.")] = 64
    seeds: Annotated[int, _option("--seeds", metavar="N", panel=HOW, min=1, doc="Runs of each loss: seeds 0 to N-1.")] = 5
    steps: Annotated[int, _option("--steps", metavar="N", panel=HOW, min=1, doc="Steps of each run.")] = 1000
    epochs: Annotated[
        int | None, _option("--epochs", metavar="N", panel=HOW, min=1, doc="Passes over the training rows, instead of --steps.")
    ] = None
    batch: Annotated[int, _option("--batch", metavar="N", panel=HOW, min=1, doc="Rows of a step.")] = 64
    lr: Annotated[float, _option("--lr", metavar="X", panel=HOW, doc="The learning rate of Adam.")] = 0.01
    tune: Annotated[bool, _option("--tune", panel=HOW, doc="Choose each loss's rate on a part of the training rows.")] = False
    test_share: Annotated[
        float, _option("--test-share", metavar="SHARE", panel=INPUT, doc="The share of rows that is held out.")
    ] = 0.3
    in_format: Annotated[
        str, _option("--in-format", metavar="FORMAT", panel=INPUT, doc="Read files as this format, whatever their suffix.")
    ] = ""
    header: Annotated[str, _option("--header", metavar="yes|no", panel=INPUT, doc=HEADER)] = ""
    row_order: Annotated[
        bool, _option("--row-order", panel=INPUT, doc="Pair rows as they stand, though ids are in another order.")
    ] = False
    score: Annotated[
        str, _option("--score", metavar="NAME", panel=RESULT, doc="The leading score: r2, rmse, accuracy, auc or f1.")
    ] = ""
    time: Annotated[bool, _option("--time", panel=RESULT, doc="Seconds of each run too, which differ from run to run.")] = False


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

    check_outputs(options)
    return printed(run(features, target, options, say(options)), options)
