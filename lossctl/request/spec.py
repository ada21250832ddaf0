"""What argv and YAML both become: a request, before any file is opened or any name looked up.

Gates as they are typed: `KEY=V`, split at the last `=`, since a key may be `huber:delta=0.5`.

What a result was asked for, written into it so that `verify` can ask again: a spec as JSON holds it, and back.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from lossctl.errors import BadParameter, UsageError
from lossctl.request.option_table import GATES, HOW, INPUT, RESULT, TALK, Typed, option, rows
from lossctl.sources.address import Given

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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


def part_of(text: str) -> tuple[int, int]:
    """Read `--part K/N`; nothing is all there is.

    Raises: UsageError.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text or "1/1")
    number, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= parts:
        message = f"--part takes K/N with K from 1 to N, not '{text}'."
        raise UsageError(message, hint="The third of eight shares is --part 3/8.")
    return number, parts


CODES = Typed("list[str]", [], lambda words: tuple(map(str.upper, words)))
SOURCE = Typed("str | None", None, lambda text: Given(text=text) if text else None)
REDUCING = ("compute", "grad", "compare")
# What an option is about decides where it may come from. The numbers: a spec, a saved result, and the signature names it.
DATA: dict[str, Any] = {"spec": True, "replayed": True}
# What is shown of them, and how they were found in files: the same, and the signature does not name it.
SHOWN: dict[str, Any] = {**DATA, "unsigned": True}
# What is made of them: a spec alone. And what the machine may do: whoever types it.
VERDICT: dict[str, Any] = {"spec": True, "unsigned": True}


@dataclass(frozen=True)
class Options:
    """How to read, check and reduce: the options that the engine reads. Each is one row; nothing else has to be told of it.

    The rows stand in the order that the signature names them in. `commands` are those that take one; nothing means each that
    computes losses.
    """

    engine: ClassVar = True

    reduction: str = option(
        "mean",
        "--reduction HOW",
        RESULT,
        "{}, as in torch.",
        choices="mean sum none batchmean",
        commands=REDUCING,
        always="red",
        **DATA,
    )
    nan: str = option("error", "--nan HOW", HOW, "NaN and infinity: {}.", choices="error skip propagate", always="nan", **DATA)
    domain: str = option(
        "error", "--domain HOW", HOW, "Values that the loss is not defined on: {}.", choices="error ignore", **DATA
    )
    min_coverage: float = option(
        0.0, "--min-coverage SHARE", GATES, "Undecided (exit 5) if skipping leaves a smaller share.", min=0, max=1, **VERDICT
    )
    broadcast: bool = option(False, "--broadcast", INPUT, "Allow torch's broadcasting.", **DATA)
    squeeze: bool = option(False, "--squeeze", INPUT, "Drop axes of size 1.", **DATA)
    class_dim: int | None = option(None, "--class-dim K", INPUT, "The axis of the classes, if it is not 1.", label=True, **DATA)
    label_offset: int = option(0, "--label-offset K", INPUT, "Added to class labels: -1 for labels from 1.", label=True, **DATA)
    ignore_index: int | None = option(None, "--ignore-index K", HOW, "The label that counts for nothing.", label=True, **DATA)
    ignore: tuple[str, ...] = option((), "--ignore CODE", TALK, "Do not warn of this. Repeatable.", typed=CODES, **VERDICT)
    strict: bool = option(False, "--strict", GATES, "Fail (exit 1) where there is a warning.", **VERDICT)
    dtype: str = option("f64", "--dtype TYPE", HOW, "Calculate in {}.", choices="f64 f32 native", always="dtype", **DATA)
    backend: str = option(
        "numpy",
        "--backend NAME",
        HOW,
        "{}.",
        choices="numpy torch",
        envvar="LOSSCTL_BACKEND",
        open=True,
        always="backend",
        **DATA,
    )
    max_memory: int = option(
        2 << 30,
        "--max-memory MIB",
        HOW,
        "For losses that need all samples at once.",
        min=1,
        typed=Typed("int", 2048, lambda mebibytes: mebibytes << 20),
        unsigned=True,
    )
    jobs: int = option(0, "--jobs N", HOW, "Threads; 0 is one a core. No result depends on it.", min=0, unsigned=True)
    cluster: str = option(
        "",
        "--cluster ADDRESS",
        HOW,
        "A Dask scheduler, or local[:N]. No result depends on it.",
        commands=REDUCING,
        unsigned=True,
    )
    part: tuple[int, int] = option(
        (1, 1),
        "--part K/N",
        INPUT,
        "Of N shares of the samples the K-th.",
        typed=Typed("str", "", part_of),
        commands=("compute",),
    )
    in_format: str = option(
        "", "--in-format FORMAT", INPUT, "Read files as this format, whatever their suffix.", replayed=True, unsigned=True
    )
    header: str = option(
        "",
        "--header yes|no",
        INPUT,
        "Whether the first row of tables holds names, where it could be either.",
        choices="yes no",
        **DATA,
    )
    on: str = option("", "--on COLUMN", INPUT, "Join tables on this id, not on row order.", **DATA)
    row_order: bool = option(False, "--row-order", INPUT, "Pair rows as they stand, though ids are in another order.", **SHOWN)
    by: str = option("", "--by COLUMN|SOURCE", INPUT, "One result for each group, too.", source=True, **DATA)
    weights: Given | None = option(None, "--weights SOURCE", INPUT, "One weight a sample.", typed=SOURCE, source=True, **DATA)
    mask: Given | None = option(
        None, "--mask SOURCE", INPUT, "What counts: by sample or by element.", typed=SOURCE, source=True, **DATA
    )
    per_sample: bool = option(
        False, "--per-sample", RESULT, "One row a sample.", commands=("compute",), samples="order", **SHOWN
    )
    worst: int = option(
        0, "--worst N", RESULT, "The N samples with the largest loss.", min=0, commands=("compute",), samples="order", **SHOWN
    )
    best: int = option(
        0, "--best N", RESULT, "The N samples with the smallest loss.", min=0, commands=("compute",), samples="order", **SHOWN
    )
    stats: bool = option(
        False, "--stats", RESULT, "Spread of the per-sample losses.", commands=("compute",), samples="figures", **SHOWN
    )
    # Whoever calls from Python, or types a name, has named the code; files need leave.
    allow_code: bool = option(
        True,
        "--allow-code",
        HOW,
        "Let a spec or a result name code to import.",
        typed=Typed("bool", default=False, convert=bool),
        unsigned=True,
    )
    allow_remote: bool = option(
        False, "--allow-remote", HOW, "Let a result name addresses to read.", commands=("verify",), unsigned=True
    )


def engine_options(options: Any) -> Options:
    """Return what the engine reads of a command's options."""
    return Options(**{name: getattr(options, name) for name in rows(Options)})


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
    from decimal import Decimal, InvalidOperation

    try:
        return float(Decimal(text[:-1]) / 100)
    except InvalidOperation as error:
        message = f"'{text}' is no share"
        raise ValueError(message) from error


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
    found = {
        "losses": [_loss(one) for one in spec.losses],
        "positional": [_plain(given) for given in spec.positional],
        "inputs": {name: _plain(given) for name, given in spec.inputs.items()},
        "terms": [_term(term) for term in spec.terms],
        "options": options,
        "folder": spec.folder,
    }
    return {name: item for name, item in found.items() if item}


def _plain(value: Any) -> Any:
    if isinstance(value, Given):
        return {"value": _written(value.value)} if value.inline else {"source": _said(value.text)}
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
    from lossctl.sources.address import shown_source

    return shown_source(source)


def _loss(loss: LossSpec) -> dict[str, Any]:
    found = {"name": loss.name, "params": {name: _plain(value) for name, value in loss.params.items()}, "of": loss.of}
    return {name: item for name, item in found.items() if item}


def _term(term: Term) -> dict[str, Any]:
    inputs = {name: _plain(given) for name, given in term.inputs.items()}
    return {**asdict(term), "loss": _loss(term.loss), "inputs": inputs}
