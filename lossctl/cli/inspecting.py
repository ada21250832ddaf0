"""`inspect`: what files hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from lossctl.cli.app import app
from lossctl.options import HEADER, Talk
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spreading import INPUT, spread
from lossctl.spreading import option as _option


@dataclass(frozen=True, eq=False, repr=False)
class Inspecting(Talk):
    """What `inspect` takes."""

    in_format: Annotated[
        str, _option("--in-format", metavar="FORMAT", panel=INPUT, doc="Read files as this format, whatever their suffix.")
    ] = ""
    header: Annotated[str, _option("--header", metavar="yes|no", panel=INPUT, doc=HEADER)] = ""


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
    return printed(run(sources, options.in_format, say(options), options.header), options)
