"""`check`: the gates of specs, and of saved results without computing anything anew; one row a gate.

A file that cannot be looked at does not end the run: it is a row like the others, and decides the exit code only where no gate
has failed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from lossctl import __version__
from lossctl.cli.command import Printed, check_outputs, printed, say, spread
from lossctl.cli.program import app
from lossctl.errors import GateFailed, LossctlError, MissingFile, Undecided, UsageError, WouldOverwrite
from lossctl.report import Report
from lossctl.request.arguments import compute_spec, gates_of
from lossctl.request.options import Gating, Options
from lossctl.sources.touched import reads_later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lossctl.request.spec import Gate, Spec


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
    check_outputs(options)
    gates, alpha = gates_of(options), options.alpha if "alpha" in typed else None
    note = say(options)

    def look(path: str) -> Looked:
        suffix = Path(path).suffix.lower()
        try:
            if suffix in RESULTS:
                return Looked(path, _of_result(path, gates, options.against, alpha))
            if suffix in SPECS:
                _refuse_suite(path)
                return _of_spec(path, compute_spec([path], options, typed), note)
            message = f"'{path}' is neither a spec nor a saved result."
            raise UsageError(message, hint="Name a file that ends in .yaml, .yml or .json.")
        except WouldOverwrite:
            raise
        except LossctlError as error:
            return Looked(path, error=error)

    paths = [*_files(files)]
    for path in paths:
        reads_later(path)
    looked = [look(path) for path in paths]
    return printed(_report(looked), options, _worst(looked))


if TYPE_CHECKING:
    Say = Callable[[str], None]

RESULTS, SPECS = (".json",), (".yaml", ".yml")
COLUMNS = ("file", "gate", "value", "result")


@dataclass(frozen=True)
class Looked:
    """What came of one file: its checks, or the error that kept them from being looked at."""

    path: str
    checks: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[Mapping[str, Any]] = ()
    error: LossctlError | None = None

    def entries(self) -> list[dict[str, Any]]:
        """The entries of the document's `checks`, an error among them."""
        result = [{"file": self.path, **check} for check in self.checks]
        if self.error is None:
            return result
        message = self.error.paragraph()
        gate = {"key": "", "kind": "error", "bound": None, "value": None, "passed": None, "message": message}
        return [*result, {"file": self.path, **gate, "error": self.error.as_dict()}]


def _files(paths: Iterable[str], *, suites: bool = True) -> Iterable[str]:
    """Every file that is meant, each once: folders hold specs, suites list them, patterns match."""
    seen: dict[str, None] = {}
    for path in paths:
        for item in _unfolded(path):
            listed = _listed(item) if suites and Path(item).suffix.lower() in SPECS else None
            seen |= dict.fromkeys([item] if listed is None else _files(listed, suites=False))
    return seen


def _unfolded(path: str) -> list[str]:
    if Path(path).is_dir():
        result = sorted(str(item) for item in Path(path).rglob("*") if item.suffix.lower() in SPECS and item.is_file())
    elif has_magic(path) and not Path(path).exists():
        result = sorted(glob(path, recursive=True))  # noqa: PTH207 - patterns of pathlib refuse absolute ones
    else:
        return [path]
    if not result:
        raise MissingFile(f"There is no spec in '{path}'.", hint="Name a spec, a folder of specs, or a saved result.")
    return result


def _listed(path: str) -> tuple[str, ...] | None:
    """What a suite lists. A file that cannot be read is looked at, and said to be so, with the others."""
    from lossctl.request.specfile import read_suite

    try:
        return read_suite(path)
    except LossctlError:
        return None


def _refuse_suite(path: str) -> None:
    """Say what is wrong with a suite, as a suite; those that are right have been unfolded.

    Raises: BadSpec, MissingFile.
    """
    from lossctl.request.specfile import read_suite

    if read_suite(path) is not None:
        raise UsageError(f"'{path}' is a suite, and stands in another one.", hint="List its specs there.")


def _of_result(path: str, gates: Sequence[Gate], against: str, alpha: float | None) -> Sequence[Mapping[str, Any]]:
    """The gates that were typed, or else those that the result was made with, as they were decided.

    Raises: UsageError where there is no gate.
    """
    from lossctl.checking.judging import decided
    from lossctl.checking.saved import load, renamed

    saved = load(path)
    stored: Sequence[Mapping[str, Any]] = saved.document.get("checks", ())
    if not gates:
        _refuse_none(path, stored, "--max mse=0.1")
        return stored
    values = saved.values()
    return [check.as_dict() for check in decided(renamed(gates, values), values, saved, against, alpha)]


def _of_spec(path: str, spec: Spec, say: Say) -> Looked:
    """The gates of a spec, once it is computed.

    Raises: UsageError where there is no gate, and what computing raises.
    """
    from lossctl.commands.compute import run as compute

    _refuse_none(path, spec.gates, "gates: [{key: mse, max: 0.1}]")
    report, _ = compute(spec, lambda text: say(f"{path}: {text}"), document=False)
    return Looked(path, report.document["checks"], report.document["warnings"])


def _refuse_none(path: str, gates: Sequence[Any], example: str) -> None:
    if not gates:
        raise UsageError(f"'{path}' has no gate, so that nothing would be checked.", hint=f"Add one, for example: {example}")


def _report(found: Sequence[Looked]) -> Report:
    checks = [entry for item in found for entry in item.entries()]
    warnings = [{**warned, "message": f"{item.path}: {warned['message']}"} for item in found for warned in item.warnings]
    document = {
        "schema": "lossctl/check/1",
        "version": __version__,
        "command": "check",
        "files": [item.path for item in found],
        "checks": checks,
        "warnings": warnings,
    }
    return Report(COLUMNS, [_row(check) for check in checks], document, bare="result")


def _row(check: Mapping[str, Any]) -> dict[str, Any]:
    from lossctl.gates import WORDS
    from lossctl.report.ci import typed

    if check.get("error"):
        return {"file": check["file"], "result": "error"}
    return {"file": check["file"], "gate": typed(check), "value": check["value"], "result": WORDS[check["passed"]]}


def _worst(found: Sequence[Looked]) -> LossctlError | None:
    """What to exit with; its message holds everything that is no pass."""
    several = len(found) > 1
    failed, undecided = (
        [_said(item, check["message"], several=several) for item in found for check in item.checks if check["passed"] is passed]
        for passed in (False, None)
    )
    errors = [(item, item.error) for item in found if item.error is not None]
    said = [_said(one, error.message, several=several) for one, error in errors]
    hints = [check["hint"] for item in found for check in item.checks if check["passed"] is not True and "hint" in check]
    if failed:
        return GateFailed("; ".join([*failed, *said, *undecided]) + ".")
    if errors:
        first = errors[0][1]
        first.message = "; ".join([*said, *undecided]) + "."
        return first
    return Undecided("; ".join(undecided) + ".", hint="".join(hints[:1])) if undecided else None


def _said(looked: Looked, message: str, *, several: bool) -> str:
    return f"{looked.path}: {message.rstrip('.')}" if several else message.rstrip(".")
