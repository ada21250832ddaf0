"""Readers of arrays, the blocks that they are cut into, and shapes written in dims.

A reader knows its shape and gives any range along any axis, so that every source can be read twice and in any order. Blocks
are large enough that threads do not wait for the interpreter, and are calculated with in pieces that fit into a processor's
own cache. Where they are cut depends on shapes and types alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
Dims = dict[str, Shape]


def fixed(spec: str) -> int:
    """How many axes a shape has at least."""
    return sum(not token.startswith("*") for token in spec.split())


def sample_axis(spec: str) -> int | None:
    """Where the sample axis stands, if there is one."""
    names = spec.split()
    return names.index("n") if "n" in names else None


def match(spec: str, shape: Shape, dims: Mapping[str, Shape]) -> Dims | None:
    """Bind the dims of `spec` to `shape`, given those already bound; None where they do not fit."""
    names = spec.split()
    spare = len(shape) - fixed(spec)
    if spare < 0 or (spare > 0 and "*" not in spec):
        return None
    bound = dict(dims)
    start = 0
    for name in names:
        stop = start + (spare if name.startswith("*") else 1)
        wanted = (int(name),) if name.isdigit() else bound.setdefault(name.lstrip("*"), shape[start:stop])
        if wanted != shape[start:stop]:
            return None
        start = stop
    return bound


def squeezed(spec: str, shape: Shape) -> Shape:
    """Drop the axes of size 1 that no dim of `spec` stands for but `*d`."""
    head, _, tail = spec.partition("*") if "*" in spec else (spec, "", "")
    first, last = len(head.split()), max(0, len(tail.split()) - 1)
    spare = len(shape) - first - last
    if spare <= 0:
        return shape
    return tuple(size for axis, size in enumerate(shape) if size != 1 or not first <= axis < first + spare)


def lifted(spec: str, shape: Shape) -> Shape:
    """The shape `(n, *d)` with axes of size 1 where `spec` has other dims, so that it broadcasts to all of `spec`."""
    sizes = {"n": shape[:1], "*d": shape[1:]}
    return tuple(size for token in spec.split() for size in sizes.get(token, (1,)))


def say(spec: str, dims: Mapping[str, Shape]) -> str:
    """A shape for a person: known sizes as numbers, the rest as capital letters."""
    parts: list[str] = []
    for token in spec.split():
        name = token.lstrip("*")
        known = [str(size) for size in dims[name]] if name in dims else None
        unknown = "d1.." if token.startswith("*") else name.upper()
        parts.extend([unknown] if known is None else known)
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def broadcast(*shapes: Shape) -> Shape | None:
    """The common shape under broadcasting, or None."""
    rank = max((len(s) for s in shapes), default=0)
    result = []
    for sizes in zip(*((1,) * (rank - len(s)) + s for s in shapes), strict=True):
        wide = {size for size in sizes if size != 1}
        if len(wide) > 1:
            return None
        result.append(wide.pop() if wide else 1)
    return tuple(result)


BLOCK = 1 << 18
# Bytes that an array of a piece takes: half or less of the second cache of most processors.
PIECE = 1 << 20
NumPyArray = npt.NDArray[Any]


class Part(Protocol):
    """An array that is read in ranges."""

    @property
    def shape(self) -> Shape:
        """The shape of the whole array."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that `read` returns."""

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`, other axes whole. A 0-d array is returned as it is."""

    def place(self, index: tuple[int, ...]) -> str:
        """Say where an element stands: `[2, 0]`, or `line 4, column 'yhat'`."""


class Reader(Part, Protocol):
    """A part that knows what the user called it."""

    @property
    def name(self) -> str:
        """What messages call it: the SOURCE as it was typed."""

    def facts(self) -> dict[str, Any]:
        """Return path, key and sha256 of what was read, for the result's `inputs`."""

    def how(self) -> dict[str, Any]:
        """Return how it was read, as far as the file leaves that open: `header`, `delimiter` and the like."""


class FileBacked:
    """A reader of files, whose layout decides how it is best read; readers of other kinds have neither."""

    @property
    def seams(self) -> tuple[int, ...]:
        """The samples at which files begin, where there are several."""
        return ()

    @property
    def dear(self) -> bool:
        """Whether a short range costs far more than its bytes: it is decoded with others, or fetched over a network."""
        return False


@dataclass(frozen=True)
class Memory:
    """An array that is already in memory."""

    array: NumPyArray
    name: str = "array"

    @property
    def shape(self) -> Shape:
        """The array's shape."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The array's type."""
        return self.array.dtype

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return a view."""
        return self.array[(slice(None),) * axis + (slice(start, stop),)] if self.array.ndim else self.array

    def place(self, index: tuple[int, ...]) -> str:
        """Return the index in brackets."""
        return place(index)

    def facts(self) -> dict[str, Any]:
        """Return the hash of the bytes, in C order."""
        import hashlib

        content = np.ascontiguousarray(self.array).tobytes()
        return {"path": None, "key": None, "sha256": hashlib.sha256(content).hexdigest()}

    def how(self) -> dict[str, Any]:
        """Return nothing: an array in memory has one reading."""
        return {}


@dataclass(frozen=True)
class Wrapped:
    """A reader seen another way, that has a shape and places of its own; name, type and facts are the inner reader's."""

    inner: Reader

    @property
    def name(self) -> str:
        """The inner reader's name."""
        return self.inner.name

    @property
    def dtype(self) -> np.dtype[Any]:
        """The inner reader's type."""
        return self.inner.dtype

    def facts(self) -> dict[str, Any]:
        """Return the facts of what is really read."""
        return self.inner.facts()

    def how(self) -> dict[str, Any]:
        """Return how the inner reader was read."""
        return self.inner.how()


@dataclass(frozen=True)
class Same(Wrapped):
    """A reader whose values are seen another way, each in its place."""

    @property
    def shape(self) -> Shape:
        """The inner reader's shape."""
        return self.inner.shape

    def place(self, index: tuple[int, ...]) -> str:
        """Say it as the inner reader does."""
        return self.inner.place(index)


@dataclass(frozen=True)
class Reshaped(Wrapped):
    """A reader with axes of size 1 put in or left out; nothing moves in memory."""

    shape: Shape

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return a range along an axis of the new shape."""
        if self.shape[axis] == 1:
            whole = self.inner.read(0, self.inner.shape[0] if self.inner.shape else 1)
            return whole.reshape(self.shape)[(slice(None),) * axis + (slice(start, stop),)]
        rank = sum(size != 1 for size in self.shape[:axis])
        wide = [position for position, size in enumerate(self.inner.shape) if size != 1]
        part = self.inner.read(start, stop, wide[rank])
        return part.reshape((*self.shape[:axis], stop - start, *self.shape[axis + 1 :]))

    def place(self, index: tuple[int, ...]) -> str:
        """Say it with the inner reader's own index."""
        wide = iter(i for i, size in zip(index, self.shape, strict=True) if size != 1)
        return self.inner.place(tuple(0 if size == 1 else next(wide) for size in self.inner.shape))


@dataclass(frozen=True)
class Moved(Wrapped):
    """A reader with one axis moved: torch wants the classes on axis 1."""

    source: int
    target: int

    @property
    def order(self) -> list[int]:
        """The inner axis that stands at each place."""
        axes = list(range(len(self.inner.shape)))
        axes.insert(self.target, axes.pop(self.source))
        return axes

    @property
    def shape(self) -> Shape:
        """The shape after the move."""
        return tuple(self.inner.shape[axis] for axis in self.order)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return a range along an axis of the moved shape."""
        return np.transpose(self.inner.read(start, stop, self.order[axis]), self.order)

    def place(self, index: tuple[int, ...]) -> str:
        """Say it with the inner reader's own index."""
        return self.inner.place(tuple(index[self.order.index(axis)] for axis in range(len(index))))


@dataclass(frozen=True)
class Broadcast(Wrapped):
    """A reader stretched to a wider shape of the same rank."""

    shape: Shape

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return a range of the stretched array, without copying it."""
        narrow = self.inner.shape[axis] == 1
        part = self.inner.read(*((0, 1) if narrow else (start, stop)), axis)
        return np.broadcast_to(part, (*self.shape[:axis], stop - start, *self.shape[axis + 1 :]))

    def place(self, index: tuple[int, ...]) -> str:
        """Say it with the inner reader's own index."""
        return self.inner.place(tuple(min(i, size - 1) for i, size in zip(index, self.inner.shape, strict=True)))


def place(index: tuple[int, ...]) -> str:
    """Write an index as Python does."""
    return f"[{', '.join(map(str, index))}]"


def reshaped(reader: Reader, shape: Shape) -> Reader:
    """See a reader under another shape, which may differ in axes of size 1."""
    return reader if reader.shape == shape else Reshaped(reader, shape)


def stretched(reader: Reader, shape: Shape) -> Reader:
    """See a reader broadcast to `shape`."""
    rank = len(shape) - len(reader.shape)
    lifted = reshaped(reader, (1,) * rank + reader.shape)
    return lifted if lifted.shape == shape else Broadcast(lifted, shape)


def whole(reader: Reader) -> NumPyArray:
    """Read all of it."""
    return reader.read(0, reader.shape[0] if reader.shape else 1)


def unwrapped(reader: Reader) -> Any:
    """What lies below all views of a reader."""
    inner: Any = reader
    while isinstance(inner, Wrapped):
        inner = inner.inner
    return inner


def seams(reader: Reader) -> tuple[int, ...]:
    """The samples at which the files of a reader begin, where it is made of several; an order or another axis hides them."""
    inner = unwrapped(reader)
    return inner.seams if reader.shape[:1] == inner.shape[:1] and isinstance(inner, FileBacked) else ()


def dear(reader: Reader) -> bool:
    """Whether a short range costs far more than its bytes."""
    inner = unwrapped(reader)
    return isinstance(inner, FileBacked) and inner.dear


def cuts(samples: int, elements: int, *, block: int = BLOCK, seams: Iterable[int] = ()) -> Iterator[tuple[int, int]]:
    """Cut `samples` samples of `elements` elements each; 0 elements cut nothing, and an empty source is one empty block.

    Blocks end at `seams`, so that several files are cut as each of them would be alone.
    """
    step = max(1, block // elements) if elements else max(1, samples)
    inner = sorted(seam for seam in set(seams) if 0 < seam < samples) if elements else []
    for first, last in pairwise([0, *inner, max(samples, 1)]):
        for start in range(first, last, step):
            yield start, min(start + step, last, samples)


def keep_memory() -> None:
    """Make glibc keep the memory of freed blocks: it raises its thresholds to the largest array that it has given back.

    Without this every temporary array of every block is mapped, faulted in page by page, and unmapped: six times slower.
    """
    np.empty((1 << 25) - (1 << 13), np.uint8)
