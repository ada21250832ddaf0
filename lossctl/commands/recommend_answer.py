"""A recommendation put into rows for people and one document for machines."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lossctl import __version__
from lossctl.recommendation.advice import ENOUGH
from lossctl.recommendation.deriving import written
from lossctl.recommendation.snippets import keras_line, torch_line
from lossctl.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.recommendation.advice import Advice, Choice
    from lossctl.recommendation.tree import Path

COLUMNS = ("rank", "loss", "score", "because", "command")
# How many of the recommended losses people are told all about.
TOLD = 2
# How many reasons stand beside each loss.
SAID = 2


def report(advice: Advice, sources: Sequence[str]) -> Report:
    """Put advice into a report: losses in order; for people also how to use the first ones, and what speaks against others."""
    rows = [
        {
            "rank": number,
            "loss": choice.name,
            "score": choice.candidate.score,
            "because": " ".join(reason.text for reason in choice.candidate.favour[:SAID]),
            "command": choice.command,
        }
        for number, choice in enumerate(advice.choices, 1)
    ]
    more = [Report(tuple(rows[0]), rows, title=title) for title, rows in _tables(advice).items() if rows]
    return Report(COLUMNS, rows, _document(advice, sources), bare="loss", title=f"for {advice.answers.task}", more=more)


def summary(advice: Advice, sources: Sequence[str]) -> Iterator[str]:
    """What is said on stderr: assumptions, the line that repeats the answers, and how little there may be to go on."""
    assumed = [one.flag for one in advice.assumed]
    if assumed:
        yield f"assumed: {', '.join(assumed)}; give another flag where that is wrong"
    if any(one.how == "asked" for one in advice.answers.path):
        yield f"to repeat this: {_repeat(advice, sources)}"
    missing = advice.facts.get("missing")
    if missing:
        yield f"{missing} of the target's values are NaN or infinite, and count for nothing here"
    if advice.doubtful:
        yield "the target could also hold counts; if it does, give --task count"
    if advice.uncertain:
        yield f"there are only {advice.facts['n']} samples, and with fewer than {ENOUGH} their facts are little more than noise"


def _repeat(advice: Advice, sources: Sequence[str]) -> str:
    flags = [one.flag for one in advice.answers.path if one.how in {"flag", "asked"}]
    return " ".join(["lossctl recommend", *map(shlex.quote, sources), *flags])


def _tables(advice: Advice) -> dict[str, list[dict[str, Any]]]:
    """The tables below the first, by title."""
    return {
        "what is known": [
            {"question": one.question, "answer": one.answer, "from": one.how, "because": one.because or one.flag}
            for one in advice.answers.path
        ],
        "how to use them": [line for choice in advice.choices[:TOLD] for line in _use(choice)],
        "on this prediction": [one.as_dict() for one in advice.evidence if one.value is not None],
        "why not": [{"loss": name, "because": reason.text} for name, reason in advice.why_not()],
        "mind": [{"loss": one.name, "pitfall": text} for one in advice.choices[:TOLD] for text in one.pitfalls],
    }


def _use(choice: Choice) -> Iterator[dict[str, str]]:
    loss = choice.candidate.loss
    lines = {
        "last layer": choice.activation,
        **{f"{one.param} = {written(one.value)}": one.because for one in choice.derived},
        "PyTorch": torch_line(loss, choice.derived),
        "Keras": keras_line(loss, choice.derived),
        "lossctl": choice.command,
    }
    yield from ({"loss": loss.name, "what": what, "text": text} for what, text in lines.items() if text)


def _document(advice: Advice, sources: Sequence[str]) -> dict[str, Any]:
    """The machine-readable answer; each sentence in it stands beside the rule that it comes from."""
    path = advice.path
    return {
        "schema": "lossctl/recommendation/1",
        "version": __version__,
        "command": "recommend",
        "inputs": list(sources),
        "task": advice.answers.task,
        "path": [one.as_dict() for one in advice.answers.path],
        "repeat": _repeat(advice, sources),
        "facts": {name: value for name, value in advice.facts.items() if name != "looks"},
        "recommendations": [choice.as_dict() for choice in advice.choices],
        "why_not": [{"loss": name, **reason.as_dict()} for name, reason in advice.why_not()],
        "evidence": [one.as_dict() for one in advice.evidence],
        "rules": list(advice.ranking.fired),
        "tree": _tree(path) if path else None,
        "uncertain": advice.uncertain,
    }


def _tree(path: Path) -> dict[str, Any]:
    steps = [asdict(step) for step in path.steps]
    return {"steps": steps, "leaf": path.leaf, "losses": path.end.losses, "why": path.end.why, "source": path.end.source}
