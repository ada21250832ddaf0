"""The options that let shapes be seen another way: `--class-dim`, `--squeeze` and `--broadcast`, in this order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from lossctl import shapes
from lossctl.blocks import Moved, Reader, reshaped, stretched
from lossctl.errors import ShapeMismatch, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.loss import Loss
    from lossctl.shapes import Dims, Shape
    from lossctl.signature import Input
    from lossctl.spec import Options

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


def _squeezed(loss: Loss, readers: Readers) -> Readers:
    """Drop axes of size 1, but none that the loss gives a meaning to: one class, one sample or one frame stays an axis."""
    lead = readers[loss.signature.inputs[0].name].shape
    result = {a.name: _squeeze(a, readers[a.name], lead) for a in loss.signature.arrays if a.name in readers}
    alike = _elementwise(loss, result)
    if len({result[name].shape[:1] for name in alike}) > 1:
        result |= {name: reshaped(result[name], shapes.squeezed("*d", result[name].shape)) for name in alike}
    return result


def _squeeze(argument: Input, reader: Reader, lead: Shape) -> Reader:
    """Squeeze one array; one that is fitted to the last axes of the first input loses an axis where that one loses it."""
    if argument.word.rule in {"broadcast", "variance"}:
        first = len(reader.shape) - len(lead)
        lost = [axis for axis, size in enumerate(lead) if axis and size == 1 and axis + first >= 0]
        lost = [axis + first for axis in lost if reader.shape[axis + first] == 1]
        return reshaped(reader, tuple(size for axis, size in enumerate(reader.shape) if axis not in lost))
    soft = argument.word.rule == "target" and reader.shape == lead
    return reshaped(reader, shapes.squeezed("n c *d" if soft else argument.word.shape, reader.shape))


def _elementwise(loss: Loss, readers: Readers) -> list[str]:
    """The arrays that must have one shape."""
    rules = {"exact", "free"}
    return [a.name for a in loss.signature.arrays if a.name in readers and a.word.shape == "n *d" and a.word.rule in rules]


def _broadcast(loss: Loss, readers: Readers) -> Readers:
    """Stretch the elementwise inputs to their common shape, as torch would."""
    inputs = {argument.name for argument in loss.signature.inputs}
    names = [name for name in _elementwise(loss, readers) if name in inputs]
    common = shapes.broadcast(*(readers[name].shape for name in names))
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
    if given != lead and prod(given) > 1 and shapes.squeezed("*d", given) == shapes.squeezed("*d", lead):
        spec = f"n *_{name}"
        return replace(argument, word=replace(argument.word, shape=spec)), reader, spec
    counts = Counter(other.shape[0] for other in readers.values() if other.shape)
    n = 1 if single else counts.most_common(1)[0][0]
    return argument, reader, f"n *_{argument.name}" if given[:1] == (n,) else f"*_{argument.name}"
