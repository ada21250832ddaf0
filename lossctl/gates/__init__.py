"""Gates: bounds that a result must keep. They are decided on unrounded values, and say all the digits they decided on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.gates.bounds import WORDS, Check, check_bounds, check_coverage, verdict
from lossctl.gates.changes import RELATIVE, TESTED, Change, check_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.request.spec import Gate

__all__ = [
    "RELATIVE",
    "TESTED",
    "WORDS",
    "Change",
    "Check",
    "check_bounds",
    "check_changes",
    "check_coverage",
    "check_gates",
    "verdict",
]


def check_gates(gates: Iterable[Gate], values: Mapping[str, float], changes: Sequence[Change] = ()) -> list[Check]:
    """Look at every gate: those that bound a value, then those that bound its change from a baseline.

    Raises: BadParameter for a key that no result has, or a bound that is no number; UsageError for a change where there is
    no baseline.
    """
    gates = list(gates)
    return [*check_bounds(gates, values), *check_changes(gates, changes)]
