"""`diagnose`: what is wrong with a training run, by its history of losses; with the curve in one line of signs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import typer

from lossctl import __version__
from lossctl.cli.command import Printed, check_outputs, printed, say, spread, unicode
from lossctl.cli.program import app
from lossctl.errors import BadParameter, GateFailed, LossctlError, near
from lossctl.report import Report
from lossctl.request.options import GATES, HOW, INPUT, Options, Passing, option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lossctl.guides.diagnose.faults import Finding
    from lossctl.guides.diagnose.history import Floats, History, Series


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosing(Options, Passing):
    """What `diagnose` takes."""

    takes: ClassVar = ("in_format", "header")

    loss: str = option("", "--loss COLUMN", INPUT, "The column of the loss.")
    val: str = option("", "--val COLUMN", INPUT, "The column of the validation loss.")
    step: str = option("", "--step COLUMN", INPUT, "The column of the steps.")
    lr: str = option("", "--lr COLUMN", INPUT, "The column of the learning rate.")
    grad_norm: str = option("", "--grad-norm COLUMN", INPUT, "The column of the gradient norm.")
    floor: float | None = option(None, "--floor X", HOW, "The loss that could be reached: tells a plateau from the end.")
    fail_on: str = option("", "--fail-on WHAT", GATES, "Fail (exit 1) on any, error, warning or worse, or CODE[,CODE…].")


@app.command()
@spread
def diagnose(
    history: Annotated[str, typer.Argument(metavar="HISTORY", help="A table or JSON of losses, event files, or - for stdin.")],
    *,
    options: Diagnosing,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """Say what is wrong with a training run, by its history of losses.

    Example: lossctl diagnose history.csv --fail-on error
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    check_outputs(options)
    report, error = run(history, options, say(options), plain=not unicode())
    return printed(report, options, error)


ANY = "any"
COLUMNS = ("code", "severity", "finding", "from", "to", "value", "evidence")


def run(path: str, options: Diagnosing, say: Callable[[str], None], *, plain: bool) -> tuple[Report, LossctlError | None]:
    """Diagnose the history at `path`; `plain` draws its curve without Unicode.

    Returns the report, and the error to exit with where `--fail-on` names a finding.
    Raises: Undecided for a history that is too short; what reading raises.
    """
    from lossctl.guides.diagnose.detectors import diagnose
    from lossctl.guides.diagnose.reading import WantedColumns, read

    failing = _failing(options.fail_on)
    names = {"step": options.step, "loss": options.loss, "val": options.val, "lr": options.lr, "grad_norm": options.grad_norm}
    wordy = getattr(say, "wordy", False)
    history = read(path, WantedColumns(names, options.in_format, options.floor, options.header, wordy))
    for note in history.notes:
        say(note)
    findings = diagnose(history)
    if not findings:
        say(f"no findings in {len(history.loss)} losses")
    return _report(history, findings, plain=plain), _failed(findings, failing)


def _failing(wanted: str) -> frozenset[str]:
    """The codes that `--fail-on` means.

    Raises: BadParameter for a word that is no severity and no code.
    """
    from lossctl.guides.diagnose.faults import FAULTS

    codes: set[str] = set()
    for word in filter(None, (part.strip() for part in wanted.split(","))):
        known = {ANY: set(FAULTS), **_by_severity(), **{code: {code} for code in FAULTS}}
        name = word.lower() if word.lower() in known else word.upper()
        if name not in known:
            raise BadParameter(f"--fail-on knows no '{word}'.", hint=near(word, known, "words"))
        codes |= known[name]
    return frozenset(codes)


def _by_severity() -> dict[str, set[str]]:
    """`error`, and `warning`, which is a warning or worse."""
    from lossctl.guides.diagnose.faults import ERROR, FAULTS, SEVERITIES, WARNING

    worse = {name: SEVERITIES[: SEVERITIES.index(name) + 1] for name in (ERROR, WARNING)}
    return {name: {code for code, fault in FAULTS.items() if fault.severity in upward} for name, upward in worse.items()}


def _failed(findings: Sequence[Finding], failing: frozenset[str]) -> GateFailed | None:
    codes = list(dict.fromkeys(finding.code for finding in findings if finding.code in failing))
    if not codes:
        return None
    return GateFailed(f"--fail-on finds {', '.join(codes)}.", hint=f"lossctl info {codes[0]} explains it.")


def _report(history: History, findings: Sequence[Finding], *, plain: bool) -> Report:
    from lossctl.guides.diagnose.faults import whole

    rows = [
        {
            "code": finding.code,
            "severity": finding.fault.severity,
            "finding": finding.fault.title,
            "from": whole(finding.first),
            "to": whole(finding.last),
            "value": finding.value,
            "evidence": finding.evidence,
        }
        for finding in findings
    ]
    more = [_drawn(history, findings, plain=plain), *_advised(findings)]
    return Report(COLUMNS, rows, _document(history, findings), bare="code", more=more)


def _document(history: History, findings: Sequence[Finding]) -> dict[str, Any]:
    """The machine-readable diagnosis."""
    from lossctl.guides.diagnose.faults import whole

    steps = history.loss.steps
    return {
        "schema": "lossctl/diagnosis/1",
        "version": __version__,
        "command": "diagnose",
        "history": {
            "path": history.name,
            "columns": dict(history.columns),
            "n": len(history.loss),
            "from": whole(float(steps[0])),
            "to": whole(float(steps[-1])),
            "floor": history.floor,
            "notes": list(history.notes),
        },
        "findings": [finding.as_dict() for finding in findings],
    }


def _drawn(history: History, findings: Sequence[Finding], *, plain: bool) -> Report:
    """The curves, and under the loss where each finding is."""
    rows = [_curve(history, "loss", plain=plain)]
    for code in dict.fromkeys(finding.code for finding in findings):
        spans = [(finding.first, finding.last) for finding in findings if finding.code == code]
        rows.append({"": code, "curve": marks(history.loss, spans)})
    rows += [_curve(history, role, plain=plain) for role in ("val", "lr", "grad_norm") if len(getattr(history, role))]
    return Report(("", "curve", "least", "last"), rows, title="the run")


def _curve(history: History, role: str, *, plain: bool) -> dict[str, Any]:
    series = getattr(history, role)
    finite = series.finite().values
    known = {"least": float(finite.min())} if len(finite) else {}
    name = history.columns.get(role, role)
    return {"": name, "curve": sparkline(series, plain=plain), **known, "last": float(series.values[-1])}


def _advised(findings: Sequence[Finding]) -> list[Report]:
    """Causes and remedies of each kind of finding, once."""
    rows = {
        finding.code: {
            "code": finding.code,
            "likely causes": "; ".join(finding.causes),
            "remedies": "; ".join(finding.remedies),
            "source": finding.fault.source,
        }
        for finding in findings
    }
    return [Report(("code", "likely causes", "remedies", "source"), [*rows.values()], title="what to do")] if rows else []


BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-=+*#@"
# With a name and two numbers beside it, it fits into 80 columns.
WIDTH = 40


def sparkline(series: Series, *, plain: bool = False) -> str:
    """Draw medians of a series in up to 40 signs, evenly by count; `x` stands where all values are NaN or infinite.

    Where most of the curve is less than a tenth as high as the rest, as after an explosion, its height is cut there.
    """
    levels = np.array([_level(part) for part in np.array_split(series.values, min(WIDTH, len(series)))])
    finite = levels[np.isfinite(levels)]
    if not len(finite):
        return "x" * len(levels)
    signs = PLAIN if plain else BLOCKS
    low, high = float(finite.min()), _top(finite)
    share = (np.clip(levels, low, high) - low) / ((high - low) or 1.0)
    return "".join("x" if np.isnan(height) else signs[round(height * (len(signs) - 1))] for height in share.tolist())


def marks(series: Series, spans: Iterable[tuple[float, float]]) -> str:
    """Carets below the sparkline of a series, where one of the spans of steps lies."""
    parts = np.array_split(series.steps, min(WIDTH, len(series)))
    # A step between two logged ones belongs to the first part that ends behind it.
    ends = np.array([part[-1] for part in parts])
    signs = [" "] * len(parts)
    for first, last in spans:
        low, high = (min(int(np.searchsorted(ends, step)), len(parts) - 1) for step in (first, last))
        signs[low : high + 1] = "^" * (high + 1 - low)
    return "".join(signs).rstrip()


def _level(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def _top(levels: Floats) -> float:
    """The height of the drawing."""
    low, high = float(levels.min()), float(levels.max())
    usual = float(np.quantile(levels, 0.9))
    return usual if usual > low and high - low > 10 * (usual - low) else high
