"""Inputs as they were opened: an array of a file, several files as one, or one in another order; and how they were read."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import LISTED, ShapeMismatch
from lossctl.sources.container import CostlyPart
from lossctl.sources.readers import FileBacked, NumPyArray, Part, Reader, Shape, place, unwrapped, whole
from lossctl.sources.stored import Stored, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lossctl.sources.source import Source

HEADERS = {True: "the first row as names", False: "no header", None: "a header in some files"}
SPACE = "white space"


@dataclass(frozen=True)
class FileReader(FileBacked):
    """A part of a file under the name that the user typed.

    `reading` is how its file was read, as far as the format leaves that open, and `columns` are the names of what is read,
    however they were typed; of several of one name, their positions.
    """

    part: Part
    name: str
    stored: Stored
    key: str | None
    reading: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str | int, ...] = ()

    @cached_property
    def shape(self) -> Shape:
        """The part's shape."""
        return self.part.shape

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The part's type."""
        return self.part.dtype

    @property
    def dear(self) -> bool:
        """Whether short ranges of it cost far more than their bytes."""
        return self.stored.remote or (isinstance(self.part, CostlyPart) and self.part.costly)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return a range of the part."""
        return self.part.read(start, stop, axis)

    def place(self, index: tuple[int, ...]) -> str:
        """Say where an element stands, as the format counts."""
        return self.part.place(index)

    def facts(self) -> dict[str, Any]:
        """Return path and key as typed, and the hash of the file's bytes."""
        return {"path": self.stored.name, "key": self.key, "sha256": self.stored.sha256()}

    def how(self) -> dict[str, Any]:
        """Return how the file was read."""
        return dict(self.reading)


@dataclass(frozen=True)
class Ordered:
    """A reader whose samples were put in another order; it is in memory, for an order cannot be read in ranges."""

    inner: Reader
    array: NumPyArray
    order: NumPyArray

    @property
    def name(self) -> str:
        """The inner reader's name."""
        return self.inner.name

    @property
    def shape(self) -> Shape:
        """The shape after ordering."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inner reader's type."""
        return self.array.dtype

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return a range in the new order."""
        return self.array[(slice(None),) * axis + (slice(start, stop),)]

    def place(self, index: tuple[int, ...]) -> str:
        """Say where the element stands in the file, not where it came to stand."""
        return self.inner.place((int(self.order[index[0]]), *index[1:])) if index else place(index)

    def facts(self) -> dict[str, Any]:
        """Return the facts of the file."""
        return self.inner.facts()

    def how(self) -> dict[str, Any]:
        """Return how the file was read."""
        return self.inner.how()


def ordered(reader: Reader, order: NumPyArray) -> Reader:
    """Put the samples of `reader` in `order`, indices into its first axis."""
    return Ordered(reader, whole(reader)[order], order)


@dataclass(frozen=True)
class Stacked(FileBacked):
    """Readers, one after another along the first axis."""

    parts: Sequence[FileReader]
    name: str
    key: str | None

    @cached_property
    def _stops(self) -> list[int]:
        return list(accumulate(part.shape[0] for part in self.parts))

    @property
    def seams(self) -> tuple[int, ...]:
        """The rows at which files begin: no block goes across them, so that files computed apart add up to the same bits."""
        return (0, *self._stops[:-1])

    @property
    def dear(self) -> bool:
        """Whether short ranges of some file cost far more than their bytes."""
        return any(part.dear for part in self.parts)

    @property
    def shape(self) -> Shape:
        """The shape of all together."""
        return (self._stops[-1], *self.parts[0].shape[1:])

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The type that holds what every part holds."""
        return np.result_type(*(part.dtype for part in self.parts))

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis` from all parts that it touches."""
        if axis:
            pieces = [part.read(start, stop, axis) for part in self.parts]
        else:
            starts = (0, *self._stops)
            spans = [(max(start - first, 0), min(stop, last) - first) for first, last in zip(starts, self._stops, strict=False)]
            pieces = [part.read(*span) for part, span in zip(self.parts, spans, strict=True) if span[0] < span[1]]
        if self.dtype.kind == "f":
            from lossctl.sources.values import Rounded, as_floats, refusal

            try:
                pieces = [as_floats(piece, self.dtype) for piece in pieces]
            except Rounded as rounded:
                raise refusal(rounded.number, f"A number in {self.name}", ", since other files are not whole") from rounded
        return np.concatenate(pieces or [self.parts[0].read(0, 0)]).astype(self.dtype, copy=False)

    def place(self, index: tuple[int, ...]) -> str:
        """Name the file, and the place in it."""
        if not index:
            return place(index)
        part = next(i for i, stop in enumerate(self._stops) if index[0] < stop)
        row = index[0] - (self._stops[part - 1] if part else 0)
        return f"{self.parts[part].name}, {self.parts[part].place((row, *index[1:]))}"

    def facts(self) -> dict[str, Any]:
        """Return the pattern as typed, and the hash of all files in order, as `cat pattern | sha256sum` gives it."""
        return {"path": self.name, "key": self.key, "sha256": sha256([part.stored for part in self.parts])}

    def how(self) -> dict[str, Any]:
        """Return how the files were read; what is not the same for all of them is None."""
        each = [part.how() for part in self.parts]
        same = {name: value if all(reading.get(name) == value for reading in each) else None for name, value in each[0].items()}
        return {"files": len(each), **same}


def stacked(parts: Sequence[FileReader], source: Source) -> Reader:
    """Return one reader for all parts.

    Raises: ShapeMismatch if they differ in more than the first axis.
    """
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    for part in parts:
        if not part.shape or part.shape[1:] != first.shape[1:]:
            message = f"'{source.text}' does not join: {part.name} has shape {part.shape}, but {first.name} has {first.shape}."
            raise ShapeMismatch(message, hint="All files need the same shape, apart from the first axis.")
    pattern = source.text if source.key is None else source.text.removesuffix(source.key).rstrip(":")
    return Stacked(parts, pattern, parts[0].key)


def opened_as(reader: Reader | None) -> Any:
    """What an input was opened as, below all views and orders: a FileReader, Stacked, or what is in no file."""
    inner = None if reader is None else unwrapped(reader)
    while isinstance(inner, Ordered):
        inner = unwrapped(inner.inner)
    return inner


def say_how(readers: Iterable[tuple[str, Reader]], say: Callable[[str], None]) -> None:
    """Say of each reader, which stands beside its role, how it was read; only where `say` is `wordy`, as it is with -v."""
    if getattr(say, "wordy", False):
        for role, reader in readers:
            say(f"{role} ({reader.name}): {in_words(reader)}")


def in_words(reader: Reader) -> str:
    """Return `shape (3,), float64, the first row as names, delimiter ','`, as far as the format leaves that open."""
    return ", ".join(filter(None, (f"shape {reader.shape}, {reader.dtype.name}", how_in_words(reader.how()))))


def how_in_words(how: Mapping[str, Any]) -> str:
    """Return what `Reader.how` gives in words."""
    said = []
    if "files" in how:
        said.append(f"{how['files']} files")
    if "header" in how:
        said.append(HEADERS[how["header"]])
    if "delimiter" in how:
        said.append(f"delimiter {how['delimiter']!r}" if how["delimiter"] else f"delimiter {SPACE}")
    if "columns" in how:
        more = f", … ({len(how['columns'])})" if len(how["columns"]) > LISTED else ""
        said.append(f"columns {', '.join(map(repr, how['columns'][:LISTED]))}{more}")
    return ", ".join(said)
