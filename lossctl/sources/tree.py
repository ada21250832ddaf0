"""JSON and YAML: a list of numbers is an array, a list of records a table, a mapping holds arrays under `a.b`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lossctl.errors import ShapeMismatch, UnreadableFile
from lossctl.sources.container import Container
from lossctl.sources.readers import Memory, Part
from lossctl.sources.values import numbers, reason, unique

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lossctl.sources.stored import Stored

# Parsed, a document takes ten times its size; numbers of that amount belong into an array file.
LARGEST = 1 << 28


@dataclass(frozen=True)
class Single(Container):
    """A document that is one array."""

    stored: Stored
    value: Any
    noun: str
    names = None

    def part(self, position: int) -> Part:
        """Return the array; there is one for every position.

        Raises: UnreadableFile if something in it is no number, ShapeMismatch if it is ragged.
        """
        del position
        return Memory(numbers(self.value, self.stored.name))

    def texts(self, position: int) -> Iterator[Sequence[str]]:
        """Yield a list's items as text."""
        del position
        yield texts(self.value, self.stored.name)


@dataclass(frozen=True)
class Tree(Container):
    """A document with arrays under names."""

    stored: Stored
    leaves: dict[str, Any]
    noun: str

    @cached_property
    def names(self) -> Sequence[str]:
        """The paths to all leaves, joined by points, in file order."""
        return list(self.leaves)

    def part(self, position: int) -> Part:
        """Return one leaf as an array.

        Raises: UnreadableFile if something in it is no number, ShapeMismatch if it is ragged.
        """
        return Memory(numbers(self.leaves[self.names[position]], self.where(position)))

    def texts(self, position: int) -> Iterator[Sequence[str]]:
        """Yield a leaf that is a list as text."""
        yield texts(self.leaves[self.names[position]], self.where(position))

    def shown(self, position: int) -> Iterator[Sequence[str]]:
        """Yield the same, or a leaf that is a text itself."""
        value = self.leaves[self.names[position]]
        yield from [[value]] if isinstance(value, str) else self.texts(position)


def texts(value: Any, where: str) -> list[str]:
    """Return the items of a list as text, null as nothing.

    Raises: ShapeMismatch if it is no list, or a list of lists.
    """
    if not isinstance(value, list) or any(isinstance(item, list | dict) for item in value):
        raise ShapeMismatch(f"{where} is no list of ids or groups.", hint="They are text or numbers, one for each sample.")
    return ["" if item is None else str(item) for item in value]


def tree(stored: Stored, value: Any, kind: str) -> Single | Tree:
    """Return a parsed document as a container.

    Raises: UnreadableFile if there is nothing in it.
    """
    if value is None:
        message = f"{stored.name} holds nothing: it is a {kind} document without a value."
        raise UnreadableFile(message, hint="Numbers, and lists and mappings of them, are read.")
    if isinstance(value, dict):
        return Tree(stored, dict(_leaves(value, "")), "array")
    if _is_table(value):
        return Tree(stored, _columns(value), "column")
    return Single(stored, value, f"this {kind} file")


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _columns(records: list[dict[Any, Any]]) -> dict[str, Any]:
    """Turn records into columns; what a record lacks is null."""
    names = dict.fromkeys(str(key) for record in records for key in record)
    texted = [{str(key): item for key, item in record.items()} for record in records]
    return {name: [record.get(name) for record in texted] for name in names}


def _leaves(value: dict[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield all that is no mapping under its path; nested ones first, so that a key with a point in it wins."""
    for key, item in sorted(value.items(), key=lambda pair: not isinstance(pair[1], dict)):
        inner = _columns(item) if _is_table(item) else item
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _text(stored: Stored, kind: str) -> str:
    if stored.size > LARGEST:
        message = f"{stored.name} is a {kind} document of {stored.size >> 20} MiB; up to {LARGEST >> 20} MiB are read."
        raise UnreadableFile(message, hint="Keep so many numbers in .npy, .npz or .csv.")
    content = stored.stream().read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"{stored.name}, line {line}, is not UTF-8 text."
        raise UnreadableFile(message, hint=f"Convert it: iconv -f LATIN1 -t UTF-8 '{stored.name}'.") from error


def _parsed(stored: Stored, kind: str, parse: Callable[[str], Any], errors: tuple[type[Exception], ...]) -> Single | Tree:
    text = _text(stored, kind)
    try:
        return tree(stored, parse(text), kind)
    except RecursionError as error:
        raise UnreadableFile(f"{stored.name} is nested too deeply to be an array.") from error
    except errors as error:
        message = f"{stored.name}{_line(error)} is not valid {kind}: {_reason(error)}."
        raise UnreadableFile(message, hint="Correct it there, or name another format with --in-format.") from error


def _line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else getattr(error, "lineno", 0)
    return f", line {line}," if line else ""


def _reason(error: Exception) -> str:
    return str(getattr(error, "problem", None) or getattr(error, "msg", None) or reason(error))


def open_json(stored: Stored) -> Single | Tree:
    """Open a JSON document; NaN, Infinity and null are numbers.

    Raises: UnreadableFile with the line that is no JSON.
    """
    import json

    return _parsed(stored, "JSON", lambda text: json.loads(text, object_pairs_hook=unique), (ValueError,))


def open_yaml(stored: Stored) -> Single | Tree:
    """Open a YAML document. Nothing in it is executed; anchors, aliases and doubled keys are refused.

    Raises: UnreadableFile with the line that is no YAML.
    """
    import yaml

    from lossctl.sources.yaml import load

    return _parsed(stored, "YAML", load, (yaml.YAMLError, ValueError))
