"""A request as argv and YAML both become it, before any file is opened or any name looked up.

Losses, parameters and gates are parsed here, and `request_of` writes a request into a result, so that `verify` can ask for it
again. A gate `KEY=V` is split at the last `=`, since a key may be `huber:delta=0.5`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lossctl.errors import BadParameter
from lossctl.request.options import Options, rows
from lossctl.sources.source import Given, shown_source

# `name:param=value`, where the name may itself be `package.module:Attribute` and a value may be `@file.npz:key`.
ITEM = re.compile(r"(?P<name>.*?)(?::(?P<params>[\w-]+=.*))?$", re.DOTALL)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf|nan", re.IGNORECASE)


@dataclass(frozen=True)
class LossSpec:
    """A loss as it was asked for: a name and parameters, still text; `of` names the set that it comes from."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    of: str = ""


@dataclass(frozen=True)
class Term:
    """One part of a weighted sum, with inputs of its own where it has them.

    `log_var` is a learned log-variance s in place of a weight (Kendall 2018, arXiv:1705.07115): the part counts as
    e^-s L + s/2, and half of e^-s for a regression.
    """

    name: str
    loss: LossSpec
    weight: float = 1.0
    inputs: Mapping[str, Given] = field(default_factory=dict)
    log_var: float | None = None


@dataclass(frozen=True)
class Gate:
    """A bound on one result: `kind` is max, min or expect, or max_abs, max_rel or require for its change from a baseline.

    `require` is how a change is judged; a gate of that kind may leave its `key` empty and then speaks of every loss.
    """

    key: str
    kind: str
    bound: float
    rtol: float = 1e-9
    atol: float = 0.0
    require: str = ""


@dataclass(frozen=True)
class Spec:
    """A whole request. `positional` inputs get their names from the loss; `folder` is what paths are relative to.

    `against` is the saved result that changes are judged by, relative to where the program runs, and `alpha` their level.
    `saved` is the result that the request was taken out of; nobody typed such a one.
    """

    losses: tuple[LossSpec, ...] = ()
    positional: tuple[Given, ...] = ()
    inputs: Mapping[str, Given] = field(default_factory=dict)
    terms: tuple[Term, ...] = ()
    options: Options = field(default_factory=Options)
    gates: tuple[Gate, ...] = ()
    folder: str = ""
    against: str = ""
    alpha: float = 0.05
    saved: str = ""


def parse_losses(text: str) -> tuple[LossSpec, ...]:
    """Parse `mse,huber:delta=.5,l1`: an item that begins with `param=`, or is a bare number, goes on with the loss before it.

    Raises: BadParameter where there is no loss before it.
    """
    items: list[str] = []
    for piece in text.split(","):
        goes_on = re.match(r"\s*[\w-]+=", piece) or NUMBER.fullmatch(piece.strip())
        if goes_on and items:
            items[-1] += f",{piece}" if "=" in items[-1] else f":{piece}"
        else:
            items.append(piece.strip())
    return tuple(_parse_item(item) for item in items)


def _parse_item(item: str) -> LossSpec:
    match = ITEM.match(item)
    if not match or not match["name"] or "=" in match["name"]:
        raise BadParameter(f"'{item}' is not a loss.", hint="Write LOSS or LOSS:param=value[,param=value].")
    return LossSpec(match["name"], dict(parse_params(split_params(match["params"] or ""))))


def split_params(text: str) -> list[str]:
    """Split `weight=1,2,4,label_smoothing=.1` before each `word=`."""
    return re.split(r",(?=\s*[\w-]+=)", text) if text else []


def parse_params(items: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Read each `name=value`.

    Raises: BadParameter for an item without `=`, or a name that was given before.
    """
    seen = set()
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise BadParameter(f"'{item}' is not a parameter.", hint="Write it as name=value.")
        word = name.strip().replace("-", "_")
        if word in seen:
            raise BadParameter(f"Parameter '{word}' is given twice.", hint="Give it once.")
        seen.add(word)
        yield word, value.strip()


def with_params(losses: tuple[LossSpec, ...], params: Mapping[str, str], *, instead: bool) -> tuple[LossSpec, ...]:
    """Give the parameters of `-p` to the one loss there is; `instead` lets them win over those that it has.

    Raises: BadParameter where there are several losses, or a parameter is given twice.
    """
    if not params:
        return losses
    if len(losses) != 1:
        names = ", ".join(loss.name for loss in losses)
        message = f"-p gives a parameter to a single loss, but there are {len(losses)}: {names}."
        raise BadParameter(message, hint=f"Write it behind its loss: {losses[0].name}:{next(iter(params))}=…")
    twice = set(params) & set(losses[0].params)
    if twice and not instead:
        message = f"Parameter '{min(twice)}' of {losses[0].name} is given twice, behind the loss and with -p."
        raise BadParameter(message, hint="Give it once.")
    return (replace(losses[0], params={**losses[0].params, **params}),)


def share(text: str) -> float:
    """Read `2%` or `0.02` to the float nearest to it.

    Raises: ValueError.
    """
    if not text.endswith("%"):
        return float(text)
    from decimal import Decimal, InvalidOperation

    try:
        return float(Decimal(text[:-1]) / 100)
    except InvalidOperation as error:
        raise ValueError(f"'{text}' is no share") from error


KINDS = ("max", "min", "expect", "max_abs", "max_rel", "require")
REQUIRE = ("point", "sig", "noninf", "equiv")
EXAMPLES = {"max_rel": "mse=2%", "require": "sig", "max_abs": "mse=0.01"}
FORMS = {"max_rel": "KEY=NUMBER%", "require": "point, sig, noninf or equiv"}


def parse_gate(kind: str, item: str, rtol: float = 1e-9, atol: float = 0.0) -> Gate:
    """Read what stands behind --max, --min, --expect, --max-abs, --max-rel or --require.

    Raises: BadParameter.
    """
    key, equals, bound = item.rpartition("=")
    if kind == "require":
        if bound not in REQUIRE or (equals and not key):
            raise _unread(kind, item)
        return Gate(key, kind, 0.0, require=bound)
    value = _number(bound, percent=kind == "max_rel") if key else None
    if value is None or (kind in {"max_abs", "max_rel"} and math.isnan(value)):
        raise _unread(kind, item)
    return Gate(key, kind, value, rtol, atol)


def _unread(kind: str, item: str) -> BadParameter:
    option = f"--{kind.replace('_', '-')}"
    message = f"{option} takes {FORMS.get(kind, 'KEY=NUMBER')}, not '{item}'."
    return BadParameter(message, hint=f"For example: {option} {EXAMPLES.get(kind, 'mse=0.1')}")


def _number(text: str, *, percent: bool) -> float | None:
    try:
        return share(text) if percent else float(text)
    except ValueError:
        return None


def request_of(spec: Spec) -> dict[str, Any]:
    """Return the losses, inputs and options of a spec as plain values; what is as usual is left out."""
    options = {
        name: _plain(value)
        for name, row in rows(Options).items()
        if row.replayed and (value := getattr(spec.options, name)) != row.default
    }
    result = {
        "losses": [_loss(loss) for loss in spec.losses],
        "positional": [_plain(given) for given in spec.positional],
        "inputs": {name: _plain(given) for name, given in spec.inputs.items()},
        "terms": [_term(term) for term in spec.terms],
        "options": options,
        "folder": spec.folder,
    }
    return {name: item for name, item in result.items() if item}


def _plain(value: Any) -> Any:
    if isinstance(value, Given):
        return {"value": _written(value.value)} if value.value is not None else {"source": _said(value.text)}
    return [*value] if isinstance(value, tuple) else _written(value)


def _written(value: Any) -> Any:
    """A value with words for what JSON has no numbers for."""
    if isinstance(value, list):
        return [*map(_written, value)]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _said(source: str) -> str:
    """A source that may stand in a file that is passed on: an address without password and query."""
    if "://" not in source:
        return source

    return shown_source(source)


def _loss(loss: LossSpec) -> dict[str, Any]:
    result = {"name": loss.name, "params": {name: _plain(value) for name, value in loss.params.items()}, "of": loss.of}
    return {name: item for name, item in result.items() if item}


def _term(term: Term) -> dict[str, Any]:
    inputs = {name: _plain(given) for name, given in term.inputs.items()}
    return {**asdict(term), "loss": _loss(term.loss), "inputs": inputs}
