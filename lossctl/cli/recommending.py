"""`recommend`: which loss to take. A flag for every question of lossctl/recommendation/questions.yaml, under its name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from lossctl.cli.app import app
from lossctl.option_table import HOW, RESULT, option
from lossctl.options import Talk
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spec import Options
from lossctl.spreading import spread
from lossctl.streams import terminal, unicode


@dataclass(frozen=True, eq=False, repr=False)
class Recommending(Options, Talk):
    """What `recommend` takes; None is no answer."""

    takes: ClassVar = ("in_format", "header", "row_order")

    task: str | None = option(None, "--task TASK", HOW, "What is predicted: regression, binary, count, boxes …")
    predict: str | None = option(None, "--predict WHAT", HOW, "mean, median, mode or variance.")
    wide: bool | None = option(None, "--wide/--no-wide", HOW, "Targets over powers of ten: ratios count.")
    outliers: bool | None = option(None, "--outliers/--no-outliers", HOW, "There are outliers.")
    outliers_matter: bool | None = option(None, "--outliers-matter/--no-outliers-matter", HOW, "They are real and count.")
    smooth: bool | None = option(None, "--smooth/--no-smooth", HOW, "Smooth where the error is 0.")
    margin: bool | None = option(None, "--margin/--no-margin", HOW, "Decisions with a margin, no probabilities.")
    imbalance: bool | None = option(None, "--imbalance/--no-imbalance", HOW, "Some classes are rare.")
    noisy: bool | None = option(None, "--noisy-labels/--no-noisy-labels", HOW, "Some labels are wrong.")
    head: str | None = option(None, "--head WHAT", HOW, "scores, probabilities or log_probabilities.")
    examples: str | None = option(None, "--examples WHAT", HOW, "pairs, triplets or batch.")
    given: str | None = option(None, "--given WHAT", HOW, "A distribution as probabilities or draws.")
    mask_classes: str | None = option(None, "--mask-classes WHAT", HOW, "two or several.")
    small_regions: bool | None = option(None, "--small-regions/--no-small-regions", HOW, "Regions are small.")
    over_cost: float | None = option(None, "--over-cost X", HOW, "Cost of a unit too much, or a false alarm.")
    under_cost: float | None = option(None, "--under-cost X", HOW, "Cost of a unit too little, or a miss.")
    quantiles: str | None = option(None, "--quantiles Q[,Q…]", HOW, "Quantiles between 0 and 1.")
    tree: bool = option(False, "--tree", RESULT, "Draw the decision tree; --format mermaid exports it.")


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
