"""`merge`: parts of a result, added up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from lossctl.cli.app import app
from lossctl.options import Gating
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spec import Options
from lossctl.spreading import spread


@dataclass(frozen=True, eq=False, repr=False)
class Merging(Gating, Options):
    """What `merge` takes."""

    takes: ClassVar = ("min_coverage", "allow_code")


@app.command()
@spread
def merge(
    partials: Annotated[list[str], typer.Argument(metavar="PARTIAL.json…", help="What compute --partial wrote.")],
    *,
    options: Merging,
    typed: set[str],
) -> Printed:
    """Add up partial results: the same bits as one run over all samples.

    Example: lossctl merge part1.json part2.json
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.merge import Wanted, run
    from lossctl.request import gates_of

    check_outputs(options)
    alpha = options.alpha if "alpha" in typed else None
    wanted = Wanted(gates_of(options), options.against, alpha, options.min_coverage, options.allow_code)
    report, error = run(partials, wanted, say(options))
    return printed(report, options, error)
