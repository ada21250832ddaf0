"""`trial`: the same model under each of several losses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from lossctl.cli.app import app
from lossctl.option_table import HOW, INPUT, RESULT, option
from lossctl.options import Talk
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spec import Options
from lossctl.spreading import spread


@dataclass(frozen=True, eq=False, repr=False)
class Training(Options, Talk):
    """What `trial` takes."""

    takes: ClassVar = ("in_format", "header", "row_order")

    losses: str = option("", "--losses LOSSES", HOW, "LOSS[:param=value][,LOSS…] or @task; else usual ones.")
    task: str = option("", "--task TASK", HOW, "regression, classification, binary or multilabel.")
    model: str = option("mlp", "--model MODEL", HOW, "linear or mlp.")
    hidden: int = option(64, "--hidden N", HOW, "The width of the MLP's hidden layer.", min=1)
    seeds: int = option(5, "--seeds N", HOW, "Runs of each loss: seeds 0 to N-1.", min=1)
    steps: int = option(1000, "--steps N", HOW, "Steps of each run.", min=1)
    epochs: int | None = option(None, "--epochs N", HOW, "Passes over the training rows, instead of --steps.", min=1)
    batch: int = option(64, "--batch N", HOW, "Rows of a step.", min=1)
    lr: float = option(0.01, "--lr X", HOW, "The learning rate of Adam.")
    tune: bool = option(False, "--tune", HOW, "Choose each loss's rate on a part of the training rows.")
    test_share: float = option(0.3, "--test-share SHARE", INPUT, "The share of rows that is held out.")
    score: str = option("", "--score NAME", RESULT, "The leading score: r2, rmse, accuracy, auc or f1.")
    time: bool = option(False, "--time", RESULT, "Seconds of each run too, which differ from run to run.")


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
