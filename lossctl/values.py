"""Values inside a block: are they numbers, are they in the domain, and as which type are they calculated with.

The test that every value must pass is one sum of squares, or one minimum and one maximum where there is a domain: NaN and
infinities fail both. Only a block that fails is looked at again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import NotFinite, OutOfDomain
from lossctl.signature import ANY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.binding import Bound, Slot
    from lossctl.blocks import NumPyArray
    from lossctl.spec import Options

# The numbers of a block's samples in the whole array, worked out only where a message needs them.
Numbers = Callable[[], "NumPyArray"]

FLOATS: Mapping[str, Any] = {"f64": np.float64, "f32": np.float32}


def finite_rows(array: NumPyArray, axis: int) -> NumPyArray:
    """Which samples hold nothing but finite numbers."""
    if array.dtype.kind != "f":
        return np.ones(array.shape[axis], bool)
    others = tuple(a for a in range(array.ndim) if a != axis)
    result: NumPyArray = np.isfinite(array).all(axis=others)
    return result


def surely_finite(array: NumPyArray) -> bool:
    """Whether the sum of squares is finite: NaN and infinities spoil it, and an overflow only asks for a closer look."""
    fast = array.dtype.char in "fd" and array.flags.c_contiguous
    return fast and math.isfinite(float(np.vdot(array, array)))


def check(array: NumPyArray, slot: Slot, bound: Bound, numbers: Numbers, options: Options) -> None:
    """Check one block of one array, whose samples are numbered in the whole array by `numbers()`.

    Raises: NotFinite or OutOfDomain, with the first offending place.
    """
    word = slot.input.word
    if array.size == 0 or (word.domain == ANY and not word.index and surely_finite(array)):
        return
    free = options.nan == "propagate" or (array.dtype.kind == "f" and bound.params.get(word.free_if) is True)
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)) and (options.nan != "propagate" or word.index):
        raise _not_finite(array, slot, numbers)
    if not (free or word.domain.holds(low, high)):
        raise _outside(array, slot, numbers, (array < word.domain.low) | (array > word.domain.high))
    if word.domain.values and not free:
        _check_listed(array, slot, numbers)
    if word.index:
        check_index(array, slot, bound, numbers, options)


def _check_listed(array: NumPyArray, slot: Slot, numbers: Numbers) -> None:
    listed = np.isin(array, np.asarray(slot.input.word.domain.values))
    if not listed.all():
        raise _outside(array, slot, numbers, ~listed)


def check_index(array: NumPyArray, slot: Slot, bound: Bound, numbers: Numbers, options: Options) -> None:
    """Check that class labels are whole and, where the classes are known, among them.

    Raises: OutOfDomain, with what probably went wrong.
    """
    if array.dtype.kind == "f" and (array != np.floor(array)).any():
        raise _outside(array, slot, numbers, array != np.floor(array), "a whole number")
    if slot.input.word.rule != "target" or "c" not in bound.dims:
        return
    classes = bound.dims["c"][0]
    labels = array.astype(np.int64) + options.label_offset * (array != bound.params["ignore_index"])
    wrong = ((labels < 0) | (labels >= classes)) & (labels != bound.params["ignore_index"])
    if wrong.any():
        where = _first(wrong)
        what = f"class {int(labels[where])}, but {classes} classes are 0..{classes - 1}"
        raise OutOfDomain(f"{_place(slot, where, numbers)} is {what}.", hint=_label_hint(labels, classes))


def _label_hint(labels: NumPyArray, classes: int) -> str:
    """What labels out of range usually mean."""
    present = np.unique(labels)
    if present[0] == 1 and present[-1] == classes:
        return f"Labels run from 1 to {classes}: use --label-offset -1."
    stray = [int(label) for label in present if not 0 <= label < classes]
    if len(stray) == 1:
        return f"If {stray[0]} marks what should not count, use --ignore-index {stray[0]}."
    return "The scores need one column a class."


def _not_finite(array: NumPyArray, slot: Slot, numbers: Numbers) -> NotFinite:
    bad = ~np.isfinite(array)
    where = _first(bad)
    count = f", the first of {int(bad.sum())} in this block" if bad.sum() > 1 else ""
    message = f"{_place(slot, where, numbers)} is {array[where]}{count}."
    return NotFinite(message, hint="Use --nan skip to leave such samples out and say how many, or --nan propagate.")


def _outside(array: NumPyArray, slot: Slot, numbers: Numbers, wrong: NumPyArray, wanted: str = "") -> OutOfDomain:
    bad = wrong if wrong.any() else ~np.isfinite(array)
    where = _first(bad) if bad.any() else tuple(0 for _ in array.shape)
    word = slot.input.word
    message = f"{_place(slot, where, numbers)} is {array[where]:g}, outside of {wanted or word.domain.says}."
    return OutOfDomain(message, hint=f"Wanted: {word.says}{'; ' + word.needs if word.needs else ''}.")


def _first(wrong: NumPyArray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))


def _place(slot: Slot, where: tuple[int, ...], numbers: Numbers) -> str:
    """Name an element of a block by its place in the whole file."""
    index = list(where)
    if slot.axis is not None and index:
        index[slot.axis] = int(numbers()[index[slot.axis]])
    return f"{slot.input.name} ({slot.reader.name}) at {slot.reader.place(tuple(index))}"


def cast(array: NumPyArray, slot: Slot, bound: Bound, options: Options) -> NumPyArray:
    """Return the block in the type that the loss calculates with: whole labels as int64, numbers in float64 or as asked."""
    if slot.input.word.index:
        labels = array.astype(np.int64)
        if slot.input.word.rule == "target" and options.label_offset:
            return labels + options.label_offset * (labels != bound.params["ignore_index"])
        return labels
    kept = options.dtype == "native" and array.dtype.kind == "f"
    return array if kept else array.astype(FLOATS.get(options.dtype, np.float64), copy=False)
