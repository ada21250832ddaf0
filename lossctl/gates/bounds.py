"""What came of a gate, and the error to exit with.

Bounds on a value: at most, at least, or close to a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lossctl.errors import BadParameter, GateFailed, LossctlError, Undecided, near
from lossctl.losses.absent import hint_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.request.spec import Gate


FIELDS = ("key", "kind", "bound", "value", "passed", "message")
WORDS = {True: "passed", False: "failed", None: "undecided"}


@dataclass(frozen=True)
class Check:
    """A gate that was looked at; `passed` is None where the data cannot decide it.

    `more` is what it was decided on besides the value; `hint` is the command that would decide it.
    """

    key: str
    kind: str
    bound: float
    value: float
    passed: bool | None
    message: str
    more: Mapping[str, Any] = field(default_factory=dict)
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the result's `checks`."""
        hint = {"hint": self.hint} if self.hint else {}
        return {**{name: getattr(self, name) for name in FIELDS}, **self.more, **hint}


def verdict(checks: Sequence[Check]) -> LossctlError | None:
    """The error to exit with: a failed gate before one that is undecided, and None when all passed."""
    failed = [check for check in checks if check.passed is False]
    undecided = [check for check in checks if check.passed is None]
    if not failed and not undecided:
        return None
    kind, said = (GateFailed, failed) if failed else (Undecided, undecided)
    hint = next((check.hint for check in said if check.hint), "")
    return kind("; ".join(check.message for check in said) + ".", hint=hint)


ABSOLUTE = ("max", "min", "expect")


def check_bounds(gates: Iterable[Gate], values: Mapping[str, float], system: str = "") -> list[Check]:
    """Look at every gate that bounds a value; `system` names whose values these are, where there are several.

    Raises: BadParameter for a key that no result has, or a bound that is no number.
    """
    return [_check(_bounded(gate), _find(gate, values), system) for gate in gates if gate.kind in ABSOLUTE]


def _bounded(gate: Gate) -> Gate:
    if not math.isfinite(gate.rtol + gate.atol):
        message = f"The gate --expect {gate.key} has a tolerance of {gate.rtol + gate.atol}, which bounds nothing."
        raise BadParameter(message, hint="Give --rtol and --atol finite numbers.")
    if math.isnan(gate.bound):
        message = f"The gate --{gate.kind} {gate.key}=nan bounds nothing: no number compares with nan."
        raise BadParameter(message, hint="Give a number, or inf.")
    return gate


def _find(gate: Gate, values: Mapping[str, float]) -> float:
    key = gate.key
    if not values:
        message = f"A gate bounds one number, and with --reduction none '{key}' has one for each element."
        raise BadParameter(message, hint="Leave out the gate, or use another reduction.")
    if key not in values:
        message = f"There is no result '{key}' that a gate could bound."
        raise BadParameter(
            message, hint=hint_for(key, gate.kind, repr(gate.bound), values) or near(key, values, "results", quantities=True)
        )
    return values[key]


def _check(gate: Gate, value: float, system: str) -> Check:
    relation, passed = _decide(gate, value)
    whose = f"{gate.key} of {system}" if system else gate.key
    message = f"gate {WORDS[passed]}: {whose} = {value!r}, wanted {relation}"
    return Check(gate.key, gate.kind, gate.bound, value, passed, message, {"system": system} if system else {})


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
