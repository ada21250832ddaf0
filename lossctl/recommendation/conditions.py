"""Whether a condition of a rule holds for what is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lossctl.recommendation.models import Condition


def unknown(value: Any) -> bool:
    """Whether a fact or an answer says nothing: it is missing, or not a number."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def holds(condition: Condition, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> bool:
    """Whether what is known satisfies a condition; what is not known satisfies none."""
    value = (answers if condition.answer else facts).get(condition.name)
    if unknown(value):
        return False
    if condition.equal is not None and value != condition.equal:
        return False
    if condition.among is not None and value not in condition.among:
        return False
    return all(_within(value, condition))


def _within(value: Any, condition: Condition) -> Iterable[bool]:
    yield condition.above is None or value > condition.above
    yield condition.below is None or value < condition.below
    yield condition.at_least is None or value >= condition.at_least
    yield condition.at_most is None or value <= condition.at_most


def all_hold(conditions: Iterable[Condition], facts: Mapping[str, Any], answers: Mapping[str, Any]) -> bool:
    """Whether all do."""
    return all(holds(one, facts, answers) for one in conditions)
