"""From the name that somebody typed to the loss that is meant: other frameworks' names, and names that mean several things.

A name under its framework (`optax.l2_loss`) means that framework's loss, or is refused; it is looked up here and nowhere else.
A bare name means ours; where the field uses it for several losses, the one taken is named, with the others.

The tables are data, in frameworks.json. There a value is a loss as one would type it, parameters included, so that a
framework's own defaults come along. `REFUSED` says why a name is no number of ours and what to write instead, `RULES` where
the number is theirs only for some inputs. Compared with Keras 3.15, optax 0.2.8, scikit-learn 1.9, torchvision 0.29,
torchmetrics 1.9, SMP 0.6, MONAI 1.6, timm 1.0 and LightGBM 4.7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from lossctl.errors import UnknownName, near
from lossctl.losses import AMBIGUOUS, LOSSES, NO_RULES, Meaning, Rules, kept, rows, spelling
from lossctl.losses.absent import absent, letters, refused

_TABLES: Any = json.loads(files("lossctl.losses").joinpath("frameworks.json").read_text(encoding="utf-8"))
# Spellings in front of the last dot, as code imports them.
PREFIXES: Mapping[str, Sequence[str]] = _TABLES["spellings"]
FRAMEWORKS: Mapping[str, Mapping[str, str]] = _TABLES["losses"]
# Functions whose names are not those of the classes, and short names.
ALSO: Mapping[str, Mapping[str, str]] = _TABLES["also"]
# Names that are another number there than any here: why, and what to write.
REFUSED: Mapping[str, Mapping[str, Sequence[str]]] = _TABLES["refused"]
RULES: dict[str, dict[str, Rules]] = {}
for _row in _TABLES["rules"]:
    _framework, _names = _row.pop("of"), _row.pop("names")
    _words: Any = {word: tuple(value) if isinstance(value, list) else value for word, value in _row.items()}
    RULES.setdefault(_framework, {}).update(dict.fromkeys(_names, Rules(**_words)))


def meaning_of(name: str) -> Meaning:
    """Return what any typed name means; itself, where nothing is known of it.

    Raises: UnknownName as `meaning`, and for a score, for which no loss stands.
    """
    known = meaning(name)
    if known or spelling(name) in rows():
        return known or Meaning(name)
    # A score is no loss, whatever a framework calls a loss of its own; a loss of an installed package is what it says.
    what = absent(name)
    known = None if what and what.score else foreign(name)
    installed = ":" not in name and any(spelling(entry.name) == spelling(name) for entry in LOSSES.entries())
    if what and not known and not installed and not impossible(name):
        raise refused(name, what)
    return known or Meaning(name)


def impossible(name: str) -> str:
    """The loss of this name that cannot be computed, if it cannot."""
    spelt = LOSSES.spelling(name)
    return next((item for item in IMPOSSIBLE if ":" not in name and spelt.startswith(LOSSES.spelling(item))), "")


def meaning(name: str) -> Meaning | None:
    """Say what a name means that stands under a framework, or of which the field makes several losses; None for any other.

    Raises: UnknownName for a prefix that is no framework, or a name that the framework does not have or has as another number.
    """
    prefix, dot, last = name.strip().rpartition(".")
    if dot and not _is_code(name):
        return _under(prefix, last, name)
    bare = re.sub(r"[\s-]+", "_", name.strip().lower())
    if bare in AMBIGUOUS:
        loss, note = AMBIGUOUS[bare]
        return Meaning(loss, f"{loss} is {note}" if bare == loss else f"'{name}' is taken as {loss}: {note}")
    return None


def _is_code(name: str) -> bool:
    """Whether a name is `module:attribute`; the objectives of boosted trees have a colon, too."""
    return ":" in name and _of("xgboost", name.rpartition(".")[2]) is None


def _under(prefix: str, last: str, name: str) -> Meaning:
    """What a name means under a framework: that framework's number, or nothing at all."""
    framework = next((one for one, spellings in PREFIXES.items() if prefix.lower() in spellings), "")
    if framework and prefix.lower().endswith("metrics") and (result := _of(f"{framework}.metrics", last)):
        return result
    if framework and (result := _of(framework, last)):
        # A metric of Keras is a mean by weights, whatever the loss of the same name is.
        return replace(result, rules=replace(result.rules, weights="")) if "metrics" in prefix.lower() else result
    if what := absent(last):
        raise refused(name, what)
    if not framework:
        message = f"'{prefix}' is no framework that lossctl knows, so that '{name}' may be any number."
        hint = (
            f"Leave it out, or write one of: {', '.join(PREFIXES)}. A module of your own is written package.module:Attribute."
        )
        raise UnknownName(message, hint=hint)
    message = f"'{name}' is no loss of {framework} that lossctl knows, and a name under a framework is never taken for another."
    theirs = {**FRAMEWORKS[framework], **ALSO.get(framework, {})}
    nearest = near(last, theirs, f"names of {framework}", quantities=True)
    raise UnknownName(message, hint=f"{nearest} Without the prefix a name means ours.")


# Losses that cannot be computed, and why.
IMPOSSIBLE = {
    "adaptive_log_softmax": "it needs the learned weights of its head and tails, not predictions and targets. Compute the "
    "log-probabilities with the module, save them, and use nll."
}


def foreign(name: str) -> Meaning | None:
    """What a name means that is not ours, if some framework has it.

    Raises: UnknownName where it is another number there than any here.
    """
    result = ((framework, _of(framework, name)) for framework in FRAMEWORKS)
    for framework, one in result:
        if one:
            said = f"'{name}' is {framework}'s name for {one.loss}"
            return replace(one, note=f"{said}; {one.note}" if one.note else said)
    return None


def _of(framework: str, name: str) -> Meaning | None:
    """What a framework means by a name, in any case and with or without `Loss`.

    Raises: UnknownName where it is another number there than any here.
    """
    theirs, spelt = _letters(framework), letters(name)
    bare = spelt if spelt in kept() else spelt.removesuffix("loss")
    longer = "" if f"{spelt}loss" in kept() else f"{spelt}loss"
    result = theirs.get(spelt) or theirs.get(bare) or theirs.get(longer)
    if result is None:
        return None
    named, loss = result
    if named in REFUSED.get(framework, {}):
        why, instead = REFUSED[framework][named]
        raise UnknownName(f"{named} of {framework} is no number that lossctl has: {why}.", hint=instead)
    rules = RULES.get(framework, {}).get(named, NO_RULES)
    return Meaning(loss, rules.note, framework, rules)


@cache
def _letters(framework: str) -> dict[str, tuple[str, str]]:
    """The names of a framework by what is compared of them: its own spelling, and what we call it."""
    barred = dict.fromkeys(REFUSED.get(framework, {}), "")
    every = {**barred, **ALSO.get(framework, {}), **FRAMEWORKS.get(framework, {})}
    return {letters(name): (name, ours) for name, ours in every.items()}


def table(framework: str) -> dict[str, str]:
    """What a framework calls its losses, and what we call them.

    Raises: UnknownName.
    """
    if framework.lower() not in FRAMEWORKS:
        raise UnknownName(f"There is no framework '{framework}' here.", hint=near(framework.lower(), FRAMEWORKS, "frameworks"))
    return {**ALSO.get(framework.lower(), {}), **FRAMEWORKS[framework.lower()]}
