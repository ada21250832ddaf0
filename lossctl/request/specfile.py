"""Specs in YAML: from a file to the request it stands for, or to an error with its line."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossctl.errors import BadSpec, MissingFile, UsageError, near
from lossctl.request.options import Options
from lossctl.request.spec import Gate, LossSpec, Spec, Term, parse_losses, share
from lossctl.sources.touched import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

    from lossctl.request.models import GateItem, SpecItems, TermItem
    from lossctl.sources.source import Given
    from lossctl.sources.yaml import Where


def read_spec(path: str) -> Spec:
    """Return the request in the YAML file at `path`; `allow_code` is off in it, and its paths stay relative to `folder`.

    Raises: MissingFile where the file cannot be read, BadSpec with the line for anything in it that is no spec.
    """
    # Its plugins are looked for among all installed packages, and a spec needs none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

    return build(parse(path, _text(path)), str(Path(path).parent))


def read_suite(path: str) -> tuple[str, ...] | None:
    """Return what the YAML file at `path` lists under `specs`, relative to it; None where it is no suite but a spec.

    Raises: MissingFile where the file cannot be read, BadSpec with the line for a list that is none.
    """
    text = _text(path)
    if "specs" not in text:
        return None
    document = parse(path, text)
    if not isinstance(document.value, dict) or "specs" not in document.value:
        return None
    if others := [name for name in document.value if name != "specs"]:
        raise document.fault((others[0],), f"'{others[0]}' cannot stand beside 'specs'.", "Keep it in a spec of its own.")
    listed = document.value["specs"]
    if not isinstance(listed, list) or not listed or not all(isinstance(item, str) and item for item in listed):
        raise document.fault(("specs",), "'specs' should be a list of files, folders or patterns.")
    return tuple(str(Path(path).parent / item) for item in listed)


def spec_schema() -> dict[str, Any]:
    """Return the JSON Schema of specs, for the completion of editors."""
    from lossctl.request.models import SpecItems

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SpecItems.model_json_schema()}


def _text(path: str) -> str:
    try:
        raw = read_whole(path)
    except FileNotFoundError as error:
        beside = (item.name for item in Path(path).parent.glob("*.y*ml"))
        message = f"There is no spec '{path}'."
        raise MissingFile(message, hint=near(Path(path).name, beside, f"specs in '{Path(path).parent}'")) from error
    except OSError as error:
        raise MissingFile(f"The spec '{path}' could not be read: {error.strerror or error}.", hint="Check the path.") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"{path}, line {line}: the byte 0x{raw[error.start]:02x} is not UTF-8."
        raise BadSpec(message, hint="Save the spec as UTF-8.") from error


@dataclass(frozen=True)
class Document:
    """The plain value of a YAML file, and the line of each entry by its path of keys and positions."""

    file: str
    value: Any = None
    lines: dict[Where, int] = field(default_factory=dict)

    def fault(self, where: Where, text: str, hint: str = "") -> BadSpec:
        """Return the error that `text` says about the entry at `where`, or about the nearest entry that holds it."""
        return at(self.file, self.line(where), text, hint)

    def line(self, where: Where) -> int:
        """Return the line of the entry at `where`, skipping names that are no keys of the file."""
        known: Where = ()
        for part in where:
            known = (*known, part) if (*known, part) in self.lines else known
        return self.lines.get(known, 1)


def at(file: str, line: int, text: str, hint: str = "") -> BadSpec:
    """Return the error `text`, with its file and line before it."""
    return BadSpec(f"{file}, line {line}: {text}", hint=hint)


def parse(file: str, text: str) -> Document:
    """Return the one document in `text`.

    Raises: BadSpec for what is no YAML, or YAML that specs do not use, with the line.
    """
    import yaml

    from lossctl.sources.yaml import compose, line_of, plain

    lines: dict[Where, int] = {}
    try:
        return Document(file, plain(compose(text), lines), lines)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise at(file, line, f"the sign U+{ord(text[error.position]):04X} is not allowed in YAML.") from error
    except yaml.MarkedYAMLError as error:
        said = f"{', '.join(filter(None, (error.context, error.problem)))}."
        raise at(file, line_of(error.problem_mark), said, getattr(error, "hint", "")) from error
    except RecursionError as error:
        raise at(file, 1, "the nesting is too deep.") from error


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
    from pydantic import ValidationError

    from lossctl.request.models import SpecItems

    if not isinstance(document.value, dict) or not document.value:
        problem = "the spec is empty." if not document.value else "a spec is a mapping of keys to values."
        raise document.fault((), problem, "Begin with: loss: NAME.")
    try:
        items = SpecItems.model_validate(document.value)
    except ValidationError as error:
        # A mistyped key explains what seems to be missing.
        faults = sorted(error.errors(), key=lambda fault: (fault["type"] != "extra_forbidden", document.line(fault["loc"])))
        raise _explained(document, faults[0]) from error
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


def _explained(document: Document, fault: ErrorDetails) -> BadSpec:
    where, kind = fault["loc"], fault["type"]
    name = where[-1] if kind in {"extra_forbidden", "missing"} else _name(document, where)
    if kind == "extra_forbidden":
        return document.fault(where, f"unknown key '{name}'.", near(str(name), _keys(where), "keys"))
    if kind == "missing":
        return document.fault(where, f"the key '{name}' is missing.")
    said = WORDS.get(kind) or fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    quoted = "nothing" if fault["input"] is None else repr(fault["input"])
    result = "" if kind == "value_error" or isinstance(fault["input"], dict | list) else f", not {quoted}"
    return document.fault(where, f"'{name}' {said}{result}.", HINTS.get(kind, ""))


def _name(document: Document, where: Where) -> str:
    """The entry as a person finds it: `terms[0].inputs.pred`, without pydantic's names of alternatives."""
    result: Where = ()
    for part in where:
        result = (*result, part) if (*result, part) in document.lines else result
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in result).removeprefix(".")


def _keys(where: Where) -> Iterable[str]:
    from lossctl.request.models import PLACES, SpecItems

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
    result: list[LossSpec] = []
    for place, item in enumerate(items.losses):
        text, params = (item, {}) if isinstance(item, str) else (item.loss, item.params)
        result += _parsed(document, text, params, ("losses", place))
    return tuple(result)


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
    from lossctl.request.models import FileInput
    from lossctl.sources.source import Given

    if isinstance(item, str):
        return Given(text=item)
    if not isinstance(item, FileInput):
        return Given(value=item)
    if item.column is not None and item.key is not None:
        raise document.fault((*where, "key"), "'key' cannot stand beside 'column'.", "Keep one of them.")
    key = item.column if item.key is None else item.key
    return Given(text=item.file if key is None else f"{item.file}::{key}")


def _options(document: Document, items: SpecItems) -> Options:
    from lossctl.request.models import SPEC_ROWS

    given = {name: getattr(items, name) for name in SPEC_ROWS if name in items.model_fields_set}
    arrays = {
        name: _given(document, given[name], (name,))
        for name in given
        if "Given" in SPEC_ROWS[name].type and given[name] is not None
    }
    return Options(**{**given, **arrays}, allow_code=False)
