"""Fitting arrays to a loss's signature: which axis is the samples', which shapes are the same thing seen another way.

The options that let shapes be seen another way apply in this order: `--class-dim`, `--squeeze`, `--broadcast`. Where torch and
this module differ, this one refuses: shapes that merely broadcast are an error until `--broadcast`.

Whole numbers beyond 2^53 are decided here, so that values, gradients and comparisons see the same numbers: a loss of the
difference alone gets the difference exactly, others refuse what float64 would round. Only int64 and uint64 are looked at.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import BadParameter, ShapeMismatch, UnreadableFile, UsageError
from lossctl.losses.loss import ANY, Input, Loss
from lossctl.losses.words import UNIT
from lossctl.sources.readers import (
    Memory,
    Moved,
    Reader,
    Same,
    broadcast,
    fixed,
    match,
    reshaped,
    sample_axis,
    say,
    squeezed,
    stretched,
    whole,
)
from lossctl.sources.values import SMALL, beyond, difference, first_rounded, refusal, wide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.request.options import Options
    from lossctl.sources.readers import Dims, NumPyArray, Shape


Readers = dict[str, Reader]


def views(loss: Loss, readers: Readers, options: Options) -> Readers:
    """See the readers of `loss` as the options say.

    Raises: UsageError where `--class-dim` has no meaning, ShapeMismatch where there is no such dim.
    """
    if options.class_dim is not None:
        readers = _classes_second(loss, readers, options.class_dim)
    if options.squeeze:
        readers = _squeezed(loss, readers)
    if options.broadcast:
        readers = _broadcast(loss, readers)
    return readers


def _classes_second(loss: Loss, readers: Readers, axis: int) -> Readers:
    """Move the class axis where torch wants it, in the scores and in targets of their shape."""
    first = loss.signature.inputs[0]
    if "c" not in first.word.shape.split() or "t" in first.word.shape.split():
        message = f"--class-dim has no meaning for {loss.name}: its {first.name} has no class axis that could stand elsewhere."
        raise UsageError(message, hint="Leave it out.")
    scores = readers[first.name].shape
    if not -len(scores) <= axis < len(scores):
        message = f"--class-dim {axis} is outside of {first.name}, whose shape is {scores}."
        raise ShapeMismatch(message, hint=f"Give a dim in {-len(scores)}..{len(scores) - 1}.")
    if len(scores) == 1:
        return readers
    return {name: Moved(r, axis % len(scores), 1) if r.shape == scores else r for name, r in readers.items()}


def _squeezed(loss: Loss, readers: Readers) -> Readers:
    """Drop axes of size 1, but none that the loss gives a meaning to: one class, one sample or one frame stays an axis."""
    lead = readers[loss.signature.inputs[0].name].shape
    result = {a.name: _squeeze(a, readers[a.name], lead) for a in loss.signature.arrays if a.name in readers}
    alike = _elementwise(loss, result)
    if len({result[name].shape[:1] for name in alike}) > 1:
        result |= {name: reshaped(result[name], squeezed("*d", result[name].shape)) for name in alike}
    return result


def _squeeze(argument: Input, reader: Reader, lead: Shape) -> Reader:
    """Squeeze one array; one that is fitted to the last axes of the first input loses an axis where that one loses it."""
    if argument.word.rule in {"broadcast", "variance"}:
        first = len(reader.shape) - len(lead)
        lost = [axis for axis, size in enumerate(lead) if axis and size == 1 and axis + first >= 0]
        lost = [axis + first for axis in lost if reader.shape[axis + first] == 1]
        return reshaped(reader, tuple(size for axis, size in enumerate(reader.shape) if axis not in lost))
    soft = argument.word.rule == "target" and reader.shape == lead
    return reshaped(reader, squeezed("n c *d" if soft else argument.word.shape, reader.shape))


def _elementwise(loss: Loss, readers: Readers) -> list[str]:
    """The arrays that must have one shape."""
    rules = {"exact", "free"}
    return [a.name for a in loss.signature.arrays if a.name in readers and a.word.shape == "n *d" and a.word.rule in rules]


def _broadcast(loss: Loss, readers: Readers) -> Readers:
    """Stretch the elementwise inputs to their common shape, as torch would."""
    inputs = {argument.name for argument in loss.signature.inputs}
    names = [name for name in _elementwise(loss, readers) if name in inputs]
    common = broadcast(*(readers[name].shape for name in names))
    if common is None:
        return readers
    return {name: stretched(r, common) if name in names else r for name, r in readers.items()}


def free(argument: Input, reader: Reader, readers: Mapping[str, Reader], _: Dims, single: bool) -> tuple[Input, Reader, str]:  # noqa: FBT001
    """An input whose shape only the loss itself knows: the samples are along the first axis, as far as inputs agree on it.

    torch's CTC has time first in one input and the samples in the others; that one is not cut. Arrays that are the same but
    for axes of size 1 would broadcast to all pairs, and must have the first one's shape.
    """
    name, first = next(iter(readers.items()))
    lead, given = first.shape, reader.shape
    if given != lead and prod(given) > 1 and squeezed("*d", given) == squeezed("*d", lead):
        spec = f"n *_{name}"
        return replace(argument, word=replace(argument.word, shape=spec)), reader, spec
    counts = Counter(other.shape[0] for other in readers.values() if other.shape)
    n = 1 if single else counts.most_common(1)[0][0]
    return argument, reader, f"n *_{argument.name}" if given[:1] == (n,) else f"*_{argument.name}"


# Bytes of whole numbers, some of which float64 does not hold.
WIDE = 8
SOFT = "probabilities, since its shape is that of the scores"


@dataclass(frozen=True)
class Slot:
    """One array of a loss: its word, its reader, and the axis along which it is cut (None: read whole)."""

    input: Input
    reader: Reader
    axis: int | None


@dataclass(frozen=True)
class Bound:
    """A loss with its arrays in place: `n` samples of at most `elements` elements each.

    `single` says that the arrays came without a sample axis, and that the unreduced loss goes without one too. An `optional`
    loss that refuses the values ends no pass: its tally says why it does not fit.
    """

    loss: Loss
    params: Mapping[str, Any]
    slots: tuple[Slot, ...]
    dims: Dims
    n: int
    single: bool
    shape: Shape
    optional: bool = False

    @cached_property
    def elements(self) -> int:
        """The largest number of elements that one sample has in any array, or in the scores that are made of it."""
        scores = prod(self.dims["c"] + self.dims.get("d", ())) if "c" in self.dims else 0
        return max(scores, *(prod(slot.reader.shape) // max(1, self.n) for slot in self.slots if slot.axis is not None))


def bind(loss: Loss, readers: Mapping[str, Reader], params: Mapping[str, Any], options: Options) -> Bound:
    """Fit readers to the inputs of `loss`.

    Raises: ShapeMismatch, with both shapes and a way out, where they do not fit; BadParameter where one is missing.
    """
    seen = views(loss, _present(loss, readers), options)
    first = loss.signature.inputs[0]
    lead = seen[first.name].shape
    single = len(lead) == fixed(first.word.shape) - 1 and first.word.rule != "columns"
    dims: Dims = {}
    slots = []
    for argument in (a for a in loss.signature.arrays if a.name in seen):
        slot, dims = _fit(argument, seen, dims, single=single)
        slots.append(slot)
    _check_dims(loss, seen[first.name], dims, single=single)
    if any(slot.reader.dtype.kind in "iu" and slot.reader.dtype.itemsize == WIDE for slot in slots):
        wide = exact(loss, [(slot.input, slot.reader) for slot in slots], params)
        slots = [replace(slot, reader=reader) for slot, reader in zip(slots, wide, strict=True)]
    return Bound(loss, _shifted(slots, params, options), tuple(slots), dims, dims["n"][0], single, lead)


def _check_dims(loss: Loss, first: Reader, dims: Dims, *, single: bool) -> None:
    """Refuse what fits and still means nothing: no classes, vectors of no components, a single sample to pair with itself."""
    what = {"c": "classes", "e": "components"}
    empty = next((what[name] for name, sizes in dims.items() if name in what and sizes == (0,)), None)
    if empty or (loss.pairs and single):
        why = f"there are no {empty}" if empty else f"{loss.name} compares samples with one another, and this is a single one"
        message = f"{loss.signature.inputs[0].name} ({first.name}) has shape {first.shape}: {why}."
        raise ShapeMismatch(message, hint=f"It must be {say(loss.signature.inputs[0].word.shape, {})}.")


def _shifted(slots: list[Slot], params: Mapping[str, Any], options: Options) -> Mapping[str, Any]:
    """`--ignore-index` means labels as they are in the file: what is added to labels is added to it."""
    if "ignore_index" not in params or not any(slot.input.word.shifts for slot in slots):
        return params
    return {**params, "ignore_index": params["ignore_index"] + options.label_offset}


def _present(loss: Loss, readers: Mapping[str, Reader]) -> dict[str, Reader]:
    missing = [argument.name for argument in loss.signature.inputs if argument.name not in readers]
    if missing:
        order = " ".join(argument.name.upper() for argument in loss.signature.inputs)
        message = f"{loss.name} needs {len(loss.signature.inputs)} inputs; missing: {', '.join(missing)}."
        raise BadParameter(message, hint=f"Write: lossctl compute {loss.name} {order}, or -i {missing[0]}=SOURCE.")
    given = {argument.name: readers[argument.name] for argument in loss.signature.arrays if argument.name in readers}
    for name, reader in given.items():
        if reader.dtype.kind not in "biuf":
            message = f"{name} ({reader.name}) holds {reader.dtype}, not real numbers."
            raise UnreadableFile(message, hint="Convert it to integers or floats.")
    return given


def _fit(argument: Input, readers: Mapping[str, Reader], dims: Dims, *, single: bool) -> tuple[Slot, Dims]:
    """Fit one array, given the dims that those before it have bound."""
    reader = readers[argument.name]
    rule = RULES[argument.word.rule]
    word = argument.word.shape
    if single and len(reader.shape) < fixed(word) and "n" in word.split() and argument.word.rule != "broadcast":
        reader = _with_sample_axis(reader, word)
    if argument.word.index and dims:
        # Labels have no axes that the scores before them do not have.
        dims = {"d": (), **dims}
    argument, reader, spec = rule(argument, reader, readers, dims, single)
    bound = match(spec, reader.shape, dims)
    if bound is None:
        raise _mismatch(argument, readers, dims)
    axis = sample_axis(spec)
    return Slot(argument, reader, axis), bound


def _with_sample_axis(reader: Reader, word: str) -> Reader:
    axis = sample_axis(word) or 0
    return reshaped(reader, (*reader.shape[:axis], 1, *reader.shape[axis:]))


def _mismatch(argument: Input, readers: Mapping[str, Reader], dims: Dims) -> ShapeMismatch:
    """Say both shapes; the names are those of the files, which is what the user can change."""
    reader = readers[argument.name]
    first_name, first = next(iter(readers.items()))
    if first_name == argument.name:
        message = f"{argument.name} ({reader.name}) has shape {reader.shape}; it must be {say(argument.word.shape, dims)}."
        return ShapeMismatch(message, hint=f"Wanted: {argument.word.says}.")
    message = (
        f"{first_name} ({first.name}) has shape {first.shape} and {argument.name} ({reader.name}) has shape {reader.shape}, "
        f"which must be {say(argument.word.shape, dims)}."
    )
    return ShapeMismatch(message, hint=_way_out(reader.shape, first.shape, argument))


def _way_out(given: Shape, lead: Shape, argument: Input) -> str:
    """The option that would make two shapes fit, if there is one."""
    if given == (*lead[:1], *lead[2:], 1) or [s for s in given if s != 1] == [s for s in lead if s != 1]:
        return "Use --squeeze to drop axes of size 1."
    if argument.word.rule == "target" and given and given == lead[:-1]:
        return "If the classes are on the last axis, use --class-dim -1."
    if argument.word.rule == "exact" and argument.word.shape == "n *d":
        return "Give both in one shape" + (", or use --broadcast." if broadcast(given, lead) else ".")
    return f"Wanted: {argument.word.says}."


Fitted = tuple["Input", Reader, str]


def _exact(argument: Input, reader: Reader, _: Mapping[str, Reader], __: Dims, ___: bool) -> Fitted:  # noqa: FBT001
    return argument, reader, argument.word.shape


def _target(argument: Input, reader: Reader, readers: Mapping[str, Reader], dims: Dims, single: bool) -> Fitted:  # noqa: FBT001
    """Class indices, unless the shape is that of the scores: then probabilities, as torch decides it."""
    spec = "n c *d" if "c" in dims else "n *d"
    scores = (*(() if single else dims["n"]), *dims.get("c", ()), *dims["d"])
    if readers[argument.name].shape != scores:
        return argument, reader, "n *d"
    word = replace(argument.word, shape=spec, says=SOFT, domain=UNIT, index=False)
    view = reshaped(readers[argument.name], (1, *scores)) if single else reader
    return replace(argument, word=word), view, spec


def _variance(argument: Input, reader: Reader, readers: Mapping[str, Reader], dims: Dims, single: bool) -> Fitted:  # noqa: FBT001
    """torch.nn.functional.gaussian_nll_loss: pred's shape, one axis short, one axis of size 1, or a single number."""
    given = readers[argument.name].shape
    lead = (*(() if single else dims["n"]), *dims["d"])
    if given == lead[:-1] and given != lead:
        given = (*given, 1)
    narrow = [size for size, wide in zip(given, lead, strict=False) if size != wide]
    if given != () and (len(given) != len(lead) or narrow not in ([], [1])):
        return argument, reader, argument.word.shape
    view = stretched(reshaped(readers[argument.name], given), lead)
    return argument, reshaped(view, (1, *lead)) if single else view, argument.word.shape


def _trailing(argument: Input, reader: Reader, readers: Mapping[str, Reader], dims: Dims, single: bool) -> Fitted:  # noqa: FBT001
    """Broadcast against the last axes; a weight that has no sample axis of its own is read whole."""
    lead = (*(() if single else dims["n"]), *dims["d"])
    if len(reader.shape) > len(lead) or broadcast(reader.shape, lead) != lead:
        raise _mismatch(argument, readers, dims)
    rank = len(dims["n"]) + len(dims["d"])
    view = reshaped(reader, (1,) * (rank - len(reader.shape)) + reader.shape)
    if view.shape[0] == 1:
        return argument, view, " ".join(f"_{argument.name}{i}" for i in range(rank))
    return argument, view, f"n *_{argument.name}"


def _sequences(argument: Input, reader: Reader, readers: Mapping[str, Reader], dims: Dims, single: bool) -> Fitted:  # noqa: FBT001
    """Pad label sequences that were given end to end."""
    lengths = next((r for name, r in readers.items() if name.endswith("target_lengths")), None)
    if single or len(reader.shape) != 1 or lengths is None:
        return argument, reader, argument.word.shape
    counts = whole(lengths).astype(np.int64).reshape(-1)
    labels = whole(reader)
    if (counts < 0).any() or counts.sum() != labels.size or (counts.size,) != dims["n"]:
        message = f"{argument.name} ({reader.name}) holds {labels.size} labels, but target_lengths add up to {counts.sum()}."
        raise ShapeMismatch(message, hint="Labels given end to end must be as many as their lengths say.")
    padded = np.zeros((counts.size, int(counts.max(initial=0))), labels.dtype)
    padded[np.arange(padded.shape[1]) < counts[:, None]] = labels
    return argument, Memory(padded, reader.name), argument.word.shape


def _columns(argument: Input, reader: Reader, _: Mapping[str, Reader], dims: Dims, __: bool) -> Fitted:  # noqa: FBT001
    """One probability a sample is that of class 1, of two; it is seen as a column."""
    if not reader.shape or reader.shape[1:] not in {(), (1,)}:
        return argument, reader, argument.word.shape
    dims["c"] = (2,)
    return argument, reshaped(reader, (reader.shape[0], 1)), "n 1"


RULES = {
    "exact": _exact,
    "target": _target,
    "variance": _variance,
    "broadcast": _trailing,
    "sequences": _sequences,
    "columns": _columns,
    "free": free,
}


# Samples on which it is tried whether a loss depends on the difference alone.
TRIED = 5


@dataclass(frozen=True)
class Exact(Same):
    """Whole numbers as float64, each of which is exact."""

    role: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float64."""
        return np.dtype(np.float64)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`.

        Raises: OutOfDomain with the first number that would be rounded.
        """
        array = self.inner.read(start, stop, axis)
        result = first_rounded(array)
        if result is not None:
            place = [at + start * (axis == number) for number, at in enumerate(result)]
            name = f"{self.role} ({self.name})"
            where = f"{name} at {self.inner.place(tuple(place))}" if self.shape else name
            raise refusal(int(array[result]), where)
        return array.astype(np.float64)


@dataclass(frozen=True)
class Less(Same):
    """A prediction minus its target where the target is large, and as it is elsewhere."""

    target: Reader

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float64."""
        return np.dtype(np.float64)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        array, target = self.inner.read(start, stop, axis), self.target.read(start, stop, axis)
        if not beyond(target, SMALL):
            return array.astype(np.float64)
        # What is not finite stays where it is.
        return np.where(np.isfinite(target), difference(array, target), array)


@dataclass(frozen=True)
class Taken(Same):
    """A target that was taken from its prediction: zero where it is large, and as it is elsewhere."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float64."""
        return np.dtype(np.float64)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        array = self.inner.read(start, stop, axis)
        return np.where(np.isfinite(array), 0.0, array) if beyond(array, SMALL) else array.astype(np.float64)


def exact(loss: Loss, arrays: Sequence[tuple[Input, Reader]], params: Mapping[str, Any]) -> list[Reader]:
    """Put readers of wide whole numbers in the place of those that would be rounded; labels and lengths stay whole."""
    readers = {given.name: reader for given, reader in arrays}
    pred, target = readers.get("pred"), readers.get("target")
    both = pred is not None and target is not None and _subtracted(pred, target) and by_difference(loss, readers, params)
    return [_seen(given, reader, target if both else None) for given, reader in arrays]


def _seen(given: Input, reader: Reader, target: Reader | None) -> Reader:
    if target is not None and given.name in {"pred", "target"}:
        return Less(reader, target) if given.name == "pred" else Taken(reader)
    plain = given.word.index or given.word.rule == "free" or not wide(reader.dtype)
    return reader if plain else Exact(reader, given.name)


def _subtracted(pred: Reader, target: Reader) -> bool:
    """Whether numbers stand against numbers, one by one, and some of them may be large whole ones."""
    return pred.shape == target.shape and (wide(pred.dtype) or wide(target.dtype))


def by_difference(loss: Loss, readers: Mapping[str, Reader], params: Mapping[str, Any]) -> bool:
    """Whether the loss depends on its prediction and target by their difference alone: tried on numbers of these shapes."""
    arrays = [a for a in loss.signature.arrays if a.name in readers]
    if any(a.word.index or a.word.signs or a.word.rule == "free" or a.word.domain != ANY for a in arrays[:2]):
        return False
    drawn = {a.name: _waves(readers[a.name].shape, number) for number, a in enumerate(arrays)}
    moved = {**drawn, "pred": drawn["pred"] - drawn["target"], "target": np.zeros(drawn["target"].shape)}
    try:
        return _same(_terms(loss, drawn, params), _terms(loss, moved, params))
    except Exception:  # noqa: BLE001 - a loss that does not take these numbers is no loss of any difference
        return False


def _waves(shape: Shape, number: int) -> NumPyArray:
    """Numbers of both signs for the first two arrays, and above zero for what stands beside them."""
    few = (min(shape[0], TRIED), *shape[1:]) if shape else ()
    waves = np.asarray(3 * np.sin(np.arange(np.prod(few, dtype=int)) * (1.3 + number) + 0.7 * number)).reshape(few)
    return waves if number < 2 else 0.5 + np.abs(waves)  # noqa: PLR2004 - pred and target


def _terms(loss: Loss, arrays: Mapping[str, NumPyArray], params: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = [arrays[a.name] for a in loss.signature.inputs]
    tensors = {a.name: arrays.get(a.name) for a in loss.signature.tensors}
    with np.errstate(all="ignore"):
        result: Any = loss.terms(np, *inputs, **tensors, **params)
    return result if isinstance(result, dict) else {"value": result}


def _same(mapping: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(np.array_equal(np.asarray(mapping[name]), np.asarray(other[name])) for name in mapping)
