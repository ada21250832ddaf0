"""What a report says of its gates, for the formats that CI systems read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.render.cells import exact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.report import Report

WORDS = {True: "passed", False: "failed", None: "undecided"}
# How a person sees at a glance what needs looking at.
SEEN = {"passed": "pass", "failed": "FAIL", "undecided": "undecided", "error": "ERROR"}


@dataclass(frozen=True)
class Verdict:
    """One gate, or one result without any: `word` is passed, failed, undecided, or error where nothing was computed."""

    name: str
    word: str
    message: str
    kind: str
    file: str = ""
    value: str = ""


def command(report: Report) -> str:
    """What the report is of."""
    return f"lossctl {report.document.get('command', 'result')}"


def verdicts(report: Report) -> list[Verdict]:
    """Every gate of the report; where it has none, every result has passed by being there."""
    checks = report.document.get("checks", ())
    return [_gate(check) for check in checks] or [_result(result) for result in report.document.get("results", ())]


def _gate(check: Mapping[str, Any]) -> Verdict:
    if "check" in check:
        word = check["result"] if check["result"] in SEEN else "passed"
        return Verdict(f"{check['loss']} {check['check']}", word, check["detail"], "GateFailed")
    file = check.get("file", "")
    if check.get("error"):
        return Verdict("error", "error", check["message"], check["error"]["kind"], file)
    word = WORDS[check["passed"]]
    return Verdict(typed(check), word, check["message"], "GateFailed", file, exact(check["value"]))


def typed(check: Mapping[str, Any]) -> str:
    """A gate as one would type it: `mse max 0.1`, `mse of new max_abs 0.01 noninf`."""
    whose = f"{check['key']} of {check['system']}" if check.get("system") else check["key"]
    how = check.get("require", "")
    return " ".join(filter(None, [whose, check["kind"], exact(check["bound"]) if check["kind"] != "require" else "", how]))


def _result(result: Mapping[str, Any]) -> Verdict:
    whose = f"[{result['system']}]" if "system" in result else ""
    group = f"@{result['group']}" if "group" in result else ""
    name, value = f"{result.get('name', result['loss'])}{whose}{group}", exact(result["value"])
    shown = "unreduced" if isinstance(result["value"], list) else value
    return Verdict(name, "passed", f"{name} = {shown}", "Result", value=shown)
