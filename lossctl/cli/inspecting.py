"""`inspect`: what files hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from lossctl.cli.app import app
from lossctl.options import Talk
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spec import Options
from lossctl.spreading import spread


@dataclass(frozen=True, eq=False, repr=False)
class Inspecting(Options, Talk):
    """What `inspect` takes."""

    takes: ClassVar = ("in_format", "header")


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
