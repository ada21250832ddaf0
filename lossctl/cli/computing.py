"""`compute`: the value of losses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from lossctl.cli.app import Losses, Sources, app
from lossctl.errors import UsageError
from lossctl.options import Gated
from lossctl.printing import Printed, check_outputs, printed, say, wants_document
from lossctl.spreading import INPUT, RESULT, loading, spread
from lossctl.spreading import option as _option


@dataclass(frozen=True, eq=False, repr=False)
class Computing(Gated):
    """What `compute` takes."""

    per_sample: Annotated[bool, _option("--per-sample", panel=RESULT, doc="One row a sample.")] = False
    worst: Annotated[int, _option("--worst", panel=RESULT, min=0, metavar="N", doc="The N samples with the largest loss.")] = 0
    best: Annotated[int, _option("--best", panel=RESULT, min=0, metavar="N", doc="The N samples with the smallest loss.")] = 0
    stats: Annotated[bool, _option("--stats", panel=RESULT, doc="Spread of the per-sample losses.")] = False
    partial: Annotated[
        str,
        _option("--partial", metavar="FILE", panel=RESULT, writes=True, doc="Write exact sums, for lossctl merge to add up."),
    ] = ""
    part: Annotated[str, _option("--part", metavar="K/N", panel=INPUT, doc="Of N shares of the samples the K-th.")] = ""


@app.command()
@spread
def compute(losses: Losses, sources: Sources = [], *, options: Computing, typed: set[str]) -> Printed:  # noqa: B006
    """Compute the value of one loss or several.

    Example: lossctl compute mse pred.npy target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with loading():
        from lossctl.commands.compute import run
        from lossctl.request import compute_spec

    check_outputs(options)
    if options.part and not options.partial:
        raise UsageError("--part computes a share of the samples.", hint="Name a file for its sums: --partial FILE.")
    spec = compute_spec([losses, *sources], options, typed)
    if options.partial:
        from lossctl.commands.partial import run as run_partial

        return printed(run_partial(spec, options.partial, say(options)), options)
    report, error = run(spec, say(options), document=wants_document(options))
    return printed(report, options, error)
