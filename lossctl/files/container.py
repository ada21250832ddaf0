"""What an opened file is, whatever its format: arrays under names, or one array without a name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lossctl.blocks import place, whole
from lossctl.errors import ShapeMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.blocks import NumPyArray, Part, Reader
    from lossctl.files.stored import Stored
    from lossctl.shapes import Shape


class Container(Protocol):
    """An opened file. Arrays are picked by their position among `names`, since names may occur twice."""

    @property
    def stored(self) -> Stored:
        """The file's bytes."""

    @property
    def names(self) -> Sequence[str] | None:
        """The names of all columns or arrays in file order; None if the file is one array and takes no key."""

    @property
    def noun(self) -> str:
        """What one of them is called: `column` or `array`; for a file that takes no key, what the file is."""

    def numeric(self) -> list[int]:
        """Return the positions of those that hold numbers."""

    def part(self, position: int) -> Part:
        """Return one array; the position is ignored where the file is one array.

        Raises: UnreadableFile if it does not hold numbers.
        """

    def block(self, positions: Sequence[int]) -> Part:
        """Return several one-dimensional arrays as the columns of a two-dimensional one.

        Raises: ShapeMismatch if they are not one-dimensional and equally long.
        """

    def texts(self, position: int) -> list[str]:
        """Return the cells of a column as text: ids and groups.

        Raises: ShapeMismatch if it is not one-dimensional.
        """


@dataclass(frozen=True)
class Found:
    """A Part under the name that the user typed: this is the Reader that leaves the room.

    `reading` is how its file was read, as far as the format leaves that open, and `columns` are the names of what is read,
    however they were typed; of several of one name, their positions.
    """

    part: Part
    name: str
    stored: Stored
    key: str | None
    reading: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str | int, ...] = ()

    @property
    def shape(self) -> Shape:
        """The part's shape."""
        return self.part.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The part's type."""
        return self.part.dtype

    @property
    def dear(self) -> bool:
        """Whether short ranges of it cost far more than their bytes."""
        return self.stored.remote or getattr(self.part, "dear", False)

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


def how_read(container: Container, positions: Sequence[int], *, block: bool) -> dict[str, Any]:
    """How a file was read, as far as its format leaves that open; for a block also which columns it is made of."""
    found: dict[str, Any] = getattr(container, "how", dict)()
    names = container.names
    return {**found, "columns": [names[position] for position in positions]} if block and names is not None else found


def columns(parts: Sequence[Part], names: Sequence[str], where: str) -> NumPyArray:
    """Put one-dimensional parts side by side, shape (n, k).

    Raises: ShapeMismatch if they are not one-dimensional and equally long.
    """
    shapes = [part.shape for part in parts]
    odd = next((i for i, shape in enumerate(shapes) if len(shape) != 1 or shape != shapes[0]), None)
    if odd is not None:
        message = f"{where}: '{names[odd]}' has shape {shapes[odd]}, but '{names[0]}' has {shapes[0]}."
        raise ShapeMismatch(message, hint="Only one-dimensional arrays of one length stand side by side in a block.")
    from lossctl.wholes import common, first_of, refusal

    found = [part.read(0, part.shape[0]) for part in parts]
    alike = common(found)
    if alike is None:
        raise refusal(first_of(found), f"{where}: a number in the block", ", since other columns of it are not whole")
    return np.stack(alike, axis=1)
