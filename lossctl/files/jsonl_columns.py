"""What columns the records of a .jsonl have: all keys that occur anywhere, nested ones under `a.b`, in file order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lossctl.files.jsonl_values import Column
from lossctl.files.values import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lossctl.shapes import Shape

NUMBER, TEXT, LIST, OBJECT = "number", "text", "list", "object"
# What a column holds that is neither numbers nor texts: lists of objects.
OTHER = "other"


@dataclass
class Node:
    """What stands at one place of the records: kinds of values, null left out, and keys of objects.

    `shape` is that of the first value that is neither null nor an object.
    """

    kinds: set[str] = field(default_factory=set)
    shape: Shape | None = None
    children: dict[str, Node] = field(default_factory=dict)

    def child(self, key: str) -> Node:
        """Return the node of a key, a new one where there is none."""
        return self.children.setdefault(key, Node())

    def see(self, value: Any) -> None:
        """Take note of a value."""
        if isinstance(value, dict):
            self.kinds.add(OBJECT)
            for key, item in value.items():
                self.child(key).see(item)
        elif value is not None:
            self.kinds |= kinds_of(value)
            self.shape = shape_of(value) if self.shape is None else self.shape

    def merge(self, later: Node) -> None:
        """Take note of all that a later part of the file holds."""
        self.kinds |= later.kinds
        self.shape = later.shape if self.shape is None else self.shape
        for key, node in later.children.items():
            self.child(key).merge(node)

    def columns(self, path: tuple[str, ...] = ()) -> Iterator[Column]:
        """Yield this place, unless it holds nothing but objects, and those below it."""
        if self.kinds != {OBJECT}:
            yield Column(path, self.shape or (), self.kinds <= {NUMBER, LIST}, OBJECT in self.kinds)
        for key, node in self.children.items():
            yield from node.columns((*path, key))


def seen(values: Iterable[Any]) -> Node:
    """Return what all values hold."""
    node = Node()
    for value in values:
        node.see(value)
    return node


def kinds_of(value: Any) -> set[str]:
    """The kinds of one value, and of what a list holds at any depth."""
    if isinstance(value, list):
        inner = set(map(type, value))
        if inner <= {float, bool}:
            return {LIST, NUMBER} if inner else {LIST}
        return {LIST}.union(*(kinds_of(item) for item in value if item is not None))
    if isinstance(value, str):
        return {NUMBER} if value.strip().lower() in WORDS else {TEXT}
    return {OTHER} if isinstance(value, dict) else {NUMBER}


def shape_of(value: Any) -> Shape:
    """The shape that a list has if it is not ragged."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)
