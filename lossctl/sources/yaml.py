"""YAML as plain values: the one dialect of data, specs and this package's own files.

The words are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema): `1e-9` is a number, 014 is
fourteen and 0o14 is twelve, and `on`, `no`, `1:30`, `1_000` and dates are text, as everyone expects who has not read YAML 1.1.
No tag of Python's is looked at, no key occurs twice, and nothing refers to anything else: what is not written is not there, and
a small file cannot unfold into a large one.

Imported only where YAML is read: it imports yaml, which takes as long as half of NumPy.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Where = tuple[str | int, ...]

CORE = "tag:yaml.org,2002:"
# Beyond, everything that walks through the values would have to be ready for it.
DEEPEST = 200
# libyaml counts no levels when it composes, and runs out of stack at some tens of thousands.
SURE = 2000
INTEGER = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
REAL = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
WORDS = {"null": r"~|null|Null|NULL|", "bool": "true|True|TRUE|false|False|FALSE", "int": INTEGER, "float": REAL}
LEVELS = {yaml.SequenceStartEvent: 1, yaml.MappingStartEvent: 1, yaml.SequenceEndEvent: -1, yaml.MappingEndEvent: -1}


class YamlFault(yaml.constructor.ConstructorError):
    """YAML that is not read here; `hint` is what to do about it."""

    def __init__(self, problem: str, mark: yaml.Mark, hint: str = "") -> None:
        """Say what is wrong at a place."""
        super().__init__(None, None, problem, mark)
        self.hint = hint


class Slow(yaml.SafeLoader):
    """Composes nodes by the core schema, without anchors."""

    # An own table, or the words would be added to those of YAML 1.1.
    yaml_implicit_resolvers = {}  # noqa: RUF012 - the name and the kind that PyYAML looks for

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next node.

        Raises: Fault for an anchor or an alias.
        """
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None:
            name = f"{'*' if isinstance(event, yaml.AliasEvent) else '&'}{event.anchor}"
            problem = f"'{name}' is an alias or anchor, and none are read; write the value again, or quote the text"
            raise YamlFault(problem, event.start_mark)
        return super().compose_node(parent, index)


class Fast(getattr(yaml, "CSafeLoader", Slow)):  # type: ignore[misc]
    """Composes the same nodes ten times faster, where PyYAML was built with libyaml."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


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
# What each kind looks like, also where its tag is written out; `!!float 1` is a float.
SHAPES = {f"{CORE}{kind}": re.compile(words if kind != "float" else f"{words}|{INTEGER}") for kind, words in WORDS.items()}


def load(text: str) -> Any:
    """Return the plain value of one YAML document; keys are text as they are written.

    Raises: yaml.YAMLError with the place, RecursionError.
    """
    return plain(compose(text))


def compose(text: str) -> yaml.Node | None:
    """Compose nodes. libyaml lets anchors pass, and says errors in other words: the loader in Python sees to both.

    Raises: YAMLError, RecursionError.
    """
    if _harmless(text):
        with suppress(yaml.YAMLError):
            return yaml.compose(text, Fast)
    return yaml.compose(text, Slow)


def _harmless(text: str) -> bool:
    """Whether libyaml may compose `text`: without anchors, and no deeper than its stack."""
    if "&" not in text and "*" not in text and _deepest(text) < SURE:
        return True
    level = 0
    try:
        for event in yaml.parse(text, Fast):
            level += LEVELS.get(type(event), 0)
            if level > SURE or getattr(event, "anchor", None) is not None:
                return False
    except yaml.YAMLError:
        return False
    return True


def _deepest(text: str) -> int:
    """As many levels as `text` has at most: brackets, and what begins lines, where a list may stand as far in as its key."""
    heads = (len(line) - len(line.lstrip(" \t-?:")) for line in text.splitlines())
    return text.count("[") + text.count("{") + 2 * max(heads, default=0)


def plain(node: yaml.Node | None, lines: dict[Where, int] | None = None, where: Where = ()) -> Any:
    """Return the value of a node, and put the line of each entry into `lines` by its path of keys and positions.

    Raises: Fault for a tag that is not of the core schema, a key that is no word or occurs twice; RecursionError.
    """
    if node is None:
        return None
    if len(where) > DEEPEST:
        raise RecursionError
    if lines is not None:
        lines.setdefault(where, line_of(node.start_mark))
    if isinstance(node, yaml.MappingNode) and node.tag == f"{CORE}map":
        return _mapping(node, lines, where)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{CORE}seq":
        return [plain(item, lines, (*where, position)) for position, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and node.tag in SCALARS:
        return _scalar(node)
    problem = f"the tag '{node.tag.replace(CORE, '!!')}' is not read"
    raise YamlFault(problem, node.start_mark)


def _mapping(node: yaml.MappingNode, lines: dict[Where, int] | None, where: Where) -> dict[str, Any]:
    result: dict[str, Any] = {}
    first: dict[str, int] = {}
    for key, value in node.value:
        line = line_of(key.start_mark)
        if not isinstance(key, yaml.ScalarNode):
            problem = "a key must be a word"
            raise YamlFault(problem, key.start_mark)
        if key.value in first:
            problem = f"the key '{key.value}' is already on line {first[key.value]}"
            raise YamlFault(problem, key.start_mark, "Keep one of them.")
        first[key.value] = line
        if lines is not None:
            lines[*where, key.value] = line
        result[key.value] = plain(value, lines, (*where, key.value))
    return result


def _scalar(node: yaml.ScalarNode) -> Any:
    text, looks = node.value, SHAPES.get(node.tag)
    if looks is None or looks.fullmatch(text):
        # Python refuses whole numbers of more digits than it likes to convert.
        with suppress(ValueError):
            return SCALARS[node.tag](text)
    problem = f"'{text}' does not read as {node.tag.removeprefix(CORE)}"
    raise YamlFault(problem, node.start_mark)


def line_of(mark: yaml.Mark | None) -> int:
    """The line of a place, from 1."""
    return mark.line + 1 if mark else 1
