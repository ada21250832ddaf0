"""Groups of samples: each name once, and for each sample the number of its group, from one pass over what names them.

Numbers are as small as the groups are few. They lie in memory while they take little, and in a temporary file once not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.sources.container import ELEMENTS, ArrayContainer, Container, as_text
from lossctl.sources.npy import Header, NpyPart
from lossctl.sources.stored import Stored, Temporary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lossctl.sources.readers import NumPyArray, Part


# Numbers of groups that take more bytes than this lie in a temporary file.
KEPT = 16 << 20
# By each of these, floats are told apart as they are written: 0.0 from -0.0, and no NaN from another.
BITS = {2: np.uint16, 4: np.uint32, 8: np.uint64}
# Names, and the number of each entry among them.
Piece = tuple[list[str], "NumPyArray"]


@dataclass(frozen=True)
class Labels:
    """A column or an array that names ids or groups, or a list of them that was written in place."""

    container: Container | None = None
    position: int = 0
    literal: Sequence[str] = ()

    def texts(self) -> Iterator[Sequence[str]]:
        """Every entry as text, some at a time.

        Raises: ShapeMismatch if it is not one-dimensional; what reading raises.
        """
        if isinstance(self.container, ArrayContainer):
            for names, codes in _of_array(self.container.elements(self.position)):
                yield [names[code] for code in codes.tolist()]
        else:
            yield from [self.literal] if self.container is None else self.container.texts(self.position)

    def pieces(self) -> Iterator[Piece]:
        """Names, each once in a piece, and the number of each entry's.

        Raises: as `texts`.
        """
        if isinstance(self.container, ArrayContainer):
            yield from _of_array(self.container.elements(self.position))
        else:
            yield from map(told_apart, self.texts())


def told_apart(texts: Sequence[str]) -> Piece:
    """Each text once, in the order in which they come, and the number of each entry's."""
    known: dict[str, int] = {}
    codes = np.fromiter((known.setdefault(text, len(known)) for text in texts), np.int64, len(texts))
    return list(known), codes


def _of_array(part: Part) -> Iterator[Piece]:
    for start in range(0, part.shape[0], ELEMENTS):
        elements = part.read(start, min(start + ELEMENTS, part.shape[0]))
        bits = elements.view(BITS[elements.itemsize]) if elements.dtype.kind == "f" and elements.itemsize in BITS else elements
        _, first, codes = np.unique(bits, return_index=True, return_inverse=True)
        yield [as_text(item) for item in elements[first]], codes


class Codes:
    """The number of each sample's group (n,), which can be asked for by range, by one place or by ascending places."""

    def __init__(self, parts: Sequence[Part], order: NumPyArray) -> None:
        """Take what was written in the order in which groups were met, and the number that each of these has in the end."""
        self._parts, self._order = parts, order
        self._stops = np.cumsum([part.shape[0] for part in parts])
        self.shape = (int(self._stops[-1]),)
        self.dtype = order.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, places: Any) -> Any:
        if isinstance(places, slice):
            return self.read(*places.indices(len(self))[:2])
        if not np.ndim(places):
            return self.read(int(places), int(places) + 1)[0]
        chosen = np.asarray(places)
        if not len(chosen):
            return np.empty(0, self.dtype)
        low = int(chosen.min())
        return self.read(low, int(chosen.max()) + 1)[chosen - low]

    def read(self, start: int, stop: int) -> NumPyArray:
        """The numbers of a range of samples."""
        ranges = [np.empty(0, np.uint8)]
        for part, end in zip(self._parts, self._stops.tolist(), strict=True):
            first, last = max(start, end - part.shape[0]), min(stop, end)
            if first < last:
                ranges.append(part.read(first - end + part.shape[0], last - end + part.shape[0]))
        return self._order[np.concatenate(ranges)]

    def __getstate__(self) -> dict[str, Any]:
        """A temporary file cannot be sent anywhere, and what is in it can."""
        from lossctl.sources.readers import Memory

        return {**vars(self), "_parts": [Memory(part.read(0, part.shape[0])) for part in self._parts]}


def numbered(pieces: Iterable[Piece]) -> tuple[list[str], Any]:
    """The names of all groups in sorted order, and the number of each entry's: an array, or Codes where they are many.

    Raises: what the pieces raise.
    """
    met: dict[str, int] = {}
    heap = _Heap()
    for names, codes in pieces:
        order = np.asarray([met.setdefault(name, len(met)) for name in names], np.int64)
        heap.add(order[codes].astype(np.min_scalar_type(max(len(met) - 1, 0))))
    # NumPy sorts text as Python does.
    names = sorted(met)
    rank = {name: place for place, name in enumerate(names)}
    order = np.asarray([rank[name] for name in met], np.min_scalar_type(max(len(met) - 1, 0)))
    return names, heap.done(order)


class _Heap:
    """Numbers as they come, each part of them with its type: one file for each type once they are many."""

    def __init__(self) -> None:
        self._parts: list[NumPyArray] = []
        self._files: list[tuple[Temporary, np.dtype[Any], int]] = []

    def add(self, codes: NumPyArray) -> None:
        self._parts.append(codes)
        if self._files or sum(part.nbytes for part in self._parts) > KEPT:
            for part in self._parts:
                self._write(part)
            self._parts.clear()

    def _write(self, part: NumPyArray) -> None:
        if not self._files or self._files[-1][1] != part.dtype:
            self._files.append((Temporary(), part.dtype, 0))
        temporary, dtype, count = self._files[-1]
        temporary.take([part.tobytes()], "the groups")
        self._files[-1] = temporary, dtype, count + len(part)

    def done(self, order: NumPyArray) -> Any:
        if not self._files:
            codes = np.concatenate([np.empty(0, np.uint8), *self._parts])
            return order[codes] if len(codes) else codes
        headers = [(file, Header((count,), fortran=False, dtype=dtype, offset=0)) for file, dtype, count in self._files]
        return Codes([NpyPart(Stored("groups", header.size, temporary=file), header) for file, header in headers], order)
