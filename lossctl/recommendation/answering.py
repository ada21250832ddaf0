"""Answers: those given, those that data give, those asked for, and what is assumed for the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lossctl.errors import UsageError
from lossctl.recommendation.conditions import all_hold, unknown
from lossctl.recommendation.loading import questions, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lossctl.recommendation.models import Question, Rule

    Ask = Callable[[Question], str | None]

FLAG, DATA, ASKED, ASSUMED = "flag", "data", "asked", "assumed"
TASK = "task"


@dataclass(frozen=True)
class Answered:
    """One answered question: by a flag, the data, a person, or assumed; `rule` and `because` say how data gave it."""

    question: str
    answer: Any
    how: str
    flag: str
    rule: str = ""
    because: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The answer for machines."""
        found = {"question": self.question, "answer": self.answer, "how": self.how, "flag": self.flag}
        return found | ({"rule": self.rule, "because": self.because} if self.rule else {})


@dataclass
class Answers:
    """The path of answered questions."""

    path: list[Answered] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        """The answers by question, with what follows from them."""
        found = {one.question: one.answer for one in self.path}
        several = len(found.get("quantiles") or ()) > 1
        return found | ({"several_quantiles": "yes"} if several else {})

    @property
    def task(self) -> str:
        """What the network predicts."""
        return str(self.values[TASK])


def as_flag(question: str, answer: Any) -> str:
    """How an answer is typed: `--task count`, `--no-outliers`, `--quantiles 0.1,0.9`."""
    flag = questions()[question].flag
    if answer in {"yes", "no"} if isinstance(answer, str) else False:
        return flag if answer == "yes" else flag.replace("--", "--no-", 1)
    shown = ",".join(f"{one:g}" for one in answer) if isinstance(answer, list) else answer
    return f"{flag} {shown:g}" if isinstance(shown, float) else f"{flag} {shown}"


def answered(given: Mapping[str, Any], facts: Mapping[str, Any], ask: Ask | None = None) -> Answers:
    """Answer every question that matters, in order.

    Raises: UsageError for an answer to a question that means nothing for the task, or with nothing to go on.
    """
    answers = Answers()
    for question in questions().values():
        if not matters(question, answers):
            continue
        one = _given(question, given, facts) or _from_data(question, facts, answers) or _asked(question, ask)
        one = one or _assumed(question, given, facts)
        if one:
            answers.path.append(one)
    _check(given, answers)
    return answers


def matters(question: Question, answers: Answers) -> bool:
    """Whether a question means anything for the answers before it."""
    values = answers.values
    if question.when and values.get(TASK) not in question.when:
        return False
    return all(values.get(name) == answer for name, answer in question.only.items())


def _given(question: Question, given: Mapping[str, Any], facts: Mapping[str, Any]) -> Answered | None:
    if question.id in given:
        return _one(question, given[question.id], FLAG)
    implied = _implied(given) if question.id == TASK else []
    if not implied:
        return None
    found = _from_data(question, facts, Answers())
    return None if found and found.answer in implied else _one(question, implied[0], FLAG)


def _implied(given: Mapping[str, Any]) -> list[str]:
    """The tasks that all given answers mean something for, in the order of the first of them."""
    lists = [questions()[name].when for name in given if questions()[name].when]
    return [task for task in lists[0] if all(task in one for one in lists)] if lists else []


def _one(question: Question, answer: Any, how: str, rule: str = "", because: str = "") -> Answered:
    return Answered(question.id, answer, how, as_flag(question.id, answer), rule, because)


def _from_data(question: Question, facts: Mapping[str, Any], answers: Answers) -> Answered | None:
    values = answers.values
    for rule in rules():
        if question.id in rule.concludes and applies(rule, facts, values):
            return _one(question, rule.concludes[question.id], DATA, rule.id, sentence(rule.because, facts, values))
    return None


def applies(rule: Rule, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> bool:
    """Whether a rule is for this task and all its conditions hold."""
    return (not rule.task or answers.get(TASK) in rule.task) and all_hold(rule.when, facts, answers)


def sentence(text: str, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> str:
    """Put numbers into a rule's sentence; a fact is meant before an answer of the same name."""
    return text.format_map({**answers, **{name: value for name, value in facts.items() if not unknown(value)}})


def _asked(question: Question, ask: Ask | None) -> Answered | None:
    answer = ask(question) if ask and question.words else None
    return None if answer is None else _one(question, answer, ASKED)


def _assumed(question: Question, given: Mapping[str, Any], facts: Mapping[str, Any]) -> Answered | None:
    if question.id == TASK and not given and not facts:
        message = "There is nothing to go on: no target, and no answer."
        raise UsageError(message, hint="Write: lossctl recommend target.csv:y, or lossctl recommend --task regression")
    return None if question.default is None else _one(question, question.default, ASSUMED)


def _check(given: Mapping[str, Any], answers: Answers) -> None:
    for name in given:
        if name not in answers.values:
            question = questions()[name]
            message = f"{question.flag} means nothing here: the task is {answers.task}."
            depends = [as_flag(other, answer) for other, answer in question.only.items()]
            hint = f"It is for {', '.join(question.when)}{f', with {depends[0]}' if depends else ''}."
            raise UsageError(message, hint=f"{hint} Set the task with --task.")
