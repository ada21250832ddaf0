"""Which candidates agree with a number, in which order, and how many would by chance."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from lossctl.frameworks import FRAMEWORKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.blocks import NumPyArray
    from lossctl.identification.passes import Trial
    from lossctl.identification.reductions import Reduced
    from lossctl.identification.reported import Reported

# Values that agree to this many digits are one number.
SAME = 10
# How far around a number values are counted, as a factor, to say how dense they are.
AROUND = 1.5


@dataclass(frozen=True)
class Candidate:
    """One number that the data give: the trial, what was made of it, and everything that departs from the plain reading."""

    trial: Trial
    reduced: Reduced
    says: tuple[str, ...]

    @property
    def value(self) -> float:
        """The number."""
        return self.reduced.value

    @property
    def cost(self) -> int:
        """How many things depart."""
        return len(self.says)


@dataclass
class Match:
    """A candidate, how far off it is, the chance of such a match, and other ways to the same number."""

    candidate: Candidate
    error: float
    agrees: bool
    chance: float | None = None
    same: list[Candidate] = field(default_factory=list)


@dataclass(frozen=True)
class Ranked:
    """What agrees, best first; the nearest of the rest; how many candidates, and different values, were tried.

    `chance` is how many of these values would agree with any number of this size by chance.
    """

    matches: Sequence[Match]
    nearest: Sequence[Match]
    tried: int
    distinct: int
    chance: float | None


def rank(candidates: Sequence[Candidate], reported: Reported) -> Ranked:
    """Rank candidates: fewest departures first, then what people know, then the nearest."""
    singly = [one for one in candidates if not reported.agrees(one.value) and reported.agrees_singly(one.value)]
    agreeing = [one for one in candidates if reported.agrees(one.value)]
    agreeing += [replace(one, says=(*one.says, "float32, as far as it carries")) for one in singly]
    crowd = Crowd.of(candidates, reported)
    matches = _grouped(sorted(agreeing, key=lambda one: _key(one, reported)), reported)
    for match in matches:
        match.chance = crowd.chance(match.candidate.cost)
    others = sorted((one for one in candidates if math.isfinite(one.value)), key=lambda one: reported.error(one.value))
    distinct = len({_rounded(one.value) for one in candidates})
    return Ranked(matches, [] if matches else _grouped(others, reported), len(candidates), distinct, crowd.chance())


def _key(one: Candidate, reported: Reported) -> tuple[int, int, float]:
    return one.cost, _unknown(one.trial.bound.loss.name, one.trial.bound.loss.torch), round(reported.error(one.value), 12)


def _unknown(name: str, torch: str) -> int:
    """How little a loss is known: torch has it, others have it, or only books do."""
    return 0 if torch or name == "rmse" else 2 - (_frameworks()[name] > 0)


@cache
def _frameworks() -> Counter[str]:
    return Counter(ours.partition(":")[0] for table in FRAMEWORKS.values() for ours in table.values())


def _rounded(value: float) -> str:
    # Adding 0 makes -0 the same as 0.
    return f"{value + 0.0:.{SAME}g}"


def _grouped(ordered: Sequence[Candidate], reported: Reported) -> list[Match]:
    """One match for each different number; what is not finite stands for itself."""
    found: dict[str, Match] = {}
    for number, one in enumerate(ordered):
        key = _rounded(one.value) if math.isfinite(one.value) else str(number)
        if key in found:
            found[key].same.append(one)
        else:
            found[key] = Match(one, reported.error(one.value), reported.agrees(one.value))
    return list(found.values())


@dataclass(frozen=True)
class Crowd:
    """The values around a reported number, each once with its fewest departures, and the share that would agree by chance."""

    costs: NumPyArray
    share: float | None

    @staticmethod
    def of(candidates: Sequence[Candidate], reported: Reported) -> Crowd:
        """Count the values of the same sign within a factor of AROUND of the number."""
        size = abs(reported.value)
        if not (size and math.isfinite(size) and reported.half):
            return Crowd(np.zeros(0), None)
        near: dict[str, int] = {}
        for one in candidates:
            if one.value * reported.value > 0 and size / AROUND < abs(one.value) < size * AROUND:
                key = _rounded(one.value)
                near[key] = min(near.get(key, one.cost), one.cost)
        # Values of losses are spread evenly over orders of magnitude rather than over numbers.
        width = min(2 * reported.half / size, 2 * math.log(AROUND))
        return Crowd(np.array(list(near.values())), width / (2 * math.log(AROUND)))

    def chance(self, cost: int | None = None) -> float | None:
        """How many values would agree by chance, of those with at most `cost` departures."""
        if self.share is None:
            return None
        return self.share * float(self.costs.size if cost is None else (self.costs <= cost).sum())
