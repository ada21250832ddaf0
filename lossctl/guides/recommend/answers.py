"""Answers: those that were typed, those that data give, those asked for in the terminal, and what is assumed for the rest.

Typed answers are checked against the questions. The terminal takes arrow keys where it has them, and numbers where not;
everything is written to stderr, since stdout carries the result. Ctrl-C ends the program as anywhere else.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lossctl.errors import BadParameter, UsageError, near
from lossctl.guides.recommend.knowledge import Question, Rule, all_hold, questions, rules, unknown

if TYPE_CHECKING:
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
        entry = {"question": self.question, "answer": self.answer, "how": self.how, "flag": self.flag}
        return entry | ({"rule": self.rule, "because": self.because} if self.rule else {})


@dataclass
class Answers:
    """The path of answered questions."""

    path: list[Answered] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        """The answers by question, with what follows from them."""
        answers = {answered.question: answered.answer for answered in self.path}
        several = len(answers.get("quantiles") or ()) > 1
        return answers | ({"several_quantiles": "yes"} if several else {})

    @property
    def task(self) -> str:
        """What the network predicts."""
        return str(self.values[TASK])


def as_flag(question: str, answer: Any) -> str:
    """How an answer is typed: `--task count`, `--no-outliers`, `--quantiles 0.1,0.9`."""
    flag = questions()[question].flag
    if answer in {"yes", "no"} if isinstance(answer, str) else False:
        return flag if answer == "yes" else flag.replace("--", "--no-", 1)
    shown = ",".join(f"{number:g}" for number in answer) if isinstance(answer, list) else answer
    return f"{flag} {shown:g}" if isinstance(shown, float) else f"{flag} {shown}"


def answered(given: Mapping[str, Any], facts: Mapping[str, Any], ask: Ask | None = None) -> Answers:
    """Answer every question that matters, in order.

    Raises: UsageError for an answer to a question that means nothing for the task, or with nothing to go on.
    """
    answers = Answers()
    for question in questions().values():
        if not matters(question, answers):
            continue
        answer = _given(question, given, facts) or _from_data(question, facts, answers) or _asked(question, ask)
        answer = answer or _assumed(question, given, facts)
        if answer:
            answers.path.append(answer)
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
    by_data = _from_data(question, facts, Answers())
    return None if by_data and by_data.answer in implied else _one(question, implied[0], FLAG)


def _implied(given: Mapping[str, Any]) -> list[str]:
    """The tasks that all given answers mean something for, in the order of the first of them."""
    lists = [questions()[name].when for name in given if questions()[name].when]
    return [task for task in lists[0] if all(task in tasks for tasks in lists)] if lists else []


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
        if not 0 < float(value) < math.inf:
            message = f"{question.flag} is {float(value):g}, and a cost must be a number above 0."
            raise BadParameter(message, hint="Only the ratio of both costs counts: --over-cost 1 --under-cost 4")
        return float(value)
    if value not in question.words:
        raise BadParameter(f"{question.flag} knows no '{value}'.", hint=near(value, question.words, "answers"))
    return value


def _quantiles(text: str) -> list[float]:
    try:
        quantiles = sorted(float(quantile) for quantile in text.split(","))
    except ValueError:
        quantiles = []
    if not quantiles or not all(0 < quantile < 1 for quantile in quantiles):
        message = f"--quantiles takes numbers between 0 and 1 with commas, not '{text}'."
        raise BadParameter(message, hint="For example: --quantiles 0.05,0.5,0.95")
    return quantiles


UP, DOWN, ENTER = "up", "down", "enter"
KEYS = {b"\x1b[A": UP, b"\x1bOA": UP, b"k": UP, b"\x1b[B": DOWN, b"\x1bOB": DOWN, b"j": DOWN, b"\r": ENTER, b"\n": ENTER}
# Cursor to the start of the line N lines up; clear from the cursor on.
LINES_UP, CLEAR = "\x1b[{}F", "\x1b[J"
# Lines that a question needs besides its answers.
AROUND = 2


def asked_in_terminal() -> bool:
    """Whether there is somebody to ask: stdin, stdout and stderr are terminals."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def ask(question: Question) -> str:
    """Ask one question, and echo the answer as the flag that repeats it."""
    words = list(question.words)
    chosen = words[_chosen(question, words)]
    _write(f"{question.ask} {chosen}  ({as_flag(question.id, chosen)})\n")
    return chosen


def _chosen(question: Question, words: Sequence[str]) -> int:
    start = words.index(question.default) if question.default in words else 0
    rows = shutil.get_terminal_size().lines
    if os.environ.get("TERM", "dumb") == "dumb" or len(words) + AROUND > rows:
        return _by_number(question, words, start)
    try:
        with _keys() as descriptor:
            at = start
            lines = len(words) + 1
            _draw(question, words, at)
            try:
                while (key := _key(descriptor)) != ENTER:
                    at = (at + {UP: -1, DOWN: 1}.get(key, 0)) % len(words)
                    _write(LINES_UP.format(lines))
                    _draw(question, words, at)
            finally:
                _write(LINES_UP.format(lines) + CLEAR)
            return at
    except ImportError:
        return _by_number(question, words, start)


@contextmanager
def _keys() -> Iterator[int]:
    """Keys one by one and without an echo, for as long as this lasts.

    Raises: ImportError where the system has no such terminals.
    """
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        # Keys that were typed ahead are not thrown away, as they would be by default.
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _key(descriptor: int) -> str:
    """Wait for a key. The end of the input counts as Ctrl-C.

    Raises: KeyboardInterrupt.
    """
    read = os.read(descriptor, 8)
    if read in {b"", b"\x04"}:
        raise KeyboardInterrupt
    return KEYS.get(read, "")


def _draw(question: Question, words: Sequence[str], at: int) -> None:
    width = shutil.get_terminal_size().columns - 1
    lines = [question.ask]
    lines += [f"{'>' if place == at else ' '} {word}: {question.words[word]}" for place, word in enumerate(words)]
    _write("".join(f"{line[:width]}\x1b[K\n" for line in lines))


def _by_number(question: Question, words: Sequence[str], start: int) -> int:
    """Let Rich ask for a number."""
    from rich.console import Console
    from rich.prompt import IntPrompt

    _write("".join(f"{number}. {word}: {question.words[word]}\n" for number, word in enumerate(words, 1)))
    choices = [str(number) for number in range(1, len(words) + 1)]
    console = Console(stderr=True)
    try:
        return IntPrompt.ask(question.ask, console=console, choices=choices, show_choices=False, default=start + 1) - 1
    except EOFError:
        raise KeyboardInterrupt from None


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
