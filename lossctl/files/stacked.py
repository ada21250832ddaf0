"""Several files that are one array: `preds/*.npy`, joined along the first axis in the order of their names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.blocks import place
from lossctl.errors import ShapeMismatch
from lossctl.files.stored import sha256
from lossctl.wholes import Rounded, as_floats, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.blocks import NumPyArray, Reader
    from lossctl.files.container import Found
    from lossctl.files.source import Source
    from lossctl.shapes import Shape


@dataclass(frozen=True)
class Stacked:
    """Readers, one after another along the first axis."""

    parts: Sequence[Found]
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
        same = {name: value if all(one.get(name) == value for one in each) else None for name, value in each[0].items()}
        return {"files": len(each), **same}


def stacked(parts: Sequence[Found], source: Source) -> Reader:
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
