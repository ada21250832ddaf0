"""What `identify` found, put into rows for people and one document for machines."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl import __version__
from lossctl.commands.asked import brief
from lossctl.errors import Undecided
from lossctl.identification.spelling import lines
from lossctl.report import Report, status
from lossctl.spec import Options

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lossctl.commands.asked import Asked
    from lossctl.identification.ranking import Candidate, Match, Ranked
    from lossctl.identification.reported import Reported
    from lossctl.spec import Spec

COLUMNS = ("loss", "departs", "value", "error", "chance", "command")
# How many that do not agree are shown where none does, and how many other ways to the same number are named.
NEAREST, NAMED = 3, 3
# A command with more class weights than this is no line.
WEIGHTS = 12
# Options that say how inputs are read, as a command has to repeat them.
SAID = (
    "class_dim",
    "label_offset",
    "squeeze",
    "broadcast",
    "nan",
    "domain",
    "dtype",
    "on",
    "row_order",
    "in_format",
    "weights",
    "mask",
)


@dataclass(frozen=True)
class Answer:
    """Everything that was found: what was asked by loss, and at most `top` candidates to show."""

    spec: Spec
    reported: Reported
    found: Ranked
    asked: Mapping[str, Asked]
    top: int

    @property
    def shown(self) -> Sequence[Match]:
        """The matches; where there are none, the nearest."""
        return (self.found.matches or self.found.nearest[:NEAREST])[: self.top]


def report(answer: Answer, inputs: Sequence[Mapping[str, Any]]) -> Report:
    """Put an answer into a report: one row a candidate, with other ways to the same number below."""
    rows = [_row(match, answer) for match in answer.shown]
    ways = [row for match in answer.shown for row in _ways(match)]
    more = [Report(("value", "as", "written"), ways, title="The same numbers otherwise")] if ways else []
    return Report(COLUMNS, rows, _document(answer, inputs), bare="loss", more=more)


def odds(found: Ranked, reported: Reported) -> str:
    """How much a match means: few digits agree with much."""
    tried = f"{found.tried} candidates with {found.distinct} different values"
    if found.chance is None:
        return f"tried {tried}"
    digits = f"{reported.digits} digit{'' if reported.digits == 1 else 's'}"
    warning = "; more digits would tell them apart" if found.chance > 1 else ""
    return f"tried {tried}; by chance about {found.chance:.2g} of them would agree with {digits}{warning}"


def nothing(answer: Answer) -> Undecided:
    """The error of a number that nothing gives."""
    nearest = ", ".join(f"{_title(one.candidate)} {one.candidate.value:.6g}" for one in answer.found.nearest[:NEAREST])
    message = f"Nothing in the catalogue gives {answer.reported.text}; nearest: {nearest or 'none that is finite'}."
    return Undecided(message, hint="If the number was cut off, or computed less precisely, widen it: --rtol 1e-3.")


def _title(one: Candidate) -> str:
    departs = ", ".join(one.says)
    return f"{one.trial.bound.loss.name} ({departs})" if departs else one.trial.bound.loss.name


def _row(match: Match, answer: Answer) -> dict[str, Any]:
    one = match.candidate
    return {
        "loss": one.trial.bound.loss.name,
        "departs": ", ".join(one.says) or "nothing",
        # All digits, also where people read them.
        "value": repr(one.value),
        "error": match.error,
        "chance": match.chance,
        "command": command(one, answer),
    }


def _ways(match: Match) -> Iterable[dict[str, Any]]:
    """Lines of other frameworks, and other candidates with the same value."""
    value = f"{match.candidate.value:.6g}"
    for line in lines(match.candidate):
        yield {"value": value, "as": "Python", "written": line}
    for one in match.same[:NAMED]:
        yield {"value": value, "as": "loss", "written": _title(one)}
    if len(match.same) > NAMED:
        yield {"value": value, "as": "", "written": f"and {len(match.same) - NAMED} more"}


def _document(answer: Answer, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    reported, found = answer.reported, answer.found
    return {
        "schema": "lossctl/identify/1",
        "version": __version__,
        "reported": {
            "text": reported.text,
            "value": reported.value,
            "status": status(reported.value),
            "digits": reported.digits,
            "within": reported.half,
        },
        "inputs": list(inputs),
        "tried": found.tried,
        "distinct": found.distinct,
        "by_chance": found.chance,
        "matches": len(found.matches),
        "candidates": [_candidate(match, answer) for match in answer.shown],
    }


def _candidate(match: Match, answer: Answer) -> dict[str, Any]:
    one = match.candidate
    return {
        "match": bool(answer.found.matches),
        "loss": one.trial.bound.loss.name,
        "params": dict(one.trial.bound.params),
        "tensors": {name: list(values) for name, values in one.trial.change.tensors.items()},
        "departs": list(one.says),
        "value": one.value,
        "status": status(one.value),
        "relative_error": match.error,
        "by_chance": match.chance,
        "command": command(one, answer) or None,
        "python": lines(one),
        "same": [{"loss": same.trial.bound.loss.name, "departs": list(same.says)} for same in match.same],
    }


def command(one: Candidate, answer: Answer) -> str:
    """The command that gives a candidate's value; empty where there is none."""
    trial, spec = one.trial, answer.spec
    long = any(len(values) > WEIGHTS for values in trial.change.tensors.values())
    swapped = trial.reading.swapped and bool(spec.inputs)
    if one.reduced.reduction is None or not trial.reading.told or long or swapped:
        return ""
    sources = [given.text for given in spec.positional]
    named = [f"{name}={given.text}" for name, given in spec.inputs.items()]
    words = ["lossctl", "compute", _loss(one, answer), *(sources[::-1] if trial.reading.swapped else sources)]
    words += [word for name in named for word in ("-i", name)]
    words += [word for name in SAID for word in _option(name, getattr(trial.reading.options, name))]
    words += ["--reduction", one.reduced.reduction] if one.reduced.reduction != "mean" else []
    return shlex.join(words)


def _loss(one: Candidate, answer: Answer) -> str:
    """The loss with all that differs from its defaults, typed and tried."""
    trial = one.trial
    loss, typed = trial.bound.loss, answer.asked[trial.bound.loss.name]
    own = {**typed.params, **trial.change.params}
    said = [f"{p.name}={brief(own[p.name])}" for p in loss.signature.parameters if own[p.name] != p.default]
    said += [
        f"{tensor.name}={brief(typed.given[tensor.name])}"
        for tensor in loss.signature.tensors
        if tensor.name in typed.given and tensor.name not in answer.spec.inputs
    ]
    said += [f"{name}={brief(list(values))}" for name, values in trial.change.tensors.items()]
    return f"{loss.name}:{','.join(said)}" if said else loss.name


def _option(name: str, value: Any) -> list[str]:
    """An option as it is typed, where it is not at its default."""
    if value == getattr(Options, name):
        return []
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return [flag]
    return [f"{flag}={value.text if hasattr(value, 'text') else value}"]
