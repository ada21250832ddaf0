"""`list`, `info` and `schema`: what the catalogue says of itself, and the JSON Schemas of what lossctl writes and reads.

None of them computes, so none imports NumPy.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossctl.cli.command import Printed, check_outputs, printed, spread
from lossctl.cli.program import app
from lossctl.errors import UnknownName, near
from lossctl.report import Report
from lossctl.request.options import RESULT, Talk, option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.losses.loss import Input, Loss


LossName = Annotated[str, typer.Argument(metavar="LOSS", help="A loss, under any of its names.")]


@dataclass(frozen=True, eq=False, repr=False)
class Listing(Talk):
    """What `list` takes."""

    task: str = option("", "--task TEXT", RESULT, "Only losses for this task.")
    framework: str = option("", "--from TEXT", RESULT, "What this framework calls its losses, and what we do.")
    json: bool = option(False, "--json", RESULT, "The same as --format json.")


@app.command("list")
@spread
def list_(*, options: Listing, typed: set[str]) -> Printed:  # noqa: ARG001
    """List the losses that lossctl knows."""
    check_outputs(options)
    report = list_framework(options.framework) if options.framework else list_losses(options.task)
    return printed(report, replace(options, format="json") if options.json else options)


@app.command()
@spread
def info(loss: LossName, *, options: Talk, typed: set[str]) -> Printed:  # noqa: ARG001
    """Say everything about a loss: formula, inputs, parameters, pitfalls, source."""
    check_outputs(options)
    return printed(info_page(loss), options)


@app.command()
def schema(what: Annotated[str, typer.Argument(metavar="result|spec|partial", help="Which schema.")] = "result") -> Printed:
    """Print the JSON Schema of results, specs or partial results."""
    return Printed(run(what))


OTHERS = "others"
NO_GUIDE = "no guide: 0 wherever it exists, or that of one sample alone"


def list_framework(framework: str) -> Report:
    """What a framework calls its losses, and what we call them.

    Raises: UnknownName.
    """
    from lossctl.losses.names import table

    rows = [{"theirs": theirs, "ours": ours} for theirs, ours in sorted(table(framework).items())]
    return Report(("theirs", "ours"), rows, {"schema": "lossctl/names/1", "framework": framework, "names": rows}, bare="ours")


def list_losses(task: str = "") -> Report:
    """One row a loss; `task` narrows it.

    Raises: UnknownName for a task that no loss has.
    """
    from lossctl.losses import catalogue

    chosen = [loss for loss in catalogue().values() if task in {"", loss.task}]
    if not chosen and task != OTHERS:
        message = f"No loss has the task '{task}'."
        raise UnknownName(message, hint=near(task, {loss.task for loss in catalogue().values()}, "tasks"))
    rows = [
        {
            "loss": loss.name,
            "task": loss.task,
            "inputs": ", ".join(argument.name for argument in loss.signature.inputs),
            "summary": loss.doc.summary,
        }
        for loss in sorted(chosen, key=lambda loss: (loss.task, loss.name))
    ]
    others = _others() if task in {"", OTHERS} else {}
    rows += [{"loss": name, "task": OTHERS, "inputs": "", "summary": path} for name, path in others.items()]
    listed = [{"name": name, "task": OTHERS, "source": path} for name, path in others.items()]
    document = {"schema": "lossctl/list/1", "losses": [*map(describe, chosen), *listed]}
    return Report(("loss", "task", "inputs", "summary"), rows, document, bare="loss")


def _others() -> dict[str, str]:
    """The losses of installed packages by name, with their import paths; ours win, and none is imported for a list."""
    from lossctl.losses import LOSSES
    from lossctl.losses import rows as known

    result = {entry.name: f"of an installed package: {entry.value}" for entry in LOSSES.entries()}
    return {name: path for name, path in sorted(result.items()) if LOSSES.spelling(name) not in known()}


def info_page(name: str) -> Report:
    """Everything that a loss's one place of definition says.

    Raises: UnknownName.
    """
    from lossctl.losses import rows as known
    from lossctl.losses import spelling
    from lossctl.losses.names import IMPOSSIBLE, impossible, meaning_of
    from lossctl.request.lookup import look_up

    if re.fullmatch(r"[Ll]\d+", name) and spelling(name) not in known():
        return _warning(name)
    if re.fullmatch(r"[Dd]\d+", name) and spelling(name) not in known():
        return _finding(name)
    barred = impossible(meaning_of(name).loss)
    if barred:
        row = {"what": barred, "text": f"cannot be computed from files: {IMPOSSIBLE[barred]}"}
        return Report(
            ("what", "text"), [row], {"schema": "lossctl/info/1", "name": barred, "why_not": row["text"]}, bare="text"
        )
    loss = look_up(name)
    rows = [{"what": what, "text": text} for what, text in _lines(loss)]
    return Report(("what", "text"), rows, {"schema": "lossctl/info/1", **describe(loss)}, bare="text")


def _warning(code: str) -> Report:
    """The page of a warning."""
    from lossctl.warnings import explain

    trap = explain(code)
    rows = [{"what": "warning", "text": f"{trap.code}: {trap.title}"}, {"what": "why", "text": trap.doc}]
    rows.append({"what": "silence", "text": f"--ignore {trap.code}"})
    document = {"schema": "lossctl/warning/1", "code": trap.code, "title": trap.title, "why": trap.doc}
    return Report(("what", "text"), rows, document, bare="text")


def _finding(code: str) -> Report:
    """The page of a finding of `diagnose`."""
    from lossctl.guides.diagnose.faults import explain

    fault = explain(code)
    rows = [
        {"what": "finding", "text": f"{fault.code}: {fault.title} ({fault.severity})"},
        {"what": "statistic", "text": fault.statistic},
        {"what": "threshold", "text": f"{fault.threshold:g}"},
        *({"what": "cause", "text": cause} for cause in fault.causes),
        *({"what": "remedy", "text": remedy} for remedy in fault.remedies),
        {"what": "source", "text": fault.source},
    ]
    return Report(("what", "text"), rows, {"schema": "lossctl/finding/1", **asdict(fault)}, bare="text")


def describe(loss: Loss) -> dict[str, Any]:
    """A loss as plain values."""
    signature = loss.signature
    return {
        "name": loss.name,
        "task": loss.task,
        "summary": loss.doc.summary,
        "formula": loss.doc.formula,
        "inputs": [_describe_array(argument) for argument in signature.inputs],
        "tensors": [_describe_array(argument) for argument in signature.tensors],
        "parameters": [
            {"name": p.name, "default": p.default, "takes": p.word.says, "doc": loss.doc.parameters.get(p.name, "")}
            for p in signature.parameters
        ],
        "reductions": list(loss.reductions),
        "merge": loss.merge,
        "train_with": loss.flat or None,
        "use": loss.doc.use,
        "pitfalls": list(loss.doc.pitfalls),
        "examples": list(loss.doc.examples),
        "source": loss.source,
        "torch": f"torch.nn.functional.{loss.torch}" if loss.torch else None,
        "aliases": list(loss.aliases),
    }


def _describe_array(argument: Input) -> dict[str, Any]:
    word = argument.word
    infinite = [f"{'' if sign == '+' else sign}inf" for sign in word.infinite]
    return {
        "name": argument.name,
        "shape": word.shape,
        "takes": word.says,
        "domain": word.domain.says,
        "infinite": infinite,
        "needs": word.needs,
    }


def _lines(loss: Loss) -> Iterable[tuple[str, str]]:
    """The page of a loss, line by line."""
    yield "loss", f"{loss.name}: {loss.doc.summary}"
    yield "task", loss.task
    yield "formula", loss.doc.formula
    for argument in loss.signature.inputs:
        yield f"input {argument.name}", ", ".join((f"{_shape(argument)} {argument.word.says}", *_domain(argument)))
    yield "activation", f"of {loss.signature.inputs[0].name}: {loss.signature.inputs[0].word.needs}"
    for parameter in loss.signature.parameters:
        takes = f"{parameter.word.says}, default {str(parameter.default).lower()}"
        yield f"param {parameter.name}", f"{takes}: {loss.doc.parameters.get(parameter.name, '')}"
    for tensor in loss.signature.tensors:
        takes = f"{_shape(tensor)} {tensor.word.says}, default none"
        yield f"param {tensor.name}", f"{takes}: {loss.doc.parameters.get(tensor.name, '')}"
    yield "reductions", ", ".join(loss.reductions)
    yield "merge", loss.merge
    if loss.flat:
        yield "gradient", f"{NO_GUIDE}; train with {loss.flat}"
    yield "use", loss.doc.use
    for example in loss.doc.examples:
        yield "example", example
    for pitfall in loss.doc.pitfalls:
        yield "pitfall", pitfall
    yield "source", loss.source
    yield "torch", f"torch.nn.functional.{loss.torch}" if loss.torch else "none"
    yield "aliases", ", ".join(loss.aliases)


def _domain(argument: Input) -> tuple[str, ...]:
    """The domain and the infinities beside it, but for labels: what they are says it."""
    from lossctl.losses.loss import ANY

    if argument.word.index and argument.word.domain == ANY:
        return ()
    return argument.word.domain.says, *([f"{limits} where there is a limit"] if (limits := argument.word.limits) else [])


def _shape(argument: Input) -> str:
    """`(N, C, *D)` as documentation writes it."""
    return f"({', '.join(dim.upper() for dim in argument.word.shape.split())})"


def run(what: str) -> str:
    """Return a schema as text.

    Raises: UnknownName.
    """
    if what == "result":
        from lossctl.checking.saved import load_schema

        return load_schema("result-1")
    if what == "spec":
        from lossctl.request.specfile import spec_schema

        return json.dumps(spec_schema(), indent=2) + "\n"
    if what == "partial":
        from lossctl.commands.partial import schema

        return schema()
    raise UnknownName(f"There is no schema '{what}'.", hint=near(what, ["partial", "result", "spec"], "schemas"))
