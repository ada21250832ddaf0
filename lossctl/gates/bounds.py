"""Gates: bounds that a result must keep. They are decided on unrounded values, and say all the digits they decided on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.errors import BadParameter, GateFailed, LossctlError, Undecided, near

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.spec import Gate


@dataclass(frozen=True)
class Check:
    """A gate that was looked at; `passed` is None where the data cannot decide it."""

    key: str
    kind: str
    bound: float
    value: float
    passed: bool | None
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the result's `checks`."""
        return {
            "key": self.key,
            "kind": self.kind,
            "bound": self.bound,
            "value": self.value,
            "passed": self.passed,
            "message": self.message,
        }


def check_gates(gates: Iterable[Gate], values: Mapping[str, float]) -> list[Check]:
    """Look at every gate.

    Raises: BadParameter for a key that no result has, or a bound that is no number.
    """
    return [_check(_bounded(gate), _find(gate.key, values)) for gate in gates]


def _bounded(gate: Gate) -> Gate:
    if not math.isfinite(gate.rtol + gate.atol):
        message = f"The gate --expect {gate.key} has a tolerance of {gate.rtol + gate.atol}, which bounds nothing."
        raise BadParameter(message, hint="Give --rtol and --atol finite numbers.")
    if math.isnan(gate.bound):
        message = f"The gate --{gate.kind} {gate.key}=nan bounds nothing: no number compares with nan."
        raise BadParameter(message, hint="Give a number, or inf.")
    return gate


def _find(key: str, values: Mapping[str, float]) -> float:
    if not values:
        message = f"A gate bounds one number, and with --reduction none '{key}' has one for each element."
        raise BadParameter(message, hint="Leave out the gate, or use another reduction.")
    if key not in values:
        message = f"There is no result '{key}' that a gate could bound."
        raise BadParameter(message, hint=near(key, values, "results"))
    return values[key]


def _check(gate: Gate, value: float) -> Check:
    relation, passed = _decide(gate, value)
    verdict = {True: "passed", False: "failed", None: "undecided"}[passed]
    message = f"gate {verdict}: {gate.key} = {value!r}, wanted {relation}"
    return Check(gate.key, gate.kind, gate.bound, value, passed, message)


def _decide(gate: Gate, value: float) -> tuple[str, bool | None]:
    relations = {
        "max": (f"<= {gate.bound!r}", value <= gate.bound),
        "min": (f">= {gate.bound!r}", value >= gate.bound),
        "expect": (
            f"{gate.bound!r} within rtol {gate.rtol:g}, atol {gate.atol:g}",
            value == gate.bound or abs(value - gate.bound) <= gate.atol + gate.rtol * abs(gate.bound) < math.inf,
        ),
    }
    relation, passed = relations[gate.kind]
    return relation, None if math.isnan(value) else passed


def check_coverage(coverage: float, least: float) -> list[Check]:
    """Look at `--min-coverage`: too few samples decide nothing."""
    if coverage >= least:
        return []
    digits = 1 if f"{coverage:.1%}" != f"{least:.1%}" else 12
    share, wanted = f"{coverage:.{digits}%}", f"{least:.{digits}%}"
    message = f"undecided: only {share} of the samples could be used, fewer than --min-coverage {wanted}"
    return [Check("coverage", "min_coverage", least, coverage, None, message)]


def verdict(checks: Sequence[Check]) -> LossctlError | None:
    """The error to exit with: a failed gate before one that is undecided, and None when all passed."""
    failed = [check.message for check in checks if check.passed is False]
    undecided = [check.message for check in checks if check.passed is None]
    if failed:
        return GateFailed("; ".join(failed) + ".")
    return Undecided("; ".join(undecided) + ".") if undecided else None
