"""`recommend`: which loss to take. A flag for every question of lossctl/recommendation/questions.yaml, under its name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lossctl.cli.app import app
from lossctl.options import HEADER, Talk
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spreading import HOW, INPUT, RESULT, spread
from lossctl.streams import terminal, unicode

Word = str | None
Number = float | None
YesNo = bool | None


def _wish(*names: str, panel: str = HOW, doc: str, **more: Any) -> Any:
    return typer.Option(*names, help=doc, rich_help_panel=panel, show_default=False, **more)


@dataclass(frozen=True, eq=False, repr=False)
class Recommending(Talk):
    """What `recommend` takes; None is no answer."""

    task: Annotated[Word, _wish("--task", metavar="TASK", doc="What is predicted: regression, binary, count, boxes …")] = None
    predict: Annotated[Word, _wish("--predict", metavar="WHAT", doc="mean, median, mode or variance.")] = None
    wide: Annotated[YesNo, _wish("--wide/--no-wide", doc="Targets over powers of ten: ratios count.")] = None
    outliers: Annotated[YesNo, _wish("--outliers/--no-outliers", doc="There are outliers.")] = None
    outliers_matter: Annotated[YesNo, _wish("--outliers-matter/--no-outliers-matter", doc="They are real and count.")] = None
    smooth: Annotated[YesNo, _wish("--smooth/--no-smooth", doc="Smooth where the error is 0.")] = None
    margin: Annotated[YesNo, _wish("--margin/--no-margin", doc="Decisions with a margin, no probabilities.")] = None
    imbalance: Annotated[YesNo, _wish("--imbalance/--no-imbalance", doc="Some classes are rare.")] = None
    noisy: Annotated[YesNo, _wish("--noisy-labels/--no-noisy-labels", doc="Some labels are wrong.")] = None
    head: Annotated[Word, _wish("--head", metavar="WHAT", doc="scores, probabilities or log_probabilities.")] = None
    examples: Annotated[Word, _wish("--examples", metavar="WHAT", doc="pairs, triplets or batch.")] = None
    given: Annotated[Word, _wish("--given", metavar="WHAT", doc="A distribution as probabilities or draws.")] = None
    mask_classes: Annotated[Word, _wish("--mask-classes", metavar="WHAT", doc="two or several.")] = None
    small_regions: Annotated[YesNo, _wish("--small-regions/--no-small-regions", doc="Regions are small.")] = None
    over_cost: Annotated[Number, _wish("--over-cost", metavar="X", doc="Cost of a unit too much, or a false alarm.")] = None
    under_cost: Annotated[Number, _wish("--under-cost", metavar="X", doc="Cost of a unit too little, or a miss.")] = None
    quantiles: Annotated[Word, _wish("--quantiles", metavar="Q[,Q…]", doc="Quantiles between 0 and 1.")] = None
    in_format: Annotated[
        str, _wish("--in-format", panel=INPUT, metavar="FORMAT", doc="Read files as this format, whatever their suffix.")
    ] = ""
    header: Annotated[str, _wish("--header", metavar="yes|no", panel=INPUT, doc=HEADER)] = ""
    row_order: Annotated[
        bool, _wish("--row-order", panel=INPUT, doc="Pair rows as they stand, though ids are in another order.")
    ] = False
    tree: Annotated[bool, _wish("--tree", panel=RESULT, doc="Draw the decision tree; --format mermaid exports it.")] = False


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
