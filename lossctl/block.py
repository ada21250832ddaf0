"""One block of samples: read once, narrowed once, checked once and cast once, however many losses use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lossctl.errors import OutOfDomain, ShapeMismatch
from lossctl.values import cast, check, finite_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.binding import Bound, Slot
    from lossctl.blocks import NumPyArray, Reader
    from lossctl.spec import Options


class Backend(Protocol):
    """An array library: its namespace, and the way in and out of it."""

    @property
    def xp(self) -> Any:
        """The array API namespace."""

    def give(self, array: NumPyArray) -> Any:
        """Turn a NumPy array into one of this library's."""

    def take(self, array: Any) -> NumPyArray:
        """Turn one of this library's arrays into a NumPy array."""


@dataclass(frozen=True)
class Selection:
    """What narrows, weighs or groups samples: one entry a sample, or a mask with one entry an element."""

    weights: Reader | None = None
    mask: Reader | None = None
    groups: NumPyArray | None = None

    def check(self, n: int) -> None:
        """Check that there is one entry a sample.

        Raises: ShapeMismatch.
        """
        readers = {"--weights": self.weights, "--mask": self.mask}
        lengths = {name: reader.shape[0] if reader.shape else 0 for name, reader in readers.items() if reader is not None}
        if self.groups is not None:
            lengths["--by"] = len(self.groups)
        for name, length in lengths.items():
            if length != n:
                message = f"{name} has {length} entries, but there are {n} samples."
                raise ShapeMismatch(message, hint="It needs one entry a sample, in the same order.")

    @property
    def by_element(self) -> bool:
        """Whether the mask says for each element, not for each sample, what counts."""
        return self.mask is not None and len(self.mask.shape) > 1


@dataclass
class Block:
    """The samples from `start` to `stop`."""

    start: int
    stop: int
    options: Options
    selection: Selection
    backend: Backend
    rows: NumPyArray | None = None
    raws: dict[Any, NumPyArray] = field(default_factory=dict)
    casts: dict[Any, Any] = field(default_factory=dict)

    def select(self, bounds: Sequence[Bound]) -> None:
        """Find the samples that count: those that the mask keeps and, under `skip`, whose numbers are all finite."""
        rows = None
        if self.selection.mask is not None and not self.selection.by_element:
            rows = self.selection.mask.read(self.start, self.stop).astype(bool)
        if self.options.nan == "skip":
            for slot in (slot for bound in bounds for slot in bound.slots if slot.axis is not None):
                finite = finite_rows(self.raw(slot), slot.axis or 0)
                rows = finite if rows is None else rows & finite
        self.rows = rows

    @property
    def index(self) -> NumPyArray:
        """The numbers of the samples that count."""
        index = np.arange(self.start, self.stop)
        return index if self.rows is None else index[self.rows]

    @property
    def kept(self) -> int:
        """How many samples count."""
        return self.stop - self.start if self.rows is None else int(self.rows.sum())

    def narrow(self, array: NumPyArray, axis: int = 0) -> NumPyArray:
        """Leave out the samples that do not count."""
        return array if self.rows is None else np.compress(self.rows, array, axis=axis)

    def raw(self, slot: Slot) -> NumPyArray:
        """Return the block of one array as it is in the file.

        It is kept only where it was read to select samples: a buffer that is given back is still in the processor's cache
        when the next array is read into it.
        """
        key = (id(slot.reader), slot.axis)
        if key in self.raws:
            return self.raws[key]
        length = slot.reader.shape[0] if slot.reader.shape else 1
        span = (0, length) if slot.axis is None else (self.start, self.stop)
        array = slot.reader.read(*span, slot.axis or 0)
        if self.options.nan == "skip":
            self.raws[key] = array
        return array

    def ready(self, slot: Slot, bound: Bound) -> Any:
        """Return the block narrowed, checked, cast, and in the backend's hands.

        Raises: NotFinite, OutOfDomain.
        """
        key = (id(slot.reader), slot.axis, slot.input.word, bound.params.get("ignore_index"), bound.single)
        if key not in self.casts:
            array = self.raw(slot) if slot.axis is None else self.narrow(self.raw(slot), slot.axis)
            if slot.axis is not None and self.selection.by_element:
                array = self._without_masked(array, slot)
            check(array, slot, bound, lambda: self.index, self.options)
            self.casts[key] = self.backend.give(cast(array, slot, bound, self.options))
        return self.casts[key]

    def mask(self) -> NumPyArray:
        """Return the block of a mask by element."""
        if self.selection.mask is None:
            return np.ones(0, bool)
        return self.narrow(self.selection.mask.read(self.start, self.stop)).astype(bool)

    def _without_masked(self, array: NumPyArray, slot: Slot) -> NumPyArray:
        """Put a harmless value where the mask says that an element does not count."""
        mask = self.mask()
        harmless = 0 if slot.input.word.domain.holds(0, 0) else 1
        return np.where(mask, array, np.asarray(harmless, array.dtype)) if mask.shape == array.shape else array

    def weights(self) -> NumPyArray | None:
        """Return the sample weights of the block.

        Raises: OutOfDomain for a weight that is negative or not a number.
        """
        reader = self.selection.weights
        if reader is None:
            return None
        given = self.narrow(reader.read(self.start, self.stop)).astype(np.float64).reshape(self.kept)
        wrong = ~((given >= 0) & np.isfinite(given))
        if wrong.any():
            at = int(np.argmax(wrong))
            message = f"--weights ({reader.name}) at {reader.place((int(self.index[at]),))} is {given[at]:g}."
            raise OutOfDomain(message, hint="Weights are finite and >= 0; use --mask to leave samples out.")
        return given
