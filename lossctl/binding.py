"""Fitting arrays to a loss's signature: which axis is the samples', which shapes are the same thing seen another way.

Where torch and this module differ, this one refuses: shapes that merely broadcast are an error until `--broadcast`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl import shapes
from lossctl.blocks import Memory, Moved, Reader, reshaped, stretched, whole
from lossctl.errors import BadParameter, ShapeMismatch, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.loss import Loss
    from lossctl.shapes import Dims, Shape
    from lossctl.signature import Input
    from lossctl.spec import Options

Scalars = dict[str, Any]


@dataclass(frozen=True)
class Slot:
    """One array of a loss: its word, its reader, and the axis along which it is cut (None: read whole)."""

    input: Input
    reader: Reader
    axis: int | None


@dataclass(frozen=True)
class Bound:
    """A loss with its arrays in place: `n` samples of at most `elements` elements each.

    `single` says that the arrays came without a sample axis, and that the unreduced loss goes without one too.
    """

    loss: Loss
    params: Mapping[str, Any]
    slots: tuple[Slot, ...]
    dims: Dims
    n: int
    single: bool
    shape: Shape

    @property
    def elements(self) -> int:
        """The largest number of elements that one sample has in any array."""
        return max(prod(slot.reader.shape) // max(1, self.n) for slot in self.slots if slot.axis is not None)


def scalars(loss: Loss, given: Mapping[str, Any]) -> Scalars:
    """Return every scalar parameter of `loss`, as given or as it is by default.

    Raises: BadParameter for a name that the loss does not have or a value outside its domain.
    """
    values: Scalars = {parameter.name: parameter.default for parameter in loss.signature.parameters}
    words = {parameter.name: parameter.word for parameter in loss.signature.parameters}
    for name, value in given.items():
        values[name] = words[name].parse(name, value)
    return values


def bind(loss: Loss, readers: Mapping[str, Reader], params: Mapping[str, Any], options: Options) -> Bound:
    """Fit readers to the inputs of `loss`.

    Raises: ShapeMismatch, with both shapes and a way out, where they do not fit; BadParameter where one is missing.
    """
    views = _views(loss, _present(loss, readers), options)
    first = loss.signature.inputs[0]
    lead = views[first.name].shape
    single = len(lead) == shapes.fixed(first.word.shape) - 1
    dims: Dims = {}
    slots = []
    for argument in (a for a in loss.signature.arrays if a.name in views):
        slot, dims = _fit(argument, views, dims, single=single)
        slots.append(slot)
    return Bound(loss, params, tuple(slots), dims, dims["n"][0], single, lead)


def _present(loss: Loss, readers: Mapping[str, Reader]) -> dict[str, Reader]:
    missing = [argument.name for argument in loss.signature.inputs if argument.name not in readers]
    if missing:
        order = " ".join(argument.name.upper() for argument in loss.signature.inputs)
        message = f"{loss.name} needs {len(loss.signature.inputs)} inputs; missing: {', '.join(missing)}."
        raise BadParameter(message, hint=f"Write: lossctl compute {loss.name} {order}, or -i {missing[0]}=SOURCE.")
    return {argument.name: readers[argument.name] for argument in loss.signature.arrays if argument.name in readers}


def _views(loss: Loss, readers: dict[str, Reader], options: Options) -> dict[str, Reader]:
    """Apply the options that let shapes be seen another way."""
    if options.squeeze:
        readers = {name: reshaped(reader, tuple(s for s in reader.shape if s != 1)) for name, reader in readers.items()}
    if options.class_dim is not None:
        readers = _classes_second(loss, readers, options.class_dim)
    if options.broadcast:
        readers = _broadcast(loss, readers)
    return readers


def _classes_second(loss: Loss, readers: dict[str, Reader], axis: int) -> dict[str, Reader]:
    """Move the class axis where torch wants it, in the scores and in targets of their shape."""
    first = loss.signature.inputs[0]
    if "c" not in shapes.tokens(first.word.shape) or "t" in shapes.tokens(first.word.shape):
        message = f"--class-dim has no meaning for {loss.name}: its {first.name} has no class axis that could stand elsewhere."
        raise UsageError(message, hint="Leave it out.")
    scores = readers[first.name].shape
    if not -len(scores) <= axis < len(scores):
        message = f"--class-dim {axis} is outside of {first.name}, whose shape is {scores}."
        raise ShapeMismatch(message, hint=f"Give a dim in {-len(scores)}..{len(scores) - 1}.")
    if len(scores) == 1:
        return readers
    return {name: Moved(r, axis % len(scores), 1) if r.shape == scores else r for name, r in readers.items()}


def _broadcast(loss: Loss, readers: dict[str, Reader]) -> dict[str, Reader]:
    """Stretch the elementwise inputs to their common shape, as torch would."""
    names = [a.name for a in loss.signature.inputs if a.word.shape == "n *d" and a.word.rule == "exact"]
    common = shapes.broadcast(*(readers[name].shape for name in names))
    if common is None:
        return readers
    return {name: stretched(r, common) if name in names else r for name, r in readers.items()}


def _fit(argument: Input, readers: Mapping[str, Reader], dims: Dims, *, single: bool) -> tuple[Slot, Dims]:
    """Fit one array, given the dims that those before it have bound."""
    reader = readers[argument.name]
    rule = RULES[argument.word.rule]
    word = argument.word.shape
    if single and len(reader.shape) < shapes.fixed(word) and "n" in shapes.tokens(word) and argument.word.rule != "broadcast":
        reader = _with_sample_axis(reader, word)
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
    return f"Wanted: {argument.word.says}."


Fitted = tuple["Input", Reader, str]


def _exact(argument: Input, reader: Reader, _: Mapping[str, Reader], __: Dims, ___: bool) -> Fitted:  # noqa: FBT001
    return argument, reader, argument.word.shape


def _target(argument: Input, reader: Reader, readers: Mapping[str, Reader], dims: Dims, single: bool) -> Fitted:  # noqa: FBT001
    """Class indices, unless the shape is that of the scores: then probabilities, as torch decides it."""
    scores = next(iter(readers.values())).shape
    if readers[argument.name].shape != scores:
        return argument, reader, "n *d"
    word = replace(argument.word, index=False, says="probabilities")
    view = reshaped(readers[argument.name], (1, *scores)) if single else reader
    return replace(argument, word=word), view, "n c *d" if "c" in dims else "n *d"


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


RULES = {"exact": _exact, "target": _target, "variance": _variance, "broadcast": _trailing, "sequences": _sequences}
