"""Rules applied to the catalogue: weights for and against each loss, with a sentence for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lossctl.losses import catalogue
from lossctl.recommendation.answering import TASK, applies, sentence
from lossctl.recommendation.loading import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lossctl.loss import Loss
    from lossctl.recommendation.models import Rule
    from lossctl.signature import Domain

# How many losses are recommended.
SHOWN = 5
# The rule that is no row of the table: the registry's own domains against the target's values.
DOMAIN = "registry.domain"
# Tasks whose targets stand in the file as their losses take them.
AS_GIVEN = frozenset(
    {"regression", "positive", "count", "proportion", "quantile", "forecast", "binary", "multilabel", "segmentation", "image"}
)


@dataclass(frozen=True)
class Reason:
    """Why a loss gained or lost weight: the sentence, and the rule it comes from."""

    rule: str
    text: str
    weight: float
    source: str

    def as_dict(self) -> dict[str, Any]:
        """The reason for machines."""
        return {"rule": self.rule, "text": self.text, "weight": self.weight, "source": self.source}


@dataclass
class Candidate:
    """A loss that some rule spoke of."""

    loss: Loss
    reasons: list[Reason] = field(default_factory=list)
    notes: list[Reason] = field(default_factory=list)
    fits: bool = True

    @property
    def score(self) -> float:
        """The sum of all weights."""
        return sum(reason.weight for reason in self.reasons)

    @property
    def against(self) -> list[Reason]:
        """What speaks against it, the weightiest first."""
        return sorted((reason for reason in self.reasons if reason.weight < 0), key=lambda reason: reason.weight)

    @property
    def favour(self) -> list[Reason]:
        """What speaks for it, the weightiest first."""
        return sorted((reason for reason in self.reasons if reason.weight > 0), key=lambda reason: -reason.weight)


@dataclass(frozen=True)
class Ranking:
    """Losses in order, the best first; and those that are not to be taken, with what speaks against them."""

    best: Sequence[Candidate]
    others: Sequence[Candidate]
    fired: Sequence[str]


def rank(facts: Mapping[str, Any], answers: Mapping[str, Any]) -> Ranking:
    """Apply all rules. A loss that the target's values do not fit is no candidate, whatever its score."""
    found: dict[str, Candidate] = {}
    fired = [rule for rule in rules() if not rule.concludes and applies(rule, facts, answers)]
    for rule in fired:
        for name, reason in _weights(rule, facts, answers):
            candidate = found.setdefault(name, Candidate(catalogue()[name]))
            candidate.reasons.append(reason)
            if rule.note and reason.weight > 0:
                candidate.notes.append(Reason(rule.id, rule.note, 0.0, rule.source))
    for candidate in found.values():
        _check_domain(candidate, facts, answers)
    kept = [one for one in found.values() if one.fits and one.score > 0]
    best = sorted(kept, key=lambda one: -one.score)[:SHOWN]
    # Stable sorting keeps the order of the rules, which name the most usual loss first.
    others = sorted((one for one in found.values() if one not in best and one.against), key=lambda one: not one.loss.torch)
    return Ranking(best, others, [rule.id for rule in fired])


def _weights(rule: Rule, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> Iterator[tuple[str, Reason]]:
    text = sentence(rule.because, facts, answers)
    for name, weight in rule.prefer.items():
        yield name, Reason(rule.id, text, weight, rule.source)
    text = sentence(rule.against or rule.because, facts, answers)
    for name, weight in rule.avoid.items():
        yield name, Reason(rule.id, text, -weight, rule.source)


def _check_domain(candidate: Candidate, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
    word = next((argument.word for argument in candidate.loss.signature.inputs if argument.name == "target"), None)
    if word is None or answers.get(TASK) not in AS_GIVEN or facts.get("low") is None:
        return
    low, high = float(facts["low"]), float(facts["high"])
    if _holds(word.domain, low, high, facts.get("levels")):
        return
    text = f"{candidate.loss.name} takes {word.says}, and the target goes from {low:g} to {high:g}."
    candidate.reasons.append(Reason(DOMAIN, text, -10.0, candidate.loss.source))
    candidate.fits = False


def _holds(domain: Domain, low: float, high: float, levels: Sequence[float] | None) -> bool:
    if domain.values:
        return levels is not None and {*levels} <= {*domain.values}
    return domain.holds(low, high)
