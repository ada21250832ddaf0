"""The parameters that a recommended loss should have here, each with the sentence that says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.recommendation.answering import TASK
from lossctl.recommendation.conditions import all_hold
from lossctl.recommendation.loading import settings
from lossctl.recommendation.settings import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lossctl.recommendation.models import Setting
    from lossctl.recommendation.settings import Value

# Digits of a computed parameter: more would not be known from data.
DIGITS = 4


@dataclass(frozen=True)
class Derived:
    """One parameter with its value, a number or a list, rounded to four digits."""

    param: str
    value: float | list[float]
    rule: str
    because: str
    source: str

    def as_dict(self) -> dict[str, Any]:
        """The parameter for machines."""
        return {
            "param": self.param,
            "value": self.value,
            "rule": self.rule,
            "because": self.because,
            "source": self.source,
        }


def derive(loss: str, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> list[Derived]:
    """Compute what can be computed for a loss, at most one value for each parameter."""
    found: dict[str, Derived] = {}
    for setting, value in _values(loss, facts, answers):
        shown = _rounded(value)
        because = setting.because.format(value=written(shown))
        found.setdefault(setting.param, Derived(setting.param, shown, setting.id, because, setting.source))
    return list(found.values())


def _values(loss: str, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> Iterator[tuple[Setting, float | list[float]]]:
    for setting in settings():
        fits = not setting.task or answers.get(TASK) in setting.task
        if loss in setting.loss and fits and all_hold(setting.when, facts, answers):
            value: Value = FUNCTIONS[setting.by](facts, answers)
            if value is not None:
                yield setting, value


def _rounded(value: float | list[float]) -> float | list[float]:
    if isinstance(value, list):
        return [float(f"{one:.{DIGITS}g}") for one in value]
    return float(f"{value:.{DIGITS}g}")


def written(value: float | list[float]) -> str:
    """A parameter as one types it: `1.345`, `1,2,4`."""
    return ",".join(f"{one:.{DIGITS}g}" for one in value) if isinstance(value, list) else f"{value:.{DIGITS}g}"
