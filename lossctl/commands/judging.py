"""The gates of a report: looked at once its values are known, and written into it, so that every format shows them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from lossctl.commands.baseline import changes_between, changes_of
from lossctl.commands.saved import Saved, load, renamed
from lossctl.errors import UsageError
from lossctl.gates import RELATIVE, Check, check_bounds, check_changes, check_coverage, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.advice import Warned
    from lossctl.errors import LossctlError
    from lossctl.gates import Change
    from lossctl.report import Report
    from lossctl.spec import Gate, Spec

# The level of tests unless one is named.
DEFAULT = 0.05


def judged(  # noqa: PLR0913, PLR0917 - everything that may fail a run
    report: Report,
    spec: Spec,
    values: Mapping[str, float],
    coverage: float,
    warned: Sequence[Warned] = (),
    own: Sequence[Check] = (),
) -> tuple[Report, LossctlError | None]:
    """Return the report with every check in it, the command's own last, and the error to exit with.

    Raises: BadParameter, UsageError for gates that fit no result, and what reading the baseline raises.
    """
    now = Saved("this result", report.document)
    gates = decided(spec.gates, values, now, spec.against, spec.alpha)
    return with_checks(report, [*gates, *_others(spec, coverage, warned), *own])


def decided(gates: Sequence[Gate], values: Mapping[str, float], now: Saved, against: str, alpha: float | None) -> list[Check]:
    """Look at every gate: bounds by `values`, changes by the baseline `against`, or by that of a comparison.

    Raises: as `judged`.
    """
    changes = _changes(now, gates, against, alpha) if any(gate.kind in RELATIVE for gate in gates) else []
    names = {name for change in changes for name in (change.key, *change.aliases)}
    return check_bounds(gates, values) + check_changes(renamed(gates, names), changes)


def _changes(now: Saved, gates: Sequence[Gate], against: str, alpha: float | None) -> list[Change]:
    """What a result is judged by. A comparison has made its intervals for one level.

    Raises: UsageError for another one, and what reading the baseline raises.
    """
    if against:
        return changes_between(now, load(against), gates, DEFAULT if alpha is None else alpha)
    made = re.search(r"\balpha:([^|]+)", str(now.document.get("signature", "")))
    level = float(made[1]) if made else DEFAULT
    if alpha is not None and alpha != level:
        message = f"{now.name} was compared at alpha {level:g}, and its intervals say nothing at {alpha:g}."
        raise UsageError(message, hint=f"Compare again with --alpha {alpha:g}.")
    return changes_of(now.document.get("comparisons", ()), level)


def _others(spec: Spec, coverage: float, warned: Sequence[Warned]) -> list[Check]:
    """What is no gate of one value: `--min-coverage`, and `--strict`, which makes failures of warnings."""
    found = check_coverage(coverage, spec.options.min_coverage)
    if spec.options.strict and warned:
        codes = ", ".join(dict.fromkeys(one.code for one in warned))
        message = f"--strict turns warnings into failures: {codes}"
        hint = f"lossctl info {warned[0].code} explains it."
        found.append(Check("warnings", "strict", 0.0, float(len(warned)), passed=False, message=message, hint=hint))
    return found


def with_checks(report: Report, checks: Sequence[Check]) -> tuple[Report, LossctlError | None]:
    """The report with its checks, and the error to exit with."""
    document = {**report.document, "checks": [check.as_dict() for check in checks]}
    return replace(report, document=document), verdict(checks)
