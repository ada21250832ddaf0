"""Fitting arrays to a loss's signature: which axis is the samples', which shapes are the same thing seen another way.

Where torch and this module differ, this one refuses: shapes that merely broadcast are an error until `--broadcast`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl import shapes
from lossctl.blocks import Memory, Reader, reshaped, stretched, whole
from lossctl.errors import BadParameter, ShapeMismatch, UnreadableFile, near
from lossctl.views import free, views
from lossctl.words import UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.loss import Loss
    from lossctl.shapes import Dims, Shape
    from lossctl.signature import Input
    from lossctl.spec import Options

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

    @property
    def elements(self) -> int:
        """The largest number of elements that one sample has in any array, or in the scores that are made of it."""
        scores = prod(self.dims["c"] + self.dims.get("d", ())) if "c" in self.dims else 0
        return max(scores, *(prod(slot.reader.shape) // max(1, self.n) for slot in self.slots if slot.axis is not None))


def scalars(loss: Loss, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every scalar parameter of `loss`, as given or as it is by default.

    Raises: BadParameter for a name that the loss does not have or a value outside its domain.
    """
    values: dict[str, Any] = {parameter.name: parameter.default for parameter in loss.signature.parameters}
    words = {parameter.name: parameter.word for parameter in loss.signature.parameters}
    for name, value in given.items():
        if name not in words:
            message = f"{loss.name} has no parameter '{name}'."
            raise BadParameter(message, hint=near(name, words, "parameters"))
        values[name] = words[name].parse(name, value)
    return values


def bind(loss: Loss, readers: Mapping[str, Reader], params: Mapping[str, Any], options: Options) -> Bound:
    """Fit readers to the inputs of `loss`.

    Raises: ShapeMismatch, with both shapes and a way out, where they do not fit; BadParameter where one is missing.
    """
    seen = views(loss, _present(loss, readers), options)
    first = loss.signature.inputs[0]
    lead = seen[first.name].shape
    single = len(lead) == shapes.fixed(first.word.shape) - 1 and first.word.rule != "columns"
    dims: Dims = {}
    slots = []
    for argument in (a for a in loss.signature.arrays if a.name in seen):
        slot, dims = _fit(argument, seen, dims, single=single)
        slots.append(slot)
    _check_dims(loss, seen[first.name], dims, single=single)
    if any(slot.reader.dtype.kind in "iu" and slot.reader.dtype.itemsize == WIDE for slot in slots):
        from lossctl.exactly import exact  # noqa: PLC0415 - only whole numbers of eight bytes can be too large

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
        raise ShapeMismatch(message, hint=f"It must be {shapes.say(loss.signature.inputs[0].word.shape, {})}.")


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
    if single and len(reader.shape) < shapes.fixed(word) and "n" in shapes.tokens(word) and argument.word.rule != "broadcast":
        reader = _with_sample_axis(reader, word)
    if argument.word.index and dims:
        # Labels have no axes that the scores before them do not have.
        dims = {"d": (), **dims}
    argument, reader, spec = rule(argument, reader, readers, dims, single)
    bound = shapes.match(spec, reader.shape, dims)
    if bound is None:
        raise _mismatch(argument, readers, dims)
    axis = shapes.sample_axis(spec)
    return Slot(argument, reader, axis), bound


def _with_sample_axis(reader: Reader, word: str) -> Reader:
    axis = shapes.sample_axis(word) or 0
    return reshaped(reader, (*reader.shape[:axis], 1, *reader.shape[axis:]))


def _mismatch(argument: Input, readers: Mapping[str, Reader], dims: Dims) -> ShapeMismatch:
    """Say both shapes; the names are those of the files, which is what the user can change."""
    reader = readers[argument.name]
    first_name, first = next(iter(readers.items()))
    if first_name == argument.name:
        message = (
            f"{argument.name} ({reader.name}) has shape {reader.shape}; it must be {shapes.say(argument.word.shape, dims)}."
        )
        return ShapeMismatch(message, hint=f"Wanted: {argument.word.says}.")
    message = (
        f"{first_name} ({first.name}) has shape {first.shape} and {argument.name} ({reader.name}) has shape {reader.shape}, "
        f"which must be {shapes.say(argument.word.shape, dims)}."
    )
    return ShapeMismatch(message, hint=_way_out(reader.shape, first.shape, argument))


def _way_out(given: Shape, lead: Shape, argument: Input) -> str:
    """The option that would make two shapes fit, if there is one."""
    if given == (*lead[:1], *lead[2:], 1) or [s for s in given if s != 1] == [s for s in lead if s != 1]:
        return "Use --squeeze to drop axes of size 1."
    if argument.word.rule == "target" and given and given == lead[:-1]:
        return "If the classes are on the last axis, use --class-dim -1."
    if argument.word.rule == "exact" and argument.word.shape == "n *d":
        return "Give both in one shape" + (", or use --broadcast." if shapes.broadcast(given, lead) else ".")
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
    if len(reader.shape) > len(lead) or shapes.broadcast(reader.shape, lead) != lead:
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
