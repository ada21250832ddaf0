"""YAML as plain values that know their lines.

The words are those of YAML 1.2's core schema: `1e-9` is a number, and `on`, `no` and `1:30` are text, as everyone expects
who has not read YAML 1.1. No tag of Python's is looked at, and nothing refers to anything else: what is not written is not
there, and a small file cannot unfold into a large one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import yaml

from lossctl.errors import BadSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Where = tuple[str | int, ...]

CORE = "tag:yaml.org,2002:"
# Beyond, everything that walks through the values of a spec would have to be ready for it.
DEEPEST = 200
# libyaml counts no levels when it composes, and runs out of stack at some tens of thousands.
SURE = 2000
INTEGER = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
REAL = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"


class Slow(yaml.SafeLoader):
    """Composes nodes by the core schema, without anchors."""

    # An own table, or the words would be added to those of YAML 1.1.
    yaml_implicit_resolvers = {}  # noqa: RUF012 - the name and the kind that PyYAML looks for

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next node.

        Raises: ComposerError for an anchor or an alias.
        """
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None:
            name = f"{'*' if isinstance(event, yaml.AliasEvent) else '&'}{event.anchor}"
            problem = f"'{name}' is an alias or anchor, and specs have none; write the value again, or quote the text"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


class Fast(getattr(yaml, "CSafeLoader", Slow)):  # type: ignore[misc]
    """Composes the same nodes ten times faster, where PyYAML was built with libyaml."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


WORDS = {"null": r"~|null|Null|NULL|", "bool": "true|True|TRUE|false|False|FALSE", "int": INTEGER, "float": REAL}
for kind, words in WORDS.items():
    for loader in (Slow, Fast):
        loader.add_implicit_resolver(f"{CORE}{kind}", re.compile(rf"(?:{words})\Z"), None)


def _integer(text: str) -> int:
    return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)


def _real(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


SCALARS: Mapping[str, Callable[[str], Any]] = {
    f"{CORE}str": str,
    f"{CORE}null": lambda _: None,
    f"{CORE}bool": lambda text: text.lower() == "true",
    f"{CORE}int": _integer,
    f"{CORE}float": _real,
}


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
    lines: dict[Where, int] = {}
    try:
        node = _composed(text)
        return Document(file, _plain(node, (), lines, file) if node else None, lines)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise at(file, line, f"the sign U+{ord(text[error.position]):04X} is not allowed in YAML.") from error
    except yaml.MarkedYAMLError as error:
        raise at(file, _line(error.problem_mark), f"{', '.join(filter(None, (error.context, error.problem)))}.") from error
    except RecursionError as error:
        raise at(file, 1, "the nesting is too deep.") from error


def _composed(text: str) -> yaml.Node | None:
    """Compose nodes. libyaml lets anchors pass, and says errors in other words: the loader in Python sees to both.

    Raises: YAMLError, RecursionError.
    """
    if "&" not in text and "*" not in text and _deepest(text) < SURE:
        with suppress(yaml.YAMLError):
            return yaml.compose(text, Fast)
    return yaml.compose(text, Slow)


def _deepest(text: str) -> int:
    """As many levels as `text` has at most: brackets, and what begins lines, where a list may stand as far in as its key."""
    heads = (len(line) - len(line.lstrip(" \t-?:")) for line in text.splitlines())
    return text.count("[") + text.count("{") + 2 * max(heads, default=0)


def _plain(node: yaml.Node, where: Where, lines: dict[Where, int], file: str) -> Any:
    if len(where) > DEEPEST:
        raise RecursionError
    lines.setdefault(where, _line(node.start_mark))
    if isinstance(node, yaml.MappingNode) and node.tag == f"{CORE}map":
        return _mapping(node, where, lines, file)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{CORE}seq":
        return [_plain(item, (*where, position), lines, file) for position, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and node.tag in SCALARS:
        return _scalar(node, file)
    raise at(file, _line(node.start_mark), f"the tag '{node.tag.replace(CORE, '!!')}' is not read in a spec.")


def _mapping(node: yaml.MappingNode, where: Where, lines: dict[Where, int], file: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in node.value:
        line = _line(key.start_mark)
        if not isinstance(key, yaml.ScalarNode):
            raise at(file, line, "a key must be a word.")
        if key.value in plain:
            raise at(file, line, f"the key '{key.value}' is already on line {lines[*where, key.value]}.", "Keep one of them.")
        lines[*where, key.value] = line
        plain[key.value] = _plain(value, (*where, key.value), lines, file)
    return plain


def _scalar(node: yaml.ScalarNode, file: str) -> Any:
    try:
        return SCALARS[node.tag](node.value)
    except ValueError as error:
        kind = node.tag.removeprefix(CORE)
        raise at(file, _line(node.start_mark), f"'{node.value}' does not read as {kind}.") from error


def _line(mark: yaml.Mark | None) -> int:
    return mark.line + 1 if mark else 1
