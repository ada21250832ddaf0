"""The command line: words, help and exit codes. Nothing heavy is imported before a command needs it.

Commands return what they have to print, and `lossctl.program` prints it, so that a closed pipe or a failure in the middle
leaves nothing half said.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lossctl import __version__
from lossctl.options import Checking, Comparing, Computing, Gated, Grading, Identifying, Talk, spread
from lossctl.printing import Printed
from lossctl.printing import check_outputs as _check_outputs
from lossctl.printing import printed as _print
from lossctl.printing import say as _say
from lossctl.printing import wants_document as _wants_document
from lossctl.printing import written as _written
from lossctl.streams import terminal

if TYPE_CHECKING:
    from lossctl.spec import Spec

app = typer.Typer(
    name="lossctl",
    help="Compute, check and compare loss functions on the files that predictions are kept in.",
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich draws help on a terminal; into a pipe goes plain text, which does not need to import it.
    rich_markup_mode="rich" if terminal() else None,
    context_settings={"help_option_names": ["--help", "-h"]},
)

Losses = Annotated[str, typer.Argument(metavar="LOSSES|SPEC.yaml", help="LOSS[:param=value][,LOSS…], @task, or a spec.")]
Loss = Annotated[str, typer.Argument(metavar="LOSS|SPEC.yaml", help="LOSS[:param=value…], or a spec.")]
Sources = Annotated[
    list[str], typer.Argument(metavar="PRED TARGET [MORE…]", help="PATH, PATH:KEY, - for stdin.", show_default=False)
]
Checked = Annotated[list[str], typer.Argument(metavar="SPEC.yaml|RESULT.json|DIR…", help="Specs, suites, results.")]
LossName = Annotated[str, typer.Argument(metavar="LOSS", help="A loss, under any of its names.")]


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        typer.echo(f"lossctl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,  # noqa: FBT002
) -> None:
    pass


@app.command()
@spread
def compute(losses: Losses, sources: Sources = [], *, options: Computing, typed: set[str]) -> Printed:  # noqa: B006
    """Compute the value of one loss or several.

    Example: lossctl compute mse pred.npy target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.compute import run
    from lossctl.request import check_overwriting, compute_spec

    _check_outputs(options)
    spec = compute_spec([losses, *sources], options, typed)
    check_overwriting(spec, _written(options))
    report, error = run(spec, _say(options), document=_wants_document(options))
    return _print(report, options, error)


@app.command()
@spread
def grad(losses: Loss, sources: Sources = [], *, options: Grading, typed: set[str]) -> Printed:  # noqa: B006
    """Differentiate a loss: a summary of the gradient, and with -o the array.

    Example: lossctl grad mse pred.npy target.npy -o grad.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.grad import run, wanted_of
    from lossctl.request import check_overwriting, compute_spec
    from lossctl.sinks import SUFFIXES, is_array

    arrays = [path for path in options.output if is_array(path)]
    reports = replace(options, output=[path for path in options.output if path not in arrays])
    _check_outputs(reports, SUFFIXES)
    spec = compute_spec([losses, *sources], options, typed)
    check_overwriting(spec, _written(options))
    report, error = run(spec, wanted_of(options, arrays), _say(options), document=_wants_document(reports))
    return _print(report, reports, error)


@app.command()
@spread
def compare(losses: Losses, sources: Sources = [], *, options: Comparing, typed: set[str]) -> Printed:  # noqa: B006
    """Compare predictions under one loss or several, or several losses on one prediction.

    Example: lossctl compare mse,l1 base.npy new.npy -t target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.compare import run, wanted_of
    from lossctl.request import check_overwriting, compute_spec

    _check_outputs(options)
    wanted = wanted_of(options, sources)
    spec = compute_spec([losses], options, typed)
    check_overwriting(spec, _written(options))
    report, error = run(spec, wanted, _say(options), document=_wants_document(options))
    return _print(report, options, error)


@app.command()
@spread
def identify(sources: Sources = [], *, options: Identifying, typed: set[str]) -> Printed:  # noqa: B006
    """Find out which loss, reduction and parameters give a reported number.

    Example: lossctl identify --value 0.3655 pred.npy target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.identify import Wanted, run
    from lossctl.request import check_overwriting, compute_spec

    _check_outputs(options)
    wanted = Wanted.of(options, sources, typed)
    spec = compute_spec(["mse", *sources], options.gated(), typed)
    check_overwriting(spec, _written(options))
    report, error = run(spec, wanted, _say(options), document=_wants_document(options))
    return _print(report, options, error)


@app.command()
@spread
def check(files: Checked, *, options: Checking, typed: set[str]) -> Printed:
    """Look at the gates of specs, or of saved results without computing anything anew.

    Example: lossctl check new.json --against base.json --max-rel mse=2%
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.commands.check import Wanted, run
    from lossctl.request import check_overwriting, compute_spec, gates_of

    def spec_of(path: str) -> Spec:
        spec = compute_spec([path], Gated(**vars(options)), typed)
        check_overwriting(spec, _written(options))
        return spec

    _check_outputs(options)
    wanted = Wanted(gates_of(options), options.against, options.alpha if "alpha" in typed else None)
    report, error = run(files, wanted, spec_of, _say(options))
    return _print(report, options, error)


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

    _check_outputs(options)
    report = list_framework(framework) if framework else list_losses(task)
    return _print(report, replace(options, format="json") if json else options)


@app.command()
@spread
def info(loss: LossName, *, options: Talk, typed: set[str]) -> Printed:  # noqa: ARG001
    """Say everything about a loss: formula, inputs, parameters, pitfalls, source."""
    from lossctl.commands.listing import info as page

    _check_outputs(options)
    return _print(page(loss), options)


@app.command()
@spread
def verify(
    loss: Annotated[str, typer.Argument(metavar="LOSS|RESULT.json", help="A loss, or a saved result.")],
    rtol: Annotated[float, typer.Option("--rtol", metavar="X", min=0, help="What numbers of a result may differ by.")] = 0.0,
    allow_code: Annotated[bool, typer.Option("--allow-code", help="Let a result name code to import.")] = False,  # noqa: FBT002
    *,
    options: Talk,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """Check that a loss keeps its promises, or that a saved result still comes out; exit 1 if not."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _check_outputs(options)
    if loss.lower().endswith(".json"):
        from lossctl.commands.verify_result import run as run_result

        report, error = run_result(loss, _say(options), rtol=rtol, allow_code=allow_code)
        return _print(report, options, error)
    from lossctl.commands.verify import run

    report, error = run(loss)
    return _print(report, options, error)


@app.command()
def schema(what: Annotated[str, typer.Argument(metavar="result|spec", help="Which schema.")] = "result") -> Printed:
    """Print the JSON Schema of results or of specs."""
    from lossctl.commands.schema import run

    return Printed(run(what))
