"""Whether a document keeps to one of our JSON Schemas, and where it does not.

The schema that `lossctl schema` prints is the one that is checked, so that the two cannot differ. Of JSON Schema 2020-12 this
knows the words that our schemas use, and refuses a schema that uses another.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from lossctl.schemas import load

if TYPE_CHECKING:
    from collections.abc import Callable

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
        found = _root(name)(document)
    except RecursionError:
        return "it is nested too deeply"
    if found is None:
        return ""
    what, path = found
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in reversed(path)).removeprefix(".")
    return f"{place}: {what}" if place else what


@cache
def _root(name: str) -> Callable[[Any], Fault]:
    schema = json.loads(load(name))
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
            message = f"JSON Schema's '{min(unknown)}' is not known here"
            raise ValueError(message)
        checks = [make(self, schema) for words, make in MAKERS.items() if schema.keys() & words]
        if len(checks) == 1:
            return checks[0]

        def every(value: Any) -> Fault:
            for check in checks:
                found = check(value)
                if found is not None:
                    return found
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
            found = any(type(one) is type(value) and one == value for one in known)
            return None if found else (f"{what}, not {shown(value)}", [])

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
                found = test(item)
                if found is not None:
                    found[1].append(name)
                    return found
            return None

        return check

    def items(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """`items`: every entry of a list."""
        test = self.compiled(schema["items"])

        def check(value: Any) -> Fault:
            if type(value) is not list:
                return None
            for number, item in enumerate(value):
                found = test(item)
                if found is not None:
                    found[1].append(number)
                    return found
            return None

        return check

    def any_of(self, schema: dict[str, Any]) -> Callable[[Any], Fault]:
        """`anyOf`: the fault of the alternative that goes deepest is the one to say."""
        tests = [self.compiled(one) for one in schema["anyOf"]]

        def check(value: Any) -> Fault:
            worst: Fault = None
            for test in tests:
                found = test(value)
                if found is None:
                    return None
                if worst is None or len(found[1]) > len(worst[1]):
                    worst = found
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
