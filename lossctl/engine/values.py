"""Values inside a block: are they numbers, are they in the domain, and as which type are they calculated with.

The test that every value must pass is one sum of squares, or one minimum and one maximum where there is a domain: NaN and
infinities fail both. Only a block that fails is looked at again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lossctl.errors import NotFinite, OutOfDomain
from lossctl.losses.loss import ANY, Domain

if TYPE_CHECKING:
    from lossctl.engine.binding import Bound, Slot
    from lossctl.request.options import Options
    from lossctl.sources.readers import NumPyArray

# The numbers of a block's samples in the whole array, worked out only where a message needs them.
Numbers = Callable[[], "NumPyArray"]

FLOATS: Mapping[str, Any] = {"f64": np.float64, "f32": np.float32}
# Beyond this not every whole number is a float64.
WHOLE = 2**53
# Labels are int64.
LARGEST_LABEL = 2**63 - 1
# Entries of a row up to which it is worth its while to turn a block round.
SHORT = 64
# How far from 1 rounded probabilities may add up.
NEARLY_ONE = 1e-2


def finite_rows(array: NumPyArray, axis: int, signs: str = "") -> NumPyArray:
    """Which samples hold nothing but finite numbers, and infinities of these signs."""
    if array.dtype.kind != "f":
        return np.ones(array.shape[axis], bool)
    others = tuple(a for a in range(array.ndim) if a != axis)
    good = np.isfinite(array)
    for sign in signs:
        good |= array == float(f"{sign}inf")
    return np.asarray(good.all(axis=others))


def surely_finite(array: NumPyArray) -> bool:
    """Whether the sum of squares is finite: NaN and infinities spoil it, and an overflow only asks for a closer look."""
    fast = array.dtype.char in "fd" and array.flags.c_contiguous
    return fast and math.isfinite(float(np.vdot(array, array)))


def traits(slot: Slot, bound: Bound) -> tuple[Any, ...]:
    """Everything that checking and casting depend on, besides the reader."""
    word, classes = slot.input.word, bound.dims.get("c") if slot.input.word.shifts else None
    places = bound.dims.get(word.upto)
    return word, classes, places, bound.params.get(word.free_if), bound.params.get("ignore_index"), bound.single


def check(array: NumPyArray, slot: Slot, bound: Bound, numbers: Numbers, options: Options) -> None:
    """Check one block of one array, whose samples are numbered in the whole array by `numbers()`.

    `--nan` speaks of NaN and infinity, `--domain` of the numbers between. Labels and lengths are always checked, since they
    are places.

    Raises: NotFinite or OutOfDomain, with the first offending place.
    """
    word = slot.input.word
    if array.size == 0 or (word.domain == ANY and not word.index and surely_finite(array)):
        return
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        if (options.nan != "propagate" or word.index) and not _has_limits(low, high, slot, bound):
            raise _not_finite(array, slot, numbers)
        numbers_alone = array[np.isfinite(array)]
        low, high = numbers_alone.min(initial=np.inf), numbers_alone.max(initial=-np.inf)
    free = not word.index and (options.domain == "ignore" or not bounded(slot, bound))
    if not (free or low > high or (word.domain.holds(low, high) and not word.domain.values)):
        wrong = outside(array, word.domain)
        if wrong.any():
            raise _outside(array, slot, numbers, wrong)
    if word.index:
        check_index(array, slot, bound, numbers, options)
    elif bound.single and word.rule == "target" and not free and "c" in bound.loss.signature.inputs[0].word.shape:
        _check_adds_up(array, slot)


def infinities(slot: Slot, bound: Bound) -> str:
    """The signs of the infinities that a loss may have a limit at in this array."""
    word = slot.input.word
    return word.infinite if not word.free_if or bound.params.get(word.free_if) is True else ""


def _has_limits(low: float, high: float, slot: Slot, bound: Bound) -> bool:
    """Whether all that is no finite number in [low, high] is an infinity that the word allows; NaN never is."""
    signs = infinities(slot, bound)
    return (low > -np.inf or "-" in signs) and (high < np.inf or "+" in signs) and not np.isnan(low)


def harmless(domain: Domain) -> float:
    """A value that a loss is defined on, to stand where nothing counts."""
    return next((value for value in (*domain.values, 0.0, 1.0) if domain.holds(value, value)), domain.high)


def bounded(slot: Slot, bound: Bound) -> bool:
    """Whether the domain of a slot's word holds for this loss: a flag may lift it, and a `loose` word only warns."""
    word = slot.input.word
    return not (word.domain == ANY or word.loose or bound.params.get(word.free_if) is True)


def outside(array: NumPyArray, domain: Domain) -> NumPyArray:
    """Which finite values lie outside of a domain."""
    if domain.values:
        inside = np.isin(array, np.asarray(domain.values))
    else:
        above = np.greater if domain.open_low else np.greater_equal
        inside = above(array, domain.low) & (array <= domain.high)
    result: NumPyArray = ~inside & np.isfinite(array)
    return result


def _check_adds_up(array: NumPyArray, slot: Slot) -> None:
    """Scores and labels of one shape (N,) would be read as one sample with N classes and its probabilities."""
    total = float(array.sum(dtype=np.float64))
    if math.isfinite(total) and abs(total - 1) > NEARLY_ONE:
        what = f"{slot.input.name} ({slot.reader.name}) adds up to {total:g}"
        why = "it has the scores' shape, which is that of one sample, so that it must hold the probabilities of its classes"
        raise OutOfDomain(f"{what}: {why}.", hint="For many samples, give scores of shape (N, C) and labels of shape (N,).")


def check_index(array: NumPyArray, slot: Slot, bound: Bound, numbers: Numbers, options: Options) -> None:
    """Check that labels are whole and, where the classes are known, among them; and lengths no longer than their axis.

    Raises: OutOfDomain, with what probably went wrong.
    """
    word = slot.input.word
    if array.dtype.kind in "fu":
        exact = array.astype(np.float64)
        wrong = exact != np.floor(exact)
        if wrong.any():
            raise _outside(array, slot, numbers, wrong, "what a label may be: a whole number")
        if (np.abs(exact) > WHOLE).any():
            rule = "what a label among floats may be: at most 2^53, since larger ones are rounded; store whole numbers"
            raise _outside(array, slot, numbers, np.abs(exact) > WHOLE, rule)
    elif array.dtype == np.uint64 and array.max() > LARGEST_LABEL:
        raise _outside(array, slot, numbers, array > LARGEST_LABEL, f"what a label may be: at most {LARGEST_LABEL}")
    if word.upto and array.max() > (most := bound.dims[word.upto][0]):
        raise _outside(array, slot, numbers, array > most, f"0..{most}, the places on that axis")
    if word.shifts and "c" in bound.dims:
        _check_classes(array, slot, bound, numbers, options.label_offset)


def _check_classes(array: NumPyArray, slot: Slot, bound: Bound, numbers: Numbers, offset: int) -> None:
    classes = bound.dims["c"][0]
    labels = array.astype(np.int64) + offset
    wrong = (labels < 0) | (labels >= classes)
    if "ignore_index" in bound.params:
        wrong &= labels != bound.params["ignore_index"]
    if wrong.any():
        where = _first(wrong)
        given = int(labels[where]) - offset
        what = f"{given}, with --label-offset {offset} class {given + offset}" if offset else f"class {given}"
        message = f"{_place(slot, where, numbers)} is {what}, but {classes} classes are 0..{classes - 1}."
        raise OutOfDomain(message, hint=_label_hint(labels - offset, classes, offset))


def _label_hint(labels: NumPyArray, classes: int, offset: int) -> str:
    """What labels out of range usually mean."""
    present = np.unique(labels)
    if not offset and present[0] == 1 and present[-1] == classes:
        return f"Labels run from 1 to {classes}: use --label-offset -1."
    stray = [int(label) for label in present if not 0 <= label + offset < classes]
    if len(stray) == 1:
        return f"If {stray[0]} marks what should not count, use --ignore-index {stray[0]}."
    return "The scores need one column a class."


def _not_finite(array: NumPyArray, slot: Slot, numbers: Numbers) -> NotFinite:
    bad = ~np.isfinite(array)
    where = _first(bad)
    count = f", the first of {int(bad.sum())} in this block" if bad.sum() > 1 else ""
    message = f"{_place(slot, where, numbers)} is {array[where]}{count}."
    ways = ["--nan skip to leave such samples out and say how many"] if slot.axis is not None else []
    ways += [] if slot.input.word.index else ["--nan propagate"]
    return NotFinite(message, hint=f"Use {', or '.join(ways)}." if ways else "Give a whole number.")


def _outside(array: NumPyArray, slot: Slot, numbers: Numbers, wrong: NumPyArray, wanted: str = "") -> OutOfDomain:
    where = _first(wrong)
    word = slot.input.word
    message = f"{_place(slot, where, numbers)} is {float(array[where]):g}, outside of {wanted or word.domain.says}."
    way = "" if word.index else " Use --domain ignore to compute the formula as it stands."
    return OutOfDomain(message, hint=f"Wanted: {word.says}{'; ' + word.needs if word.needs else ''}.{way}")


def _first(wrong: NumPyArray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))


def _place(slot: Slot, where: tuple[int, ...], numbers: Numbers) -> str:
    """Name an element of a block by its place in the whole file."""
    index = list(where)
    if slot.axis is not None and index:
        index[slot.axis] = int(numbers()[index[slot.axis]])
    name = f"{slot.input.name} ({slot.reader.name})"
    return f"{name} at {slot.reader.place(tuple(index))}" if slot.reader.shape else name


def cast(array: NumPyArray, slot: Slot, options: Options) -> NumPyArray:
    """Return the block in the type that the loss calculates with: labels as int64, numbers in float64 or as asked.

    Whole numbers stay whole for a loss of somebody else's, which alone knows whether they are labels.

    It lies in one order however it was stored, so that sums are taken in that order and have the same bits.
    """
    order = _order(slot)
    if slot.input.word.index:
        return array.astype(np.int64, order=order) + (options.label_offset if slot.input.word.shifts else 0)
    if slot.input.word.rule == "free" and array.dtype.kind in "biu":
        return array.astype(np.int64, order=order)
    if slot.input.word.signs:
        array = np.where(array == 0, -1, array)
    return array.astype(calculated(array.dtype, options.dtype), order=order, copy=False)


@cache
def calculated(kind: np.dtype[Any], dtype: str) -> np.dtype[Any]:
    """The type that numbers of a kind are calculated with under `--dtype`."""
    kept = dtype == "native" and kind.kind == "f" and kind.itemsize <= np.dtype(np.float64).itemsize
    return kind.newbyteorder("=") if kept else np.dtype(FLOATS.get(dtype, np.float64))


def _order(slot: Slot) -> Literal["C", "F"]:
    """Short rows that a loss reduces lie column by column, so that many of them are reduced at once: three times faster."""
    rows = slot.axis == 0 and slot.input.word.shape.split()[1:] not in ([], ["*d"])
    return "F" if rows and prod(slot.reader.shape[1:]) <= SHORT else "C"
