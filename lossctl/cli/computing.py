"""`compute`: the value of losses."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lossctl.cli.app import Losses, Sources, app
from lossctl.errors import UsageError
from lossctl.option_table import RESULT, option
from lossctl.options import Gated
from lossctl.printing import Printed, check_outputs, printed, say, wants_document
from lossctl.spreading import loading, spread


@dataclass(frozen=True, eq=False, repr=False)
class Computing(Gated):
    """What `compute` takes."""

    partial: str = option("", "--partial FILE", RESULT, "Write exact sums, for lossctl merge to add up.", writes=True)


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
    if options.part[1] > 1 and not options.partial:
        raise UsageError("--part computes a share of the samples.", hint="Name a file for its sums: --partial FILE.")
    spec = compute_spec([losses, *sources], options, typed)
    if options.partial:
        from lossctl.commands.partial import run as run_partial

        return printed(run_partial(spec, options.partial, say(options)), options)
    report, error = run(spec, say(options), document=wants_document(options))
    return printed(report, options, error)
