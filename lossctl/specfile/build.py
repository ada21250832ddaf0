"""From the plain values of a YAML file to the request, with every fault said at its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lossctl.errors import BadSpec, UsageError, near
from lossctl.spec import Gate, Given, LossSpec, Options, Spec, Term, parse_losses, share
from lossctl.specfile.models import PLACES, SPEC_ROWS, FileInput, GateItem, SpecItems, TermItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

    from lossctl.coreyaml import Where
    from lossctl.specfile.nodes import Document

LOSSES = ("loss", "losses", "terms")
BOUNDS = ("max", "min", "expect", "max_abs", "max_rel", "require")
# What YAML calls the types that pydantic names by Python's words.
WORDS = {
    "model_type": "should be a mapping of keys to values",
    "dict_type": "should be a mapping of names to values",
    "list_type": "should be a list",
    "bool_type": "should be true or false",
    "string_type": "should be text",
    "too_short": "should not be empty",
    "string_too_short": "should not be empty",
}
HINTS = {"string_type": "Put it in quotes if it looks like something else."}


def build(document: Document, folder: str) -> Spec:
    """Return the request that `document` stands for.

    Raises: BadSpec with the line.
    """
    if not isinstance(document.value, dict) or not document.value:
        problem = "the spec is empty." if not document.value else "a spec is a mapping of keys to values."
        raise document.fault((), problem, "Begin with: loss: NAME.")
    try:
        items = SpecItems.model_validate(document.value)
    except ValidationError as error:
        raise _worst(document, error) from error
    _one_of(document, items, LOSSES, ())
    return Spec(
        losses=_losses(document, items),
        inputs=_inputs(document, items.inputs, ("inputs",)),
        terms=_terms(document, items),
        options=_options(document, items),
        gates=tuple(_gate(document, gate, place) for place, gate in enumerate(items.gates)),
        folder=folder,
        against=str(Path(folder, items.against)) if items.against else "",
        alpha=items.alpha,
    )


def _worst(document: Document, error: ValidationError) -> BadSpec:
    """The fault to say first: a mistyped key explains what seems to be missing."""
    faults = sorted(error.errors(), key=lambda one: (one["type"] != "extra_forbidden", document.line(one["loc"])))
    return _explained(document, faults[0])


def _explained(document: Document, fault: ErrorDetails) -> BadSpec:
    where, kind = fault["loc"], fault["type"]
    name = where[-1] if kind in {"extra_forbidden", "missing"} else _name(document, where)
    if kind == "extra_forbidden":
        return document.fault(where, f"unknown key '{name}'.", near(str(name), _keys(where), "keys"))
    if kind == "missing":
        return document.fault(where, f"the key '{name}' is missing.")
    said = WORDS.get(kind) or fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    found = "" if kind == "value_error" or isinstance(fault["input"], dict | list) else f", not {_quoted(fault['input'])}"
    return document.fault(where, f"'{name}' {said}{found}.", HINTS.get(kind, ""))


def _quoted(value: Any) -> str:
    return "nothing" if value is None else repr(value)


def _name(document: Document, where: Where) -> str:
    """The entry as a person finds it: `terms[0].inputs.pred`, without pydantic's names of alternatives."""
    found: Where = ()
    for part in where:
        found = (*found, part) if (*found, part) in document.lines else found
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found).removeprefix(".")


def _keys(where: Where) -> Iterable[str]:
    holder = next((part for part in reversed(where[:-1]) if isinstance(part, str)), "")
    return PLACES.get(holder, SpecItems).model_fields


def _one_of(document: Document, item: SpecItems | GateItem, names: tuple[str, ...], where: Where) -> str:
    given = [name for name in names if name in item.model_fields_set and getattr(item, name) is not None]
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    if not given:
        raise document.fault(where, f"one of {listed} is missing.")
    if len(given) > 1:
        raise document.fault((*where, given[1]), f"'{given[1]}' cannot stand beside '{given[0]}'.", f"Keep one of {listed}.")
    return given[0]


def _gate(document: Document, gate: GateItem, place: int) -> Gate:
    where = ("gates", place)
    # Beside a margin, `require` is no bound of its own.
    margin = any(getattr(gate, name) is not None for name in ("max_abs", "max_rel"))
    kind = _one_of(document, gate, BOUNDS[: 5 if margin else 6], where)
    if gate.key is None and kind != "require":
        raise document.fault(where, "the key 'key' is missing.")
    idle = gate.model_fields_set & {"rtol", "atol"}
    if idle and kind != "expect":
        raise document.fault((*where, min(idle)), f"'{min(idle)}' belongs to 'expect', and this gate has '{kind}'.")
    bound = 0.0 if kind == "require" else getattr(gate, kind)
    bound = share(bound) if isinstance(bound, str) else bound
    return Gate(gate.key or "", kind, bound, gate.rtol, gate.atol, gate.require or "")


def _losses(document: Document, items: SpecItems) -> tuple[LossSpec, ...]:
    if items.params and not items.loss:
        hint = "Write them behind each loss: {loss: NAME, params: {…}}."
        raise document.fault(("params",), "'params' belongs to a single 'loss'.", hint)
    if items.loss:
        return _parsed(document, items.loss, items.params, ())
    found: list[LossSpec] = []
    for place, item in enumerate(items.losses):
        text, params = (item, {}) if isinstance(item, str) else (item.loss, item.params)
        found += _parsed(document, text, params, ("losses", place))
    return tuple(found)


def _parsed(document: Document, text: str, params: Mapping[str, Any], where: Where) -> tuple[LossSpec, ...]:
    try:
        losses = parse_losses(text)
    except UsageError as error:
        raise document.fault((*where, "loss"), error.message, error.hint) from error
    if not params:
        return losses
    if len(losses) > 1:
        raise document.fault((*where, "params"), f"'params' belongs to a single loss, and '{text}' names {len(losses)}.")
    given = {name.replace("-", "_"): value for name, value in params.items()}
    if twice := sorted(given.keys() & losses[0].params.keys()):
        raise document.fault((*where, "params", twice[0]), f"the parameter '{twice[0]}' is already in '{text}'.")
    return (LossSpec(losses[0].name, {**losses[0].params, **given}),)


def _terms(document: Document, items: SpecItems) -> tuple[Term, ...]:
    terms = tuple(_term(document, item, ("terms", place)) for place, item in enumerate(items.terms))
    names = [term.name for term in terms]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise document.fault(("terms", place), f"two terms are called '{name}'.", "Give each a name of its own: name: …")
    return terms


def _term(document: Document, item: TermItem, where: Where) -> Term:
    losses = _parsed(document, item.loss, item.params, where)
    if len(losses) > 1:
        raise document.fault((*where, "loss"), f"a term has one loss, and '{item.loss}' names {len(losses)}.")
    inputs = _inputs(document, item.inputs, (*where, "inputs"))
    if item.weight is not None and item.log_var is not None:
        raise document.fault((*where, "log_var"), "a term has a weight or a log_var, not both.")
    weight = 1.0 if item.weight is None else item.weight
    return Term(item.name or losses[0].name, losses[0], weight, inputs, item.log_var)


def _inputs(document: Document, inputs: Mapping[str, Any], where: Where) -> dict[str, Given]:
    return {name: _given(document, item, (*where, name)) for name, item in inputs.items()}


def _given(document: Document, item: Any, where: Where) -> Given:
    if isinstance(item, str):
        return Given(text=item)
    if not isinstance(item, FileInput):
        return Given(value=item)
    if item.column is not None and item.key is not None:
        raise document.fault((*where, "key"), "'key' cannot stand beside 'column'.", "Keep one of them.")
    key = item.column if item.key is None else item.key
    return Given(text=item.file if key is None else f"{item.file}::{key}")


def _options(document: Document, items: SpecItems) -> Options:
    given = {name: getattr(items, name) for name in SPEC_ROWS if name in items.model_fields_set}
    arrays = {
        name: _given(document, given[name], (name,))
        for name in given
        if "Given" in SPEC_ROWS[name].type and given[name] is not None
    }
    return Options(**{**given, **arrays}, allow_code=False)
