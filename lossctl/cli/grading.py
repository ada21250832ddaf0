"""`grad`: the gradient of a loss."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from lossctl.cli.app import Sources, app
from lossctl.option_table import GATES, INPUT, RESULT, option
from lossctl.options import Gated
from lossctl.printing import Printed, check_outputs, printed, say, wants_document
from lossctl.spreading import spread

Loss = Annotated[str, typer.Argument(metavar="LOSS|SPEC.yaml", help="LOSS[:param=value…], or a spec.")]


@dataclass(frozen=True, eq=False, repr=False)
class Grading(Gated):
    """What `grad` takes."""

    wrt: list[str] = option([], "--wrt NAME", INPUT, "By which input, or param:NAME; all for every input. Repeatable.")
    eps: float = option(1e-06, "--eps X", RESULT, "Slopes of single losses below X count as saturated.", min=0)
    check: bool = option(False, "--check", GATES, "Compare with central differences; exit 1 if wrong.")
    precision: list[str] = option([], "--precision TYPE", RESULT, "What fp16, bf16 or fp32 would lose. Repeatable.")
    clip_norm: float | None = option(None, "--clip-norm X", RESULT, "What clipping to this norm would do.", min=0)
    clip_value: float | None = option(None, "--clip-value X", RESULT, "What clipping each element would do.", min=0)
    tensorboard: str = option("", "--tensorboard DIR", RESULT, "Write histogram and scalars for TensorBoard.", writes=True)
    step: int = option(0, "--step N", RESULT, "The step that TensorBoard shows.", min=0)


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
