"""A whole recommendation: the path of answers, the losses in order with all that acting on them needs, and what to leave."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lossctl.recommendation import snippets
from lossctl.recommendation.answering import ASSUMED, DATA, TASK, answered
from lossctl.recommendation.deriving import derive
from lossctl.recommendation.evidence import evidence
from lossctl.recommendation.known import known_of
from lossctl.recommendation.scoring import rank
from lossctl.recommendation.tree import walk
from lossctl.spec import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.blocks import Reader
    from lossctl.recommendation.answering import Answered, Answers, Ask
    from lossctl.recommendation.deriving import Derived
    from lossctl.recommendation.evidence import Evidence
    from lossctl.recommendation.scoring import Candidate, Ranking, Reason
    from lossctl.recommendation.tree import Path

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
class Choice:
    """One recommended loss: its score with reasons, and what acting on it needs."""

    candidate: Candidate
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
            if loss == self.name and any(one.param == param and holds(one.value) for one in self.derived):
                return needs
        return self.candidate.loss.signature.inputs[0].word.needs

    @property
    def command(self) -> str:
        """The line that computes it."""
        return snippets.command(self.candidate.loss, self.derived, self.sources)

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
            "parameters": [one.as_dict() for one in self.derived],
            "pitfalls": self.pitfalls,
            "command": self.command,
            "torch": snippets.torch_line(loss, self.derived) or None,
            "keras": snippets.keras_line(loss, self.derived) or None,
            "objectives": snippets.objectives(loss),
        }


@dataclass(frozen=True)
class Advice:
    """What `recommend` found."""

    answers: Answers
    facts: Mapping[str, Any]
    choices: Sequence[Choice]
    ranking: Ranking
    path: Path | None
    evidence: Sequence[Evidence] = ()

    @property
    def assumed(self) -> list[Answered]:
        """Answers that nobody gave."""
        return [one for one in self.answers.path if one.how == ASSUMED]

    @property
    def uncertain(self) -> bool:
        """Whether there are too few samples for their facts to say much."""
        return bool(self.facts) and self.facts["n"] < ENOUGH

    @property
    def doubtful(self) -> bool:
        """Whether what was taken for classes may be counts."""
        by_data = any(one.question == TASK and one.how == DATA for one in self.answers.path)
        return by_data and self.answers.task == "multiclass" and bool(self.facts.get("also_counts"))

    def why_not(self) -> list[tuple[str, Reason]]:
        """Losses that people would try, each with the weightiest reason against it."""
        return [(one.loss.name, one.against[0]) for one in self.ranking.others[:AGAINST]]


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
    choices = [Choice(one, derive(one.loss.name, facts, answers.values), sources) for one in ranking.best]
    advice = Advice(answers, facts, choices, ranking, walk(answers.values))
    if pred is None or target is None:
        return advice
    return replace(advice, evidence=_judged(advice, pred, target, options or Options(nan="skip")))


def _judged(advice: Advice, pred: Reader, target: Reader, options: Options) -> list[Evidence]:
    """Evidence for what is recommended and for what is not, where the values allow it at all."""
    named = [(one.candidate.loss, one.derived) for one in advice.choices]
    values = advice.answers.values
    others = [one.loss for one in advice.ranking.others if one.fits and one.loss.name in POPULAR]
    named += [(loss, derive(loss.name, advice.facts, values)) for loss in others]
    return [evidence(loss, derived, advice.facts, pred, target, options) for loss, derived in named]
