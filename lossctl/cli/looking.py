"""`list`, `info`, `verify` and `schema`: what lossctl knows, and whether it holds."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import typer

from lossctl.cli.app import app
from lossctl.option_table import HOW, option
from lossctl.options import Passing, Talk
from lossctl.printing import Printed, check_outputs, printed, say
from lossctl.spec import Options
from lossctl.spreading import spread

LossName = Annotated[str, typer.Argument(metavar="LOSS", help="A loss, under any of its names.")]


@app.command("list")
@spread
def list_(
    task: Annotated[str, typer.Option("--task", help="Only losses for this task.")] = "",
    framework: Annotated[str, typer.Option("--from", help="What this framework calls its losses, and what we do.")] = "",
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,  # noqa: FBT002
    *,
    options: Talk,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """List the losses that lossctl knows."""
    from lossctl.commands.listing import list_framework, list_losses

    check_outputs(options)
    report = list_framework(framework) if framework else list_losses(task)
    return printed(report, replace(options, format="json") if json else options)


@app.command()
@spread
def info(loss: LossName, *, options: Talk, typed: set[str]) -> Printed:  # noqa: ARG001
    """Say everything about a loss: formula, inputs, parameters, pitfalls, source."""
    from lossctl.commands.listing import info as page

    check_outputs(options)
    return printed(page(loss), options)


@dataclass(frozen=True, eq=False, repr=False)
class Verifying(Options, Passing):
    """What `verify` takes; all but the first is what a saved result may make this machine do."""

    takes: ClassVar = ("max_memory", "allow_code", "allow_remote")

    rtol: float = option(0.0, "--rtol X", HOW, "What numbers of a result may differ by.", min=0)


@app.command()
@spread
def verify(
    loss: Annotated[str, typer.Argument(metavar="LOSS|RESULT.json", help="A loss, or a saved result.")],
    *,
    options: Verifying,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """Check that a loss keeps its promises, or that a saved result still comes out; exit 1 if not."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    check_outputs(options)
    if loss.lower().endswith(".json"):
        from lossctl.commands.verify_result import Allowed
        from lossctl.commands.verify_result import run as run_result

        allowed = Allowed(options.allow_code, options.allow_remote, options.max_memory)
        report, error = run_result(loss, say(options), rtol=options.rtol, allowed=allowed)
        return printed(report, options, error)
    from lossctl.commands.verify import run

    report, error = run(loss)
    return printed(report, options, error)


@app.command()
def schema(what: Annotated[str, typer.Argument(metavar="result|spec|partial", help="Which schema.")] = "result") -> Printed:
    """Print the JSON Schema of results, specs or partial results."""
    from lossctl.commands.schema import run

    return Printed(run(what))
