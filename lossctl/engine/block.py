"""One block of samples: read once, narrowed once, checked once and cast once, however many losses use it.

Some places do not count: their label is ignored, a mask leaves them out, or their weight is 0. Nothing is asked of the values
there. Where they are no numbers, or outside of the domain, a harmless value stands in their place, and the gradient there is
exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.values import bounded, cast, check, finite_rows, harmless, infinities, surely_finite, traits
from lossctl.errors import LossctlError, OutOfDomain, ShapeMismatch
from lossctl.sources import readers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lossctl.engine.binding import Bound, Slot
    from lossctl.losses.backends import Backend
    from lossctl.request.options import Options
    from lossctl.sources.readers import NumPyArray, Reader


# A box that every loss of boxes takes.
BOX = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Uncounted:
    """Places (n, *d), or samples (n,), of a block that do not count; the array called `source` says so itself."""

    places: NumPyArray
    source: str = ""

    def over(self, slot: Slot, shape: tuple[int, ...]) -> NumPyArray | None:
        """The same along an array of the loss, so that it broadcasts to its shape; None where it says nothing of it."""
        spec = slot.input.word.shape
        if slot.axis is None or slot.input.name == self.source:
            return None
        if self.places.ndim == 1:
            lifted = np.reshape(self.places, (*(1,) * slot.axis, -1, *(1,) * (len(shape) - slot.axis - 1)))
        elif "*d" in spec.split():
            lifted = np.reshape(self.places, readers.lifted(spec, self.places.shape))
        else:
            return None
        return lifted if readers.broadcast(lifted.shape, shape) == shape else None


def by_inputs(bound: Bound, raw: Callable[[Slot], NumPyArray], count: int, offset: int) -> Iterator[Uncounted]:
    """What does not count by the labels and the weights that a loss takes, in a block of `count` samples.

    `raw` reads the block of an array as it is given, and `offset` is added to labels.
    """
    labels = next((slot for slot in bound.slots if slot.input.word.shifts), None)
    if labels is not None and "ignore_index" in bound.params:
        yield Uncounted(raw(labels) == bound.params["ignore_index"] - offset, labels.input.name)
    weight = next((slot for slot in bound.slots if slot.input.name == "weight"), None)
    if weight is None:
        return
    # A parameter called weight multiplies elements, or the samples of a class unless their targets are smoothed.
    nothing = raw(weight) == 0
    if weight.input.word.shape == "c":
        if labels is None or bound.params.get("label_smoothing") or not nothing.any():
            return
        numbers = raw(labels) + offset
        known = (numbers >= 0) & (numbers < len(nothing))
        yield Uncounted(known & nothing[np.where(known, numbers, 0).astype(np.int64)], labels.input.name)
    elif (first := bound.slots[0]).axis == 0:
        shape = (count, *first.reader.shape[1:])
        if readers.broadcast(nothing.shape, shape) == shape:
            yield Uncounted(np.broadcast_to(nothing, shape), weight.input.name)


def spared(array: NumPyArray, slot: Slot, places: list[Uncounted]) -> NumPyArray | None:
    """The array of a block with harmless values where nothing counts; None where all of it counts."""
    lifted = [one for each in places if (one := each.over(slot, array.shape)) is not None]
    if not lifted:
        return None
    word = slot.input.word
    value = np.asarray(BOX if word.corners else harmless(word.domain), array.dtype)
    for one in lifted:
        array = np.where(one, value, array)
    return array


def zeroed(gradient: NumPyArray, slot: Slot, places: list[Uncounted]) -> NumPyArray:
    """The gradient of a block by one array with 0 where nothing counts, whatever was calculated there."""
    for each in places:
        lifted = each.over(slot, gradient.shape)
        if lifted is not None:
            gradient = np.where(lifted, np.zeros((), gradient.dtype), gradient)
    return gradient


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
        result = {"--weights": self.weights, "--mask": self.mask, "--by": self.groups}
        for name, given in result.items():
            if given is not None and given.shape[:1] != (n,):
                what = f"has {given.shape[0]} entries" if given.shape else "is a single number"
                message = f"{name} {what}, but there are {n} samples."
                raise ShapeMismatch(message, hint="It needs one entry a sample, in the same order.")
        if self.weights is not None and prod(self.weights.shape) != n:
            message = f"--weights ({self.weights.name}) has shape {self.weights.shape}, but there are {n} samples."
            raise ShapeMismatch(
                message, hint="It needs one entry a sample; for one an element some losses have -p weight=@FILE."
            )

    @property
    def whole(self) -> bool:
        """Whether every sample counts, and as much as any other."""
        return self.weights is None and self.mask is None

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
    alone: bool = False
    rows: NumPyArray | None = None
    raws: dict[Any, NumPyArray] = field(default_factory=dict)
    looked: dict[Any, NumPyArray] = field(default_factory=dict)
    casts: dict[Any, Any] = field(default_factory=dict)

    def select(self, bounds: Sequence[Bound]) -> None:
        """Find the samples that count: those that the mask keeps and, under `skip`, whose numbers are all finite."""
        rows = None
        if self.selection.mask is not None and not self.selection.by_element:
            rows = self.marks
        if self.options.nan == "skip":
            for bound, slot in ((each, slot) for each in bounds for slot in each.slots if slot.axis is not None):
                finite = self._finite(slot, bound)
                rows = finite if rows is None else rows & finite
            for bound in bounds:
                rows = self._limited(bound, rows)
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
        key = self.key(slot, bound)
        if key not in self.casts:
            self.casts[key] = self.cast(slot, self._looked_at(slot, bound))
        return self.casts[key]

    def looked_at(self, slot: Slot, bound: Bound) -> NumPyArray:
        """Return the block narrowed and checked, as it is in the file.

        Raises: NotFinite, OutOfDomain.
        """
        key = self.key(slot, bound)
        if key not in self.looked:
            self.looked[key] = self._looked_at(slot, bound)
        return self.looked[key]

    def key(self, slot: Slot, bound: Bound) -> Any:
        """What is the same for arrays that losses share."""
        if self.alone:
            return id(slot)
        # What does not count depends on labels and weights.
        beside = (id(slot.reader) for slot in bound.slots if slot.input.word.shifts or slot.input.name == "weight")
        return (id(slot.reader), slot.axis, *traits(slot, bound), *beside)

    def _looked_at(self, slot: Slot, bound: Bound) -> NumPyArray:
        seen = self.seen(slot)
        array = self._narrowed(slot, seen)
        if self.defers(bound) and not bounded(slot, bound):
            return array
        if slot.input.word.corners and (result := self._spared(slot, bound, seen)) is not None:
            # What makes corners no box is for a guard to find, which knows nothing of what counts.
            array = result
        try:
            check(array, slot, bound, lambda: self.index, self.options)
        except LossctlError:
            result = self._spared(slot, bound, seen)
            if result is None:
                raise
            check(result, slot, bound, lambda: self.index, self.options)
            return result
        if self.options.nan != "propagate" or surely_finite(array):
            return array
        result = self._spared(slot, bound, seen)
        return array if result is None else result

    def _spared(self, slot: Slot, bound: Bound, seen: NumPyArray) -> NumPyArray | None:
        """The block, as it was `seen`, with harmless values where nothing counts, narrowed; None where all of it counts."""
        if slot.axis is None:
            return None
        result = self._harmless(slot, bound, seen)
        return None if result is None else self.narrow(result, slot.axis)

    def _harmless(self, slot: Slot, bound: Bound, seen: NumPyArray) -> NumPyArray | None:

        return spared(seen, slot, self.uncounted(bound))

    def uncounted(self, bound: Bound) -> list[Uncounted]:
        """Everything that does not count, samples that are left out included."""
        result, weights = [Uncounted(~self.marks)] if self.selection.by_element else [], self.selection.weights
        if weights is not None and not bound.loss.whole:
            result.append(Uncounted(np.reshape(weights.read(self.start, self.stop) == 0, (-1,))))
        result += by_inputs(bound, self.raw, self.stop - self.start, self.options.label_offset)
        return [item for item in result if item.places.any()]

    def _finite(self, slot: Slot, bound: Bound) -> NumPyArray:
        """Which samples hold nothing but finite numbers wherever they count."""
        axis, signs, seen = slot.axis or 0, infinities(slot, bound), self.seen(slot)
        result = finite_rows(seen, axis, signs)
        spare = None if result.all() else self._harmless(slot, bound, seen)
        return result if spare is None else finite_rows(spare, axis, signs)

    def _limited(self, bound: Bound, rows: NumPyArray | None) -> NumPyArray | None:
        """Leave out the samples with infinite scores at which the loss has no finite limit."""
        odd = np.zeros(self.stop - self.start, bool)
        for slot in (slot for slot in bound.slots if slot.axis is not None and infinities(slot, bound)):
            odd |= ~finite_rows(self.seen(slot), slot.axis or 0)
        odd = odd if rows is None else odd & rows
        if bound.loss.whole or not odd.any():
            return rows
        few = replace(self, rows=odd, options=replace(self.options, nan="propagate"), raws={}, looked={}, casts={})
        inputs = {slot.input.name: cast(few.looked_at(slot, bound), slot, self.options) for slot in bound.slots}
        with np.errstate(all="ignore"):
            terms = bound.loss.terms(np, **inputs, **bound.params)
        kept = np.ones(int(odd.sum()), bool)
        for term in terms.values() if isinstance(terms, dict) else [terms]:
            kept &= np.isfinite(np.asarray(term)).reshape(len(kept), -1).all(axis=1)
        result = np.ones_like(odd) if rows is None else rows.copy()
        result[odd] = kept
        return result

    def cast(self, slot: Slot, array: NumPyArray) -> Any:
        """Return values of an array in the type that is calculated with, and in the backend's hands."""
        return self.backend.give(cast(array, slot, self.options))

    def _narrowed(self, slot: Slot, seen: NumPyArray) -> NumPyArray:
        return seen if slot.axis is None else self.narrow(seen, slot.axis)

    def defers(self, bound: Bound) -> bool:
        """Whether inputs need a look only if the result is not finite: a tenth of the time of a plain loss."""
        plain = self.selection.weights is None and len(bound.slots) == len(bound.loss.signature.inputs)
        return plain and self.alone and bound.loss.spreads and self.options.nan == "error" and not self.backend.late

    def inspect(self, bound: Bound) -> None:
        """Look at the inputs after all.

        Raises: NotFinite, with the first offending place.
        """
        for slot in bound.slots:
            check(self._narrowed(slot, self.seen(slot)), slot, bound, lambda: self.index, self.options)

    def mask(self) -> NumPyArray:
        """Return the block of a mask by element."""
        return self.narrow(self.marks)

    @cached_property
    def marks(self) -> NumPyArray:
        """The block of the mask, samples that do not count included.

        Raises: OutOfDomain for anything but 0 and 1, which would be a weight, or a class.
        """
        reader = self.selection.mask
        given = np.ones(0) if reader is None else reader.read(self.start, self.stop)
        wrong = (given != 0) & (given != 1)
        if reader is not None and wrong.any():
            first, *rest = (int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
            message = f"--mask ({reader.name}) at {reader.place((self.start + first, *rest))} is {given[first, *rest]:g}."
            raise OutOfDomain(message, hint="A mask holds 1 for what counts and 0 for what does not; for more, use --weights.")
        return given.astype(bool)

    def seen(self, slot: Slot) -> NumPyArray:
        """Return the block of one array with a harmless value where a mask by element says that nothing counts."""
        array = self.raw(slot)
        spec = slot.input.word.shape
        if slot.axis is None or not self.selection.by_element or "*d" not in spec.split():
            return array
        mask = self.marks
        lifted = np.reshape(mask, readers.lifted(spec, mask.shape))
        if readers.broadcast(lifted.shape, array.shape) != array.shape:
            return array
        return np.where(lifted, array, np.asarray(harmless(slot.input.word.domain), array.dtype))

    def weights(self) -> NumPyArray | None:
        """Return the sample weights of the block.

        Raises: OutOfDomain for a weight that is negative or not a number.
        """
        reader = self.selection.weights
        if reader is None:
            return None
        from lossctl.sources.values import first_rounded, refusal

        raw = self.narrow(reader.read(self.start, self.stop)).reshape(self.kept)
        if (lost := first_rounded(raw)) is not None:
            where = (int(self.index[lost[0]]), *(0 for _ in reader.shape[1:]))
            raise refusal(int(raw[lost]), f"--weights ({reader.name}) at {reader.place(where)}")
        given = raw.astype(np.float64)
        wrong = ~((given >= 0) & np.isfinite(given))
        if wrong.any():
            at = int(np.argmax(wrong))
            where = (int(self.index[at]), *(0 for _ in reader.shape[1:]))
            message = f"--weights ({reader.name}) at {reader.place(where)} is {given[at]:g}."
            raise OutOfDomain(message, hint="Weights are finite and >= 0; use --mask to leave samples out.")
        return given
