"""A whole recommendation: the path of answers, the losses in order with all that acting on them needs, and what to leave.

Rules are applied to the catalogue: weights for and against each loss, with a sentence for each.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lossctl.guides.recommend import deriving
from lossctl.guides.recommend.answers import ASSUMED, DATA, TASK, Answered, Answers, answered, applies, sentence
from lossctl.guides.recommend.deriving import Derived, Evidence, derive, evidence, known_of
from lossctl.guides.recommend.knowledge import Path, Rule, rules, walk
from lossctl.losses import catalogue
from lossctl.request.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lossctl.guides.recommend.answers import Ask
    from lossctl.losses.loss import Domain, Loss
    from lossctl.sources.readers import Reader


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
class RatedLoss:
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
class RatedLosses:
    """Losses in order, the best first; and those that are not to be taken, with what speaks against them."""

    best: Sequence[RatedLoss]
    others: Sequence[RatedLoss]
    fired: Sequence[str]


def rank(facts: Mapping[str, Any], answers: Mapping[str, Any]) -> RatedLosses:
    """Apply all rules. A loss that the target's values do not fit is no candidate, whatever its score."""
    rated: dict[str, RatedLoss] = {}
    fired = [rule for rule in rules() if not rule.concludes and applies(rule, facts, answers)]
    for rule in fired:
        for name, reason in _weights(rule, facts, answers):
            candidate = rated.setdefault(name, RatedLoss(catalogue()[name]))
            candidate.reasons.append(reason)
            if rule.note and reason.weight > 0:
                candidate.notes.append(Reason(rule.id, rule.note, 0.0, rule.source))
    for candidate in rated.values():
        _check_domain(candidate, facts, answers)
    kept = [loss for loss in rated.values() if loss.fits and loss.score > 0]
    best = sorted(kept, key=lambda loss: -loss.score)[:SHOWN]
    # Stable sorting keeps the order of the rules, which name the most usual loss first.
    others = [loss for loss in rated.values() if loss not in best and loss.against]
    others.sort(key=lambda loss: not loss.loss.torch)
    return RatedLosses(best, others, [rule.id for rule in fired])


def _weights(rule: Rule, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> Iterator[tuple[str, Reason]]:
    text = sentence(rule.because, facts, answers)
    for name, weight in rule.prefer.items():
        yield name, Reason(rule.id, text, weight, rule.source)
    text = sentence(rule.against or rule.because, facts, answers)
    for name, weight in rule.avoid.items():
        yield name, Reason(rule.id, text, -weight, rule.source)


def _check_domain(candidate: RatedLoss, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
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


# How many losses are spoken against.
AGAINST = 5
# What people try first: its numbers on a prediction are shown also where it is not recommended.
POPULAR = frozenset({"mse", "l1", "cross_entropy", "bce_with_logits"})
# What the last layer must do where a parameter, and not the loss alone, decides it.
BY_PARAMETER: dict[tuple[str, str], tuple[Callable[[Any], bool], str]] = {
    ("tweedie_deviance", "power"): (lambda power: power >= 1, "softplus or exp: numbers > 0"),
    ("poisson_nll", "log_input"): (lambda logs: not logs, "softplus or exp: rates >= 0"),
}
# With fewer samples the facts are little more than noise.
ENOUGH = 50


@dataclass(frozen=True)
class Recommended:
    """One recommended loss: its score with reasons, and what acting on it needs."""

    candidate: RatedLoss
    derived: Sequence[Derived]
    sources: Sequence[str]

    @property
    def name(self) -> str:
        """The loss."""
        return self.candidate.loss.name

    @property
    def activation(self) -> str:
        """What the network must end in."""
        for (loss, param), (holds, needs) in BY_PARAMETER.items():
            if loss == self.name and any(parameter.param == param and holds(parameter.value) for parameter in self.derived):
                return needs
        return self.candidate.loss.signature.inputs[0].word.needs

    @property
    def command(self) -> str:
        """The line that computes it."""
        return deriving.command(self.candidate.loss, self.derived, self.sources)

    @property
    def pitfalls(self) -> list[str]:
        """What people get wrong with it, and what the rules add."""
        return [*(note.text for note in self.candidate.notes), *self.candidate.loss.doc.pitfalls]

    def as_dict(self) -> dict[str, Any]:
        """The choice for machines."""
        loss = self.candidate.loss
        return {
            "loss": loss.name,
            "score": self.candidate.score,
            "because": [reason.as_dict() for reason in self.candidate.favour],
            "against": [reason.as_dict() for reason in self.candidate.against],
            "activation": self.activation,
            "parameters": [parameter.as_dict() for parameter in self.derived],
            "pitfalls": self.pitfalls,
            "command": self.command,
            "torch": deriving.torch_line(loss, self.derived) or None,
            "keras": deriving.keras_line(loss, self.derived) or None,
            "objectives": deriving.objectives(loss),
        }


@dataclass(frozen=True)
class Advice:
    """What `recommend` found."""

    answers: Answers
    facts: Mapping[str, Any]
    choices: Sequence[Recommended]
    ranking: RatedLosses
    path: Path | None
    evidence: Sequence[Evidence] = ()

    @property
    def assumed(self) -> list[Answered]:
        """Answers that nobody gave."""
        return [answer for answer in self.answers.path if answer.how == ASSUMED]

    @property
    def uncertain(self) -> bool:
        """Whether there are too few samples for their facts to say much."""
        return bool(self.facts) and self.facts["n"] < ENOUGH

    @property
    def doubtful(self) -> bool:
        """Whether what was taken for classes may be counts."""
        by_data = any(answer.question == TASK and answer.how == DATA for answer in self.answers.path)
        return by_data and self.answers.task == "multiclass" and bool(self.facts.get("also_counts"))

    def why_not(self) -> list[tuple[str, Reason]]:
        """Losses that people would try, each with the weightiest reason against it."""
        return [(rated.loss.name, rated.against[0]) for rated in self.ranking.others[:AGAINST]]


def advise(  # noqa: PLR0913 - everything that an answer depends on
    given: Mapping[str, Any],
    *,
    target: Reader | None = None,
    pred: Reader | None = None,
    sources: Sequence[str] = (),
    ask: Ask | None = None,
    options: Options | None = None,
) -> Advice:
    """Recommend losses from answers, a target and a prediction, as far as each is there.

    Raises: UsageError with nothing to go on; NothingLeft and OutOfDomain for targets that nothing can be learnt from.
    """
    facts = known_of(target, pred) if target is not None else {}
    answers = answered(given, facts, ask)
    ranking = rank(facts, answers.values)
    choices = [Recommended(rated, derive(rated.loss.name, facts, answers.values), sources) for rated in ranking.best]
    advice = Advice(answers, facts, choices, ranking, walk(answers.values))
    if pred is None or target is None:
        return advice
    return replace(advice, evidence=_judged(advice, pred, target, options or Options(nan="skip")))


def _judged(advice: Advice, pred: Reader, target: Reader, options: Options) -> list[Evidence]:
    """Evidence for what is recommended and for what is not, where the values allow it at all."""
    named = [(choice.candidate.loss, choice.derived) for choice in advice.choices]
    values = advice.answers.values
    others = [rated.loss for rated in advice.ranking.others if rated.fits and rated.loss.name in POPULAR]
    named += [(loss, derive(loss.name, advice.facts, values)) for loss in others]
    return [evidence(loss, derived, advice.facts, pred, target, options) for loss, derived in named]
