"""`grad`: the gradient of a loss."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Annotated

import typer

from lossctl.cli.app import Sources, app
from lossctl.options import Gated
from lossctl.printing import Printed, check_outputs, printed, say, wants_document
from lossctl.spreading import GATES, INPUT, RESULT, Words, spread
from lossctl.spreading import option as _option

Loss = Annotated[str, typer.Argument(metavar="LOSS|SPEC.yaml", help="LOSS[:param=value…], or a spec.")]


@dataclass(frozen=True, eq=False, repr=False)
class Grading(Gated):
    """What `grad` takes."""

    wrt: Annotated[
        Words,
        _option("--wrt", metavar="NAME", panel=INPUT, doc="By which input, or param:NAME; all for every input. Repeatable."),
    ] = field(default_factory=list)
    eps: Annotated[
        float, _option("--eps", metavar="X", panel=RESULT, min=0, doc="Slopes of single losses below X count as saturated.")
    ] = 1e-6
    check: Annotated[bool, _option("--check", panel=GATES, doc="Compare with central differences; exit 1 if wrong.")] = False
    precision: Annotated[
        Words, _option("--precision", metavar="TYPE", panel=RESULT, doc="What fp16, bf16 or fp32 would lose. Repeatable.")
    ] = field(default_factory=list)
    clip_norm: Annotated[
        float | None, _option("--clip-norm", metavar="X", panel=RESULT, min=0, doc="What clipping to this norm would do.")
    ] = None
    clip_value: Annotated[
        float | None, _option("--clip-value", metavar="X", panel=RESULT, min=0, doc="What clipping each element would do.")
    ] = None
    tensorboard: Annotated[
        str,
        _option("--tensorboard", metavar="DIR", panel=RESULT, writes=True, doc="Write histogram and scalars for TensorBoard."),
    ] = ""
    step: Annotated[int, _option("--step", metavar="N", panel=RESULT, min=0, doc="The step that TensorBoard shows.")] = 0


@app.command()
@spread
def grad(losses: Loss, sources: Sources = [], *, options: Grading, typed: set[str]) -> Printed:  # noqa: B006
    """Differentiate a loss: a summary of the gradient, and with -o the array.

    Example: lossctl grad mse pred.npy target.npy -o grad.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.grad import run, wanted_of
    from lossctl.request import compute_spec
    from lossctl.sinks import SUFFIXES, is_array

    arrays = [path for path in options.output if is_array(path)]
    reports = replace(options, output=[path for path in options.output if path not in arrays])
    check_outputs(reports, SUFFIXES)
    spec = compute_spec([losses, *sources], options, typed)
    report, error = run(spec, wanted_of(options, arrays), say(options), document=wants_document(reports))
    return printed(report, reports, error)
