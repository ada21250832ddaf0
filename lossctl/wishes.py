"""The options of `recommend`: a flag for every question of lossctl/recommendation/questions.yaml, under its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from lossctl.options import Talk
from lossctl.spreading import HOW, INPUT, RESULT

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
    tree: Annotated[bool, _wish("--tree", panel=RESULT, doc="Draw the decision tree; --format mermaid exports it.")] = False
