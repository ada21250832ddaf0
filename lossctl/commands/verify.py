"""`verify`: the checks that our own losses are tested with, for any loss, and whether a saved result still comes out.

Of a result it looks for the same inputs, and the same numbers from them.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from lossctl import __version__
from lossctl.cli.command import Printed, check_outputs, printed, say, spread
from lossctl.cli.program import app
from lossctl.errors import BadParameter, GateFailed, LossctlError, MissingFile, UnreadableFile, UsageError, near
from lossctl.report import Report, strict
from lossctl.request.options import HOW, Options, Passing, option
from lossctl.request.spec import LossSpec, Spec, parse_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lossctl.losses.loss import Loss


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
        report, error = recompute(loss, options, say(options))
    else:
        report, error = run(loss)
    return printed(report, options, error)


def run(name: str) -> tuple[Report, LossctlError | None]:
    """Run every check on a loss. Returns the report, and the error to exit with if a check failed.

    Raises: UnknownName, BadParameter, PluginFailed.
    """
    from lossctl.checking.checks import CHECKS, run_check
    from lossctl.request.lookup import look_up

    asked, *more = parse_losses(name)
    if more:
        message = f"verify takes one loss, and '{name}' is {len(more) + 1}."
        raise BadParameter(message, hint=f"Write: lossctl verify {asked.name}")
    loss = look_up(asked.name, asked.params)
    loss = _settled(loss, asked) if loss.origin != "lossctl" else _unparametrised(loss, asked)
    rows = []
    for title, check in CHECKS.items():
        result, detail = run_check(check, loss)
        promise = " ".join((check.__doc__ or "").split())
        rows.append({"loss": loss.name, "check": title, "result": result, "detail": detail or promise})
    failed = [row["check"] for row in rows if row["result"] == "failed"]
    document = {"schema": "lossctl/verify/1", "loss": loss.name, "checks": rows}
    report = Report(("loss", "check", "result", "detail"), rows, document, bare="result")
    return report, GateFailed(f"{loss.name} does not keep: {', '.join(failed)}.") if failed else None


def _unparametrised(loss: Loss, asked: LossSpec) -> Loss:
    """The checks draw the parameters of our own losses themselves.

    Raises: BadParameter where one is given.
    """
    if asked.params:
        raise BadParameter(f"verify draws the parameters of {loss.name} itself.", hint=f"Write: lossctl verify {asked.name}")
    return loss


def _settled(loss: Loss, asked: LossSpec) -> Loss:
    """Fix the parameters of somebody else's loss as they were typed.

    Raises: BadParameter, PluginFailed.
    """
    import numpy as np

    from lossctl.checking.checks import settled
    from lossctl.losses.loss import scalars
    from lossctl.request.lookup import as_given
    from lossctl.sources.files import Files
    from lossctl.sources.readers import whole

    arrays = {tensor.name for tensor in loss.signature.tensors} & set(asked.params)
    unknown = set(asked.params) - arrays - {parameter.name for parameter in loss.signature.parameters}
    if unknown:
        message = f"{loss.name} has no parameter '{min(unknown)}'."
        raise BadParameter(
            message, hint=near(min(unknown), [parameter.name for parameter in loss.signature.parameters], "parameters")
        )
    files = Files(folder="", in_format="", say=lambda _: None)
    given = {name: whole(files.open(as_given(name, asked.params[name]), name)).astype(np.float64) for name in arrays}
    values = scalars(loss, {name: value for name, value in asked.params.items() if name not in arrays})
    return settled(loss, {**given, **values})


SECTIONS = ("results", "total", "gradient", "gradients", "comparisons", "explanations", "tolerances")
# Where a gradient was written says nothing of what it is.
ELSEWHERE = {"files"}
CHUNK = 1 << 20
HINTS = {"merge": "Compute the parts again, and merge them."}


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at, and what is wrong with it, if anything is."""

    check: str
    wrong: str = ""
    right: str = ""

    def row(self) -> dict[str, str]:
        """The row of the report."""
        return {"check": self.check, "result": "failed" if self.wrong else "passed", "detail": self.wrong or self.right}


def recompute(path: str, options: Verifying, say: Callable[[str], None]) -> tuple[Report, LossctlError | None]:
    """Look at the hashes of a result's inputs, and where they are the same compute it again and compare every number.

    Numbers may differ by the `rtol` of `options` relatively, which also say what the
    result may make this machine do. Returns the report, and the error to exit with if something has changed.
    Raises: MissingFile, UnreadableFile, UsageError for what is not allowed, and what computing raises.
    """
    from lossctl.checking.saved import load
    from lossctl.request.models import spec_of

    saved = load(path, whole=True).document
    command = saved["command"]
    if command not in {"compute", "grad", "compare"}:
        message = f"{path} was written by lossctl {command}, and verify computes again what compute, grad and compare wrote."
        raise UsageError(message, hint=HINTS.get(command, "Run the command again, and compare."))
    request = saved.get("request", {})
    if not request or (command != "compute" and not request.get(command)):
        message = (
            f"{path} does not say what it was asked for: request{'' if command == 'compute' else f'.{command}'} is missing."
        )
        raise UnreadableFile(message, hint="Save it anew with this version of lossctl: -o FILE.json.")
    spec = spec_of(
        request, path, allow_code=options.allow_code, allow_remote=options.allow_remote, max_memory=options.max_memory
    )
    if saved["version"] != __version__:
        say(f"{path} was computed by lossctl {saved['version']}, and this is {__version__}")
    facts = [_same_input(item, spec.folder) for item in saved["inputs"]]
    if not any(fact.wrong for fact in facts):
        report = _again(command, spec, request, path)
        facts += _compared(saved, json.loads(json.dumps(strict(report.document))), options.rtol)
    rows = [{"file": path, **fact.row()} for fact in facts]
    document = {"schema": "lossctl/verify/1", "file": path, "checks": rows}
    failed = [fact for fact in facts if fact.wrong]
    error = GateFailed(f"{path} does not come out again: {failed[0].check}: {failed[0].wrong}.") if failed else None
    return Report(("file", "check", "result", "detail"), rows, document, bare="result"), error


def _same_input(saved: Mapping[str, Any], folder: str) -> Fact:
    """Whether a file still has the bytes that it had.

    Raises: MissingFile, UsageError for standard input.
    """
    from lossctl.sources.source import STDIN, exists

    path = saved["path"]
    if path == STDIN:
        message = f"The {saved['role']} came from standard input, which cannot be read again."
        raise UsageError(message, hint="Save it to a file, and compute from that.")
    check = f"{saved['role']} {path}" if path else f"{saved['role']} in place"
    file = Path(folder, path) if path else None
    if file is None or (exists(file) and file.is_dir()) or any(sign in path for sign in "*?[") or "://" in path:
        # The hash of what was written in place, or put together of many files, is compared once it is computed again.
        return Fact(check, right="compared with the numbers")
    if not exists(file) or not file.is_file():
        message = f"{path} is not there, from which the result was computed."
        raise MissingFile(message, hint="Run verify in the folder that the result was computed in.")
    result = _hash(file)
    return Fact(
        check, "" if result == saved["sha256"] else f"the file has changed: its SHA-256 is {result}", f"SHA-256 {result}"
    )


def _hash(path: Path) -> str:
    from lossctl.sources.touched import reads

    result = hashlib.sha256()
    with path.open("rb") as stream:
        reads(str(path), os.fstat(stream.fileno()))
        while chunk := stream.read(CHUNK):
            result.update(chunk)
    return result.hexdigest()


def _again(command: str, spec: Spec, request: Mapping[str, Any], name: str) -> Report:
    """The report of the same command, run without a word."""
    if command == "grad":
        from lossctl.commands.grad import Grading
        from lossctl.commands.grad import run as grad
        from lossctl.request.models import own_options

        return grad(spec, Grading(**own_options(request, name, "grad", Grading)), lambda _: None, document=True)[0]
    if command == "compare":
        from lossctl.commands.compare import run as compare
        from lossctl.commands.compare import wanted_again

        return compare(spec, wanted_again(request, name, spec.options.reduction), lambda _: None, document=True)[0]
    from lossctl.commands.compute import run as compute

    return compute(spec, lambda _: None, document=True)[0]


def _compared(saved: Mapping[str, Any], found: Mapping[str, Any], rtol: float) -> list[Fact]:
    """One fact for the signature and the inputs where they are others, and one a result, comparison and so on."""
    facts = []
    if saved["version"] == found["version"] and (old := saved["signature"]) != (new := found["signature"]):
        facts.append(Fact("signature", f"it says {old}, but the request in the file means {new}"))
    facts.append(_inputs(saved["inputs"], found["inputs"]))
    sections = [fact for name in SECTIONS for fact in _section(name, saved.get(name), found.get(name), rtol)]
    return [fact for fact in facts if fact.wrong] + sections


def _inputs(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Fact:
    """Whether what is read is what the result says it was computed from."""
    if len(old) != len(new):
        return Fact("inputs", f"{len(old)} are named, and {len(new)} are read")
    for was, is_ in zip(old, new, strict=True):
        if was["sha256"] != is_["sha256"]:
            return Fact("inputs", f"{was['role']} has other numbers")
        # Older versions did not write what was read of an input.
        told = {name: item for name, item in is_.items() if name != "read" or name in was}
        if wrong := _difference(was, told, 0.0):
            return Fact("inputs", f"{was['role']}: {wrong}")
    return Fact("inputs")


def _section(name: str, old: Any, new: Any, rtol: float) -> Iterable[Fact]:
    """Compare one part of the documents, entry by entry."""
    if not (isinstance(old, list) and isinstance(new, list) and all(isinstance(item, dict) for item in old)):
        if old is not None or new is not None:
            yield Fact(name, _difference(old, new, rtol), "the same")
        return
    if len(old) != len(new):
        yield Fact(name, f"there were {len(old)} entries, and now there are {len(new)}")
        return
    for was, is_ in zip(old, new, strict=True):
        yield Fact(_title(name, was), _difference(was, is_, rtol), f"{was['value']!r}" if "value" in was else "the same")


def _title(section: str, entry: Mapping[str, Any]) -> str:
    from lossctl.checking.saved import label_of

    label = label_of(entry) if section == "results" else entry.get("loss", entry.get("wrt", ""))
    whose = [str(entry[name]) for name in ("system", "group") if name in entry]
    return " ".join([section.removesuffix("s"), label, *whose]).strip()


def _difference(old: Any, new: Any, rtol: float) -> str:
    """The first place where two parts differ, in words; empty where they are the same."""
    was, is_ = dict(_leaves(old)), dict(_leaves(new))
    for place in dict.fromkeys([*was, *is_]):
        if not _same(was.get(place), is_.get(place), rtol):
            return f"{place or 'it'} was {was.get(place)!r} and is {is_.get(place)!r}"
    return ""


def _same(old: Any, new: Any, rtol: float) -> bool:
    if old == new or not all(isinstance(item, int | float) and not isinstance(item, bool) for item in (old, new)):
        return bool(old == new)
    return bool(abs(new - old) <= rtol * abs(old))


def _leaves(part: Any, place: str = "") -> Iterable[tuple[str, Any]]:
    """Every number, word and null of a document, with its place."""
    if isinstance(part, dict):
        for name, item in part.items():
            if name not in ELSEWHERE:
                yield from _leaves(item, f"{place}.{name}" if place else name)
    elif isinstance(part, list):
        yield f"{place} (length)", len(part)
        for number, item in enumerate(part):
            yield from _leaves(item, f"{place}[{number}]")
    else:
        yield place, part
