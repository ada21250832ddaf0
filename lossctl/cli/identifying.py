"""`identify`: which loss gives a number."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Annotated

from lossctl.cli.app import Sources, app
from lossctl.options import Gated, Reading
from lossctl.printing import Printed, check_outputs, printed, say, wants_document
from lossctl.spreading import HOW, INPUT, RESULT, spread
from lossctl.spreading import option as _option


@dataclass(frozen=True, eq=False, repr=False)
class Identifying(Reading):
    """What `identify` takes."""

    value: Annotated[str, _option("--value", metavar="X", panel=INPUT, doc="The reported number, with all its digits.")] = ""
    rtol: Annotated[float, _option("--rtol", metavar="X", panel=HOW, min=0, doc="Also match what is this close.")] = 0.0
    top: Annotated[int, _option("--top", metavar="N", panel=RESULT, min=1, doc="How many candidates to show.")] = 10

    def gated(self) -> Gated:
        """The same words for reading inputs, as other commands take them."""
        return Gated(**{one.name: getattr(self, one.name) for one in fields(Reading)})


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
    spec = compute_spec(["mse", *sources], options.gated(), typed)
    report, error = run(spec, wanted, say(options), document=wants_document(options))
    return printed(report, options, error)
