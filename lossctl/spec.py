"""What argv and YAML both become: a request, before any file is opened or any name looked up."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lossctl.errors import BadParameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# `name:param=value`, where the name may itself be `package.module:Attribute` and a value may be `@file.npz:key`.
ITEM = re.compile(r"(?P<name>.*?)(?::(?P<params>[\w-]+=.*))?$", re.DOTALL)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf|nan", re.IGNORECASE)


@dataclass(frozen=True)
class Given:
    """An input as it was given: a SOURCE string, or a value written in place."""

    text: str = ""
    value: Any = None

    @property
    def inline(self) -> bool:
        """Whether the value stands in the spec itself."""
        return self.value is not None


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
class Options:
    """How to read, check and reduce; the same words as on the command line."""

    reduction: str = "mean"
    nan: str = "error"
    domain: str = "error"
    min_coverage: float = 0.0
    broadcast: bool = False
    squeeze: bool = False
    class_dim: int | None = None
    label_offset: int = 0
    ignore_index: int | None = None
    ignore: tuple[str, ...] = ()
    strict: bool = False
    dtype: str = "f64"
    backend: str = "numpy"
    max_memory: int = 2 << 30
    jobs: int = 0
    cluster: str = ""
    part: tuple[int, int] = (1, 1)
    in_format: str = ""
    header: str = ""
    on: str = ""
    row_order: bool = False
    by: str = ""
    weights: Given | None = None
    mask: Given | None = None
    per_sample: bool = False
    worst: int = 0
    best: int = 0
    stats: bool = False
    allow_code: bool = True
    allow_remote: bool = False


# Every option stands in one of these two, and a test says so. What a saved result or a partial one asks for again is no command
# of whoever runs `verify` or `merge`: it may say how data are read and reduced, and nothing else.
REPLAYED = frozenset(
    {
        "reduction",
        "nan",
        "domain",
        "broadcast",
        "squeeze",
        "class_dim",
        "label_offset",
        "ignore_index",
        "dtype",
        "backend",
        "in_format",
        "header",
        "on",
        "row_order",
        "by",
        "weights",
        "mask",
        "per_sample",
        "worst",
        "best",
        "stats",
    }
)
# These are never taken out of such a file: they reach other machines, run code, use up this one, or change no number.
NEVER_REPLAYED = frozenset(
    {
        "cluster",
        "jobs",
        "max_memory",
        "part",
        "allow_code",
        "allow_remote",
        "min_coverage",
        "ignore",
        "strict",
    }
)


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
    found = ITEM.match(item)
    if not found or not found["name"] or "=" in found["name"]:
        message = f"'{item}' is not a loss."
        raise BadParameter(message, hint="Write LOSS or LOSS:param=value[,param=value].")
    return LossSpec(found["name"], dict(parse_params(split_params(found["params"] or ""))))


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
            message = f"'{item}' is not a parameter."
            raise BadParameter(message, hint="Write it as name=value.")
        word = name.strip().replace("-", "_")
        if word in seen:
            message = f"Parameter '{word}' is given twice."
            raise BadParameter(message, hint="Give it once.")
        seen.add(word)
        yield word, value.strip()


def with_params(losses: tuple[LossSpec, ...], params: Mapping[str, str], *, instead: bool) -> tuple[LossSpec, ...]:
    """Give the parameters of `-p` to the one loss there is; `instead` lets them win over those that it has.

    Raises: BadParameter where there are several losses, or a parameter is given twice.
    """
    if not params:
        return losses
    if len(losses) != 1:
        names = ", ".join(one.name for one in losses)
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
    from decimal import Decimal, InvalidOperation  # noqa: PLC0415 - only for shares

    try:
        return float(Decimal(text[:-1]) / 100)
    except InvalidOperation as error:
        message = f"'{text}' is no share"
        raise ValueError(message) from error
