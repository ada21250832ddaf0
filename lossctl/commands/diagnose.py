"""`diagnose`: what is wrong with a training run, by its history of losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lossctl import __version__
from lossctl.diagnosis.faults import ERROR, FAULTS, SEVERITIES, WARNING
from lossctl.diagnosis.finding import whole
from lossctl.diagnosis.judging import diagnose
from lossctl.diagnosis.reading import Wanted, read
from lossctl.diagnosis.sparkline import marks, sparkline
from lossctl.errors import BadParameter, GateFailed, near
from lossctl.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.cli.diagnosing import Diagnosing
    from lossctl.diagnosis.finding import Finding
    from lossctl.diagnosis.history import History
    from lossctl.errors import LossctlError

ANY = "any"
COLUMNS = ("code", "severity", "finding", "from", "to", "value", "evidence")


def run(path: str, options: Diagnosing, say: Callable[[str], None], *, plain: bool) -> tuple[Report, LossctlError | None]:
    """Diagnose the history at `path`; `plain` draws its curve without Unicode.

    Returns the report, and the error to exit with where `--fail-on` names a finding.
    Raises: Undecided for a history that is too short; what reading raises.
    """
    failing = _failing(options.fail_on)
    names = {"step": options.step, "loss": options.loss, "val": options.val, "lr": options.lr, "grad_norm": options.grad_norm}
    wordy = getattr(say, "wordy", False)
    history = read(path, Wanted(names, options.in_format, options.floor, options.header, wordy))
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
    codes: set[str] = set()
    for word in filter(None, (part.strip() for part in wanted.split(","))):
        known = {ANY: set(FAULTS), **_by_severity(), **{code: {code} for code in FAULTS}}
        name = word.lower() if word.lower() in known else word.upper()
        if name not in known:
            message = f"--fail-on knows no '{word}'."
            raise BadParameter(message, hint=near(word, known, "words"))
        codes |= known[name]
    return frozenset(codes)


def _by_severity() -> dict[str, set[str]]:
    """`error`, and `warning`, which is a warning or worse."""
    worse = {name: SEVERITIES[: SEVERITIES.index(name) + 1] for name in (ERROR, WARNING)}
    return {name: {code for code, fault in FAULTS.items() if fault.severity in upward} for name, upward in worse.items()}


def _failed(findings: Sequence[Finding], failing: frozenset[str]) -> GateFailed | None:
    codes = list(dict.fromkeys(one.code for one in findings if one.code in failing))
    if not codes:
        return None
    return GateFailed(f"--fail-on finds {', '.join(codes)}.", hint=f"lossctl info {codes[0]} explains it.")


def _report(history: History, findings: Sequence[Finding], *, plain: bool) -> Report:
    rows = [
        {
            "code": one.code,
            "severity": one.fault.severity,
            "finding": one.fault.title,
            "from": whole(one.first),
            "to": whole(one.last),
            "value": one.value,
            "evidence": one.evidence,
        }
        for one in findings
    ]
    more = [_drawn(history, findings, plain=plain), *_advised(findings)]
    return Report(COLUMNS, rows, _document(history, findings), bare="code", more=more)


def _document(history: History, findings: Sequence[Finding]) -> dict[str, Any]:
    """The machine-readable diagnosis."""
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
        "findings": [one.as_dict() for one in findings],
    }


def _drawn(history: History, findings: Sequence[Finding], *, plain: bool) -> Report:
    """The curves, and under the loss where each finding is."""
    rows = [_curve(history, "loss", plain=plain)]
    for code in dict.fromkeys(one.code for one in findings):
        spans = [(one.first, one.last) for one in findings if one.code == code]
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
        one.code: {
            "code": one.code,
            "likely causes": "; ".join(one.causes),
            "remedies": "; ".join(one.remedies),
            "source": one.fault.source,
        }
        for one in findings
    }
    return [Report(("code", "likely causes", "remedies", "source"), [*rows.values()], title="what to do")] if rows else []
