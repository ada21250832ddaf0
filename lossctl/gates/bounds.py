"""Bounds on a value: at most, at least, or close to a number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lossctl.absent import hint_for
from lossctl.errors import BadParameter, near
from lossctl.gates.check import WORDS, Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lossctl.spec import Gate

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
