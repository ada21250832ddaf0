"""Answers as they were typed, checked against the questions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lossctl.errors import BadParameter, near
from lossctl.recommendation.loading import questions

if TYPE_CHECKING:
    from collections.abc import Mapping


def given_answers(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Answers by question, of what was typed by question; None is no answer, True and False are yes and no.

    Raises: BadParameter for a word that is no answer, a cost that is not above 0, or a quantile outside of (0, 1).
    """
    return {name: _answer(name, value) for name, value in typed.items() if value is not None}


def _answer(name: str, value: Any) -> Any:
    question = questions()[name]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "quantiles":
        return _quantiles(str(value))
    if not question.words:
        return _cost(question.flag, float(value))
    if value not in question.words:
        message = f"{question.flag} knows no '{value}'."
        raise BadParameter(message, hint=near(value, question.words, "answers"))
    return value


def _cost(flag: str, value: float) -> float:
    if not 0 < value < math.inf:
        message = f"{flag} is {value:g}, and a cost must be a number above 0."
        raise BadParameter(message, hint="Only the ratio of both costs counts: --over-cost 1 --under-cost 4")
    return value


def _quantiles(text: str) -> list[float]:
    try:
        found = sorted(float(one) for one in text.split(","))
    except ValueError:
        found = []
    if not found or not all(0 < one < 1 for one in found):
        message = f"--quantiles takes numbers between 0 and 1 with commas, not '{text}'."
        raise BadParameter(message, hint="For example: --quantiles 0.05,0.5,0.95")
    return found
