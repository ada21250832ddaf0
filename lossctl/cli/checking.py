"""`check`: the gates of specs and of saved results."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from lossctl.cli.app import app
from lossctl.options import Gating
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spec import Options
from lossctl.spreading import loading, spread

if TYPE_CHECKING:
    from lossctl.spec import Spec


Checked = Annotated[list[str], typer.Argument(metavar="SPEC.yaml|RESULT.json|DIR…", help="Specs, suites, results.")]


@dataclass(frozen=True, eq=False, repr=False)
class Checking(Gating, Options):
    """What `check` takes."""

    takes: ClassVar = ("jobs", "allow_code")


@app.command()
@spread
def check(files: Checked, *, options: Checking, typed: set[str]) -> Printed:
    """Look at the gates of specs, or of saved results without computing anything anew.

    Example: lossctl check new.json --against base.json --max-rel mse=2%
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with loading():
        from lossctl.commands.check import Wanted, run
        from lossctl.request import compute_spec, gates_of

    def spec_of(path: str) -> Spec:
        return compute_spec([path], options, typed)

    check_outputs(options)
    wanted = Wanted(gates_of(options), options.against, options.alpha if "alpha" in typed else None)
    report, error = run(files, wanted, spec_of, say(options))
    return printed(report, options, error)
