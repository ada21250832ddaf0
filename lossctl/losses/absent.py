"""Names of what is not here: scores, which never stand for the loss that is one minus them, and losses that are still missing.

A score's name means the score. Taken for a loss it would turn every gate around: `--min f1=0.7` would pass a bad model. So such
a name is refused in any spelling, with the loss that serves in its place and how the two are related. The table is data, in
absent.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

from lossctl.errors import UnknownName

# How a loss is made of a score.
ONE_MINUS, MINUS = "1 - {}", "-{}"
# The side on which a gate on a score stands, and on which the same gate on such a loss does.
TURNED = {"min": "max", "max": "min", "expect": "expect"}
# What counts for nothing in a name.
NO_LETTER = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True, eq=False, repr=False)
class Absent:
    """Something that people ask for and that is not here.

    `loss` is what serves in its place, as one would type it. `turn` says how it is made of a score, where it is; `formula` what
    it is, or why it serves.
    """

    name: str
    also: tuple[str, ...] = ()
    loss: str = ""
    turn: str = ""
    formula: str = ""
    score: bool = True

    @property
    def way_out(self) -> str:
        """The loss that serves, with its formula, and the gate on it that says the same."""
        if not self.loss:
            return "No loss here stands for it."
        if not self.turn:
            return f"Nearest is {self.loss}: {self.formula}."
        relation, command = f"{self.loss} is {self.turn.format(self.name)}", f"lossctl compute {self.loss} PRED TARGET"
        bound = "0.7" if self.turn == ONE_MINUS else "-0.5" if self.name.startswith("neg_") else "30"
        gate = f"--min {self.name}={bound} becomes {self.gate('min', bound)}"
        return f"The loss {relation} ({self.formula}). Write: {command}; {gate}."

    def gate(self, kind: str, bound: str) -> str:
        """The gate on the loss that says what `--KIND NAME=BOUND` says of the score; empty where there is none."""
        from decimal import Decimal, InvalidOperation

        try:
            number = Decimal(bound)
        except InvalidOperation:
            return ""
        if not self.turn or kind not in TURNED:
            return ""
        turned = 1 - number if self.turn == ONE_MINUS else -number
        return f"--{TURNED[kind]} {self.loss}={turned}"


_ROWS = json.loads(files("lossctl.losses").joinpath("absent.json").read_text(encoding="utf-8"))
TABLE = [Absent(**{**row, "also": tuple(row.get("also", ()))}) for row in _ROWS]

# What people put around a name without meaning another thing.
BEFORE = re.compile(
    r"^(binary|multiclass|multilabel|macro|micro|weighted|samples|mean|avg|average|sparse|categorical|soft|retrieval)+"
)
AFTER = re.compile(r"(score|coef|coefficient|coeff|index|metric|similarity|loss)$")
# Losses whose name with one of these behind is that of the score; bare they are losses.
BARE_LOSSES = {"dice": "f1", "sorensen": "f1", "sorensendice": "f1", "jaccard": "iou", "tversky": "tversky_index"}


def letters(name: str) -> str:
    """A name without case, hyphens and the like: what is compared."""
    return NO_LETTER.sub("", name.lower())


NAMES = {letters(name): one for one in TABLE for name in (one.name, *one.also)}
# Names of scores with "loss" behind: there the word says something.
KEPT = frozenset(f"{name}loss" for name, one in NAMES.items() if one.score)


def absent(name: str) -> Absent | None:
    """What a name stands for that is not here, in any of its spellings; None where nobody is known to ask for it.

    A score's name with `loss` behind is no score, but a loss made of it.
    """
    result = _found(name)
    last = letters(name.rpartition(".")[2])
    if result is None or not result.score or not last.endswith("loss") or last in NAMES:
        return result
    made = result.turn.format(result.name)
    formula = f"{made} ({result.formula})" if made else result.formula
    return Absent(f"{result.name}_loss", (), result.loss, "", formula, score=False)


def _is_made(what: Absent) -> bool:
    """Whether it is a loss made of a score."""
    return not what.score and what.name.endswith("_loss")


def _found(name: str) -> Absent | None:
    last = re.sub(r"^acc(uracy)?@", "top", name.rpartition(".")[2].lower())
    short = re.sub(r"^top\d+", lambda top: top[0] if top[0] in NAMES else "topk", letters(re.sub(r"@(k|\d+)", "_at_k", last)))
    while short:
        for item in (short, BEFORE.sub("", short)):
            if item in NAMES:
                return NAMES[item]
        shorter = AFTER.sub("", short)
        if shorter == short:
            break
        short = shorter
        for item in (short, BEFORE.sub("", short)):
            if item in BARE_LOSSES:
                return NAMES[letters(BARE_LOSSES[item])]
    return None


def refused(name: str, what: Absent) -> UnknownName:
    """The error of a name that stands for what is not here."""
    if _is_made(what):
        return UnknownName(f"There is no loss '{name}'.", hint=what.way_out)
    kind = "score" if what.score else "loss"
    named = "" if letters(name.rpartition(".")[2]) == letters(what.name) else f"{what.name}, "
    turned = ", and no loss is taken in its place, since gates on it would be turned around" if what.turn else ""
    return UnknownName(f"'{name}' is {named}a {kind} that lossctl does not have yet{turned}.", hint=what.way_out)


def hint_for(key: str, kind: str = "", bound: str = "", known: Iterable[str] = ()) -> str:
    """What to write where `key` names a result that cannot be; empty where it may be any slip."""
    what = absent(re.split(r"[:@\[]", key)[0])
    if what is None or _is_made(what):
        return ""
    gate = what.gate(kind, bound) if what.loss in {*known} else ""
    instead = f"{what.loss} is {what.turn.format(what.name)}: write {gate}." if gate else what.way_out
    return f"'{what.name}' is a {'score' if what.score else 'loss'} that lossctl does not have yet. {instead}"
