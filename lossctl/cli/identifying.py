"""`identify`: which loss gives a number."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lossctl.cli.app import Sources, app
from lossctl.option_table import HOW, INPUT, RESULT, option
from lossctl.options import Asking
from lossctl.printing import Printed, check_outputs, printed, say, wants_document
from lossctl.spec import Options
from lossctl.spreading import spread


@dataclass(frozen=True, eq=False, repr=False)
class Identifying(Options, Asking):
    """What `identify` takes."""

    value: str = option("", "--value X", INPUT, "The reported number, with all its digits.")
    rtol: float = option(0.0, "--rtol X", HOW, "Also match what is this close.", min=0)
    top: int = option(10, "--top N", RESULT, "How many candidates to show.", min=1)


@app.command()
@spread
def identify(sources: Sources = [], *, options: Identifying, typed: set[str]) -> Printed:  # noqa: B006
    """Find out which loss, reduction and parameters give a reported number.

    Example: lossctl identify --value 0.3655 pred.npy target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.identify import Wanted, run
    from lossctl.request import compute_spec

    check_outputs(options)
    wanted = Wanted.of(options, sources, typed)
    spec = compute_spec(["mse", *sources], options, typed)
    report, error = run(spec, wanted, say(options), document=wants_document(options))
    return printed(report, options, error)
