"""Saved results: whether a JSON file keeps to its schema, and what it says by the names that gates know.

The JSON Schemas are data files beside this module. `lossctl schema` prints the one that is checked, so the two cannot differ.
Of JSON Schema 2020-12 this knows the words that our schemas use, and refuses a schema that uses another.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lossctl.errors import LossctlError, MissingFile, UnknownName, UnreadableFile, near
from lossctl.losses import LOSSES, catalogue
from lossctl.report import number_of
from lossctl.request.lookup import brief, understand
from lossctl.sources.source import Given
from lossctl.sources.touched import read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lossctl.request.spec import Gate


def names() -> list[str]:
    """Return the names of all schemas, such as `result-1`."""
    return sorted(
        entry.name.removesuffix(".json") for entry in files("lossctl.checking").iterdir() if entry.name.endswith(".json")
    )


def load_schema(name: str) -> str:
    """Return the text of the schema `name`, which may be written with or without `.json`.

    Raises: UnknownName for any other name.
    """
    bare = name.removesuffix(".json")
    if bare not in names():
        raise UnknownName(f"There is no schema '{name}'.", hint=near(bare, names(), "schemas"))
    return files("lossctl.checking").joinpath(f"{bare}.json").read_text(encoding="utf-8")


# What is wrong, and the keys that lead to it, the innermost first; None where nothing is.
Fault = tuple[str, list[Any]] | None
# Larger whole numbers are no counts, and floats do not hold them.
LARGEST = 2**63
# Signs of a value that messages quote.
LONGEST = 40
SAID = {"$schema", "$id", "$defs", "title", "description"}
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: type(value) is int and abs(value) < LARGEST,
    "number": lambda value: (type(value) is float and math.isfinite(value)) or (type(value) is int and abs(value) < LARGEST),
}


def fault(document: Any, name: str) -> str:
    """Return the first thing that is wrong with a document, after its path: `results[0].n: …`; nothing if all is right."""
    try:
        result = _root(name)(document)
    except RecursionError:
        return "it is nested too deeply"
    if result is None:
        return ""
    what, path = result
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in reversed(path)).removeprefix(".")
    return f"{place}: {what}" if place else what


@cache
def _root(name: str) -> Callable[[Any], Fault]:
    schema = json.loads(load_schema(name))
    return Compiler(schema.get("$defs", {})).compiled(schema)


class Compiler:
    """Makes one function of each schema; those under `$defs` once, since they hold one another."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        """Take the schemas that references mean."""
        self.definitions = definitions
        self.made: dict[str, Callable[[Any], Fault]] = {}

    def compiled(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """Return what checks a value.

        Raises: ValueError for a word of JSON Schema that is not known here.
        """
        unknown = schema.keys() - KNOWN - SAID
        if unknown:
            raise ValueError(f"JSON Schema's '{min(unknown)}' is not known here")
        checks = [make(self, schema) for words, make in MAKERS.items() if schema.keys() & words]
        if len(checks) == 1:
            return checks[0]

        def every(value: Any) -> Fault:
            for check in checks:
                result = check(value)
                if result is not None:
                    return result
            return None

        return every

    def reference(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """What a `$ref` means, compiled when it is first needed: a definition may hold itself."""
        name = schema["$ref"].removeprefix("#/$defs/")

        def meant(value: Any) -> Fault:
            check = self.made.get(name)
            if check is None:
                check = self.made[name] = self.compiled(self.definitions[name])
            return check(value)

        return meant

    def kind(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """`type`: one name, or several."""
        given = schema["type"]
        names = [given] if isinstance(given, str) else given
        tests = [TYPES[name] for name in names]
        what = f"should be {' or '.join(names)}"
        return lambda value: None if any(test(value) for test in tests) else (f"{what}, not {shown(value)}", [])

    def listed(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """`enum` and `const`. In Python, True is 1."""
        known = schema["enum"] if "enum" in schema else [schema["const"]]
        what = f"should be {' or '.join(map(shown, known))}"

        def check(value: Any) -> Fault:
            result = any(type(item) is type(value) and item == value for item in known)
            return None if result else (f"{what}, not {shown(value)}", [])

        return check

    def fields(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """`properties` and what belongs to them: `required`, `additionalProperties` and `minProperties`."""
        checks = {name: self.compiled(one) for name, one in schema.get("properties", {}).items()}
        required, least = schema.get("required", ()), schema.get("minProperties", 0)
        more = schema.get("additionalProperties", True)
        others = self.compiled(more) if isinstance(more, dict) else None

        def check(value: Any) -> Fault:
            if type(value) is not dict:
                return None
            for name in required:
                if name not in value:
                    return f"the key '{name}' is missing", []
            if len(value) < least:
                return f"should have {least} keys or more", []
            for name, item in value.items():
                test = checks.get(name, others)
                if test is None:
                    if more is False:
                        return f"the key '{name}' is not known", []
                    continue
                result = test(item)
                if result is not None:
                    result[1].append(name)
                    return result
            return None

        return check

    def items(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """`items`: every entry of a list."""
        test = self.compiled(schema["items"])

        def check(value: Any) -> Fault:
            if type(value) is not list:
                return None
            for number, item in enumerate(value):
                result = test(item)
                if result is not None:
                    result[1].append(number)
                    return result
            return None

        return check

    def any_of(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """`anyOf`: the fault of the alternative that goes deepest is the one to say."""
        tests = [self.compiled(item) for item in schema["anyOf"]]

        def check(value: Any) -> Fault:
            worst: Fault = None
            for test in tests:
                result = test(value)
                if result is None:
                    return None
                if worst is None or len(result[1]) > len(worst[1]):
                    worst = result
            return worst

        return check

    def conditional(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """`if` and `then`."""
        condition, then = self.compiled(schema["if"]), self.compiled(schema["then"])
        return lambda value: then(value) if condition(value) is None else None

    def bounds(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """`minimum` and `maximum` of numbers."""
        low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)

        def check(value: Any) -> Fault:
            if type(value) not in {int, float} or low <= value <= high:
                return None
            return f"should be {f'at least {low}' if value < low else f'at most {high}'}, not {shown(value)}", []

        return check

    def text(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """`minLength` and `pattern` of strings."""
        least, pattern = schema.get("minLength", 0), re.compile(schema.get("pattern", ""))

        def check(value: Any) -> Fault:
            if type(value) is not str or (len(value) >= least and pattern.search(value)):
                return None
            return f"{shown(value)} is not what should stand here", []

        return check


# Each maker with the words that it looks at.
MAKERS: dict[tuple[str, ...], Callable[[Compiler, dict[str, Any]], Callable[[Any], Fault]]] = {
    ("$ref",): Compiler.reference,
    ("type",): Compiler.kind,
    ("enum", "const"): Compiler.listed,
    ("required", "properties", "additionalProperties", "minProperties"): Compiler.fields,
    ("items",): Compiler.items,
    ("anyOf",): Compiler.any_of,
    ("if", "then"): Compiler.conditional,
    ("minimum", "maximum"): Compiler.bounds,
    ("minLength", "pattern"): Compiler.text,
}
KNOWN = {word for words in MAKERS for word in words}


def shown(value: Any) -> str:
    """A value in few signs."""
    text = json.dumps(value) if not isinstance(value, dict | list) else "an object" if isinstance(value, dict) else "a list"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


# What losses were called in results that older versions wrote: their names are those of scores now.
FORMERLY = {"psnr": "psnr_loss", "cosine_similarity": "negative_cosine"}
OURS = "lossctl/"
RESULTS = f"{OURS}result/"
SCHEMA = f"{RESULTS}1"
# A baseline may be written by hand: what no gate looks at may be left out there.
UNSAID = {"version": "?", "command": "compute", "signature": "", "inputs": [], "checks": [], "warnings": []}


@dataclass(frozen=True)
class Entry:
    """One number of a saved result, under the names that a gate may call it by.

    `result` is what the file says of the loss, where the number is its value. `main` is no statistic and no group.
    """

    key: str
    value: float
    aliases: tuple[str, ...] = ()
    higher_is_better: bool = False
    main: bool = False
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Saved:
    """A result: as it was read from a file, or about to be written."""

    name: str
    document: Mapping[str, Any]

    def entries(self) -> list[Entry]:
        """Every number that a gate may bound."""
        found = [entry for result in self.document.get("results", ()) for entry in _entries(result, self._names(result))]
        if "total" in self.document:
            found.append(Entry("total", number_of(self.document["total"]), main=True))
        return found + [entry for item in self.document.get("gradients", ()) for entry in _figures(item, found)]

    def values(self) -> dict[str, float]:
        """The same by name."""
        return {name: entry.value for entry in self.entries() for name in (*entry.aliases, entry.key)}

    def _names(self, result: Mapping[str, Any]) -> tuple[str, ...]:
        """What a result is called: as one would type it, and by its loss alone where it is the only one of it.

        Of two systems, the second has these names; each has them with its own behind, as in `mse[base]`.
        """
        results = [item for item in self.document["results"] if "group" not in item]
        systems = list(dict.fromkeys(result.get("system", "") for result in results))
        own = [item for item in results if item["loss"] == result["loss"] and item.get("system") == result.get("system")]
        label = label_of(result)
        names = (label, result["loss"]) if len(own) == 1 and label != result["loss"] else (label,)
        if "system" not in result:
            return names
        plain = names if result["system"] == systems[-1] and len(systems) <= 2 else ()  # noqa: PLR2004 - base and other
        return (f"{label}[{result['system']}]", *plain)


def load(path: str, *, whole: bool = False) -> Saved:
    """Read a saved result, which keeps to the schema that `lossctl schema` prints.

    Gates need no more of it than its numbers; `whole` demands all that the schema does.

    Raises: MissingFile; UnreadableFile with the path of the key that is missing, unknown or of another type.
    """
    hint = "Give a result that lossctl wrote with -o FILE.json."
    try:
        document = json.loads(read_whole(path), object_pairs_hook=_once, parse_constant=_refused)
    except FileNotFoundError as error:
        message = f"There is no result '{path}'."
        raise MissingFile(message, hint=f"Write it with: lossctl compute LOSS PRED TARGET -o {path}") from error
    except OSError as error:
        message = f"The result '{path}' could not be read: {error.strerror or error}."
        raise MissingFile(message, hint="Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"'{path}' is no JSON: {error}.", hint=hint) from error
    _check_kind(path, document, hint)
    if wrong := fault(document if whole else {**UNSAID, **document}, "result-1"):
        raise UnreadableFile(f"'{path}' is no result of lossctl: {wrong}.", hint=hint)
    return Saved(path, _as_now_called(document))


def _as_now_called(document: dict[str, Any]) -> dict[str, Any]:
    """A result whose losses and backend go by the names that they have now, in what it says and in what it was asked for."""
    document["signature"] = document.get("signature", "").replace("|backend:auto|", "|backend:numpy|")
    request = document.get("request")
    lists = [document.get("results"), request.get("losses") if isinstance(request, dict) else None]
    for entry in [entry for found in lists if isinstance(found, list) for entry in found if isinstance(entry, dict)]:
        word = "loss" if "loss" in entry else "name"
        if isinstance(entry.get(word), str):
            entry[word] = FORMERLY.get(entry[word], entry[word])
    return document


def _check_kind(path: str, document: Any, hint: str) -> None:
    """Refuse what is no result, or one of another kind than this version writes.

    Raises: UnreadableFile.
    """
    schema = document.get("schema", "") if isinstance(document, dict) else ""
    if schema == SCHEMA:
        return
    message = f"'{path}' is JSON, but no result of lossctl: its schema is not {SCHEMA}."
    if isinstance(schema, str) and schema.startswith(RESULTS):
        message = f"'{path}' is a result of another version of lossctl: its schema is {schema}, and this one reads {SCHEMA}."
        hint = "Use the version that wrote it, or compute it anew."
    elif isinstance(schema, str) and schema.startswith(OURS):
        what = schema.removeprefix(OURS).partition("/")[0].replace("diagnosis", "diagnose")
        message = f"'{path}' is what lossctl {what} wrote: its schema is {schema}, and a result has {SCHEMA}."
        hint = "Results are what compute, grad, compare and merge write with -o FILE.json."
    raise UnreadableFile(message, hint=hint)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{next(name for name in names if names.count(name) > 1)}' stands twice in one object")
    return result


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def label_of(result: Mapping[str, Any]) -> str:
    """The loss with the parameters that differ from their defaults; a term goes by its own name."""
    if result.get("name"):
        return str(result["name"])
    loss = catalogue().get(result["loss"])
    defaults = {parameter.name: parameter.default for parameter in loss.signature.parameters} if loss else {}
    arrays = {tensor.name for tensor in loss.signature.tensors} if loss else set()
    changed = [
        f"{name}={brief(Given(text=value) if name in arrays and isinstance(value, str) else value)}"
        for name, value in result["params"].items()
        if name not in defaults or value != defaults[name]
    ]
    return f"{result['loss']}:{','.join(changed)}" if changed else str(result["loss"])


def _entries(result: Mapping[str, Any], names: Sequence[str]) -> Iterable[Entry]:
    """The value of one result, and its statistics; unreduced values are no numbers."""
    if isinstance(result["value"], list):
        return
    higher, group = higher_is_better(result["loss"]), result.get("group")
    behind = "" if group is None else f"@{group}"
    head, *aliases = (f"{name}{behind}" for name in names)
    yield Entry(head, number_of(result), tuple(aliases), higher, group is None, result)
    stats = result.get("stats", {})
    for name in (stat for stat in stats if stat != "statuses"):
        yield Entry(f"{names[0]}.{name}", number_of(stats, name), tuple(f"{item}.{name}" for item in names[1:]), higher)


def higher_is_better(loss: str) -> bool:
    """Whether a loss of ours is a score."""
    known = catalogue().get(loss)
    return known is not None and known.higher_is_better


def _figures(gradient: Mapping[str, Any], found: Sequence[Entry]) -> Iterable[Entry]:
    """The figures of a gradient: `pred.norm`, and `mse.norm` where there is one loss."""
    mains = [entry for entry in found if entry.main]
    heads = [name for entry in mains for name in (entry.key, *entry.aliases)] if len(mains) == 1 else []
    infinite = gradient.get("statuses", {})
    for name, value in gradient.items():
        if (isinstance(value, float | int) and not isinstance(value, bool)) or name in infinite:
            yield Entry(f"{gradient['wrt']}.{name}", number_of(gradient, name), tuple(f"{head}.{name}" for head in heads))


def renamed(gates: Iterable[Gate], names: Iterable[str]) -> list[Gate]:
    """The gates with losses under the names that a saved result has, whatever they were called."""
    known = set(names)
    return [gate if gate.key in known else replace(gate, key=_canonical(gate.key, known)) for gate in gates]


def _canonical(key: str, known: set[str]) -> str:
    end = min((key.find(sign) for sign in ".:@[" if sign in key), default=len(key))
    try:
        name = LOSSES.get(understand(key[:end])[0].name).name if end else ""
    except LossctlError:
        return key
    return f"{name}{key[end:]}" if f"{name}{key[end:]}" in known else key
