"""The options of commands that look at data and training, and compute no loss of the user's choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lossctl.options import Talk
from lossctl.spreading import GATES, HOW, INPUT
from lossctl.spreading import option as _option


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosing(Talk):
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


@dataclass(frozen=True, eq=False, repr=False)
class Inspecting(Talk):
    """What `inspect` takes."""

    in_format: Annotated[
        str, _option("--in-format", metavar="FORMAT", panel=INPUT, doc="Read files as this format, whatever their suffix.")
    ] = ""
