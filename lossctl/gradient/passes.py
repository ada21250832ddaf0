"""The gradient of one loss by its inputs, block by block, in the order of blocks.

A loss can be differentiated by its inputs of floats; of the rest this says why not. The slopes of the reduction by each sum,
and by scalar parameters, come first. The way back leads through views to the array that is in the file: what was reshaped is
reshaped back, what was moved is moved back, and what was broadcast is summed.

torch calculates on one thread a block, and blocks run on `--jobs` threads, so that no bit depends on how many there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.block import Block, Selection, Uncounted, zeroed
from lossctl.engine.fold import counted, elements_of, spans, unreduced
from lossctl.engine.threads import in_turn
from lossctl.errors import BadParameter, NoGradient, near
from lossctl.losses.loss import Anything, Loss, Number, Parameter, Tensor
from lossctl.sources.readers import Broadcast, Moved, NumPyArray, Reader, Reshaped, Same, Wrapped, keep_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lossctl.engine.binding import Bound, Slot
    from lossctl.request.options import Options


PARAM = "param:"


def chosen(bound: Bound, wrt: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The inputs and scalar parameters that `wrt` names; nothing stands for the first input, `all` for all that can be.

    Raises: NoGradient with the reason and the nearest loss that has one; BadParameter for an unknown name.
    """
    loss = bound.loss
    if loss.flat:
        message = f"{loss.name} has no gradient to train with: it is 0 wherever it exists, or that of one sample alone."
        raise NoGradient(message, hint=f"Train with {loss.flat}: lossctl grad {loss.flat} …")
    words = {slot.input.name: slot.input.word for slot in bound.slots}
    params = {parameter.name: parameter for parameter in loss.signature.parameters}
    names = list(wrt) or [loss.signature.inputs[0].name]
    if "all" in names and "all" not in words:
        every = [name for name, word in words.items() if not _reason(name, word)]
        names = every + [name for name in names if name != "all"]
    inputs = tuple(dict.fromkeys(_input(loss, name, words) for name in names if not name.startswith(PARAM)))
    numbers = [name.removeprefix(PARAM) for name in names if name.startswith(PARAM)]
    return inputs, tuple(dict.fromkeys(_parameter(loss, name, params) for name in numbers))


def _input(loss: Loss, name: str, words: dict[str, Tensor]) -> str:
    if name not in words:
        message = f"{loss.name} was given no input '{name}' to be differentiated by."
        known = [*words, *(f"{PARAM}{parameter.name}" for parameter in loss.signature.parameters)]
        raise BadParameter(message, hint=near(name, known, "names for --wrt"))
    reason = _reason(name, words[name])
    if reason:
        others = [other for other, word in words.items() if not _reason(other, word)]
        hint = f"There is a gradient by {', '.join(others)}." if others else "There is none by any other input either."
        raise NoGradient(f"{loss.name} has no gradient by {name}: {reason}.", hint=hint)
    return name


def _reason(name: str, word: Tensor) -> str:
    """Why there is no gradient by an input, or nothing."""
    if word.upto:
        return f"{name} holds lengths, which are whole numbers"
    if word.index:
        return (
            f"{name} holds labels, which are whole numbers; targets that are probabilities have one"
            if word.classes
            else (f"{name} holds whole numbers")
        )
    listed = ", ".join(f"{value:g}" for value in word.domain.values)
    return f"{name} takes only the values {listed}" if listed else ""


def _parameter(loss: Loss, name: str, params: dict[str, Parameter]) -> str:
    if name not in params:
        message = f"{loss.name} has no scalar parameter '{name}' to be differentiated by."
        raise BadParameter(message, hint=near(name, params, "parameters"))
    word = params[name].word
    if not (isinstance(word, Number) and word.kind is float):
        kind = "a Python value of somebody else's" if isinstance(word, Anything) else word.says
        message = f"{loss.name} has no derivative by {name}: it takes {kind}."
        raise NoGradient(message, hint="Compare two of its values with lossctl compute.")
    return name


Step = tuple["NumPyArray", int, int | None]


@dataclass(frozen=True)
class Placed:
    """A part of the gradient by a source: where it begins along which axis; no axis, and it is all of it, to be added up."""

    array: NumPyArray
    start: int
    axis: int | None


def source_of(reader: Reader) -> Reader:
    """The array in the file, under any views of it."""
    while isinstance(reader, Wrapped):
        reader = reader.inner
    return reader


def back(reader: Reader, array: NumPyArray, start: int, axis: int | None) -> Placed:
    """Turn the gradient by a range of a view into that by its source."""
    while isinstance(reader, Wrapped):
        array, start, axis = _step(reader, array, start, axis)
        reader = reader.inner
    return Placed(array, start, axis)


def _step(view: Wrapped, array: NumPyArray, start: int, axis: int | None) -> Step:
    if isinstance(view, Same):
        return array, start, axis
    if isinstance(view, Reshaped):
        return _reshaped(view, array, start, axis)
    if isinstance(view, Moved):
        return np.transpose(array, np.argsort(view.order)), start, None if axis is None else view.order[axis]
    if isinstance(view, Broadcast):
        return _broadcast(view, array, start, axis)
    raise TypeError(f"no way back through {type(view).__name__}")


def _reshaped(view: Reshaped, array: NumPyArray, start: int, axis: int | None) -> Step:
    shape = view.inner.shape
    if axis is None or view.shape[axis] == 1:
        return array.reshape(shape), 0, None
    rank = sum(size != 1 for size in view.shape[:axis])
    place = [position for position, size in enumerate(shape) if size != 1][rank]
    return array.reshape((*shape[:place], array.shape[axis], *shape[place + 1 :])), start, place


def _broadcast(view: Broadcast, array: NumPyArray, start: int, axis: int | None) -> Step:
    narrow = tuple(place for place, size in enumerate(view.inner.shape) if size == 1 != view.shape[place])
    summed = array.sum(axis=narrow, keepdims=True)
    return (summed, 0, None) if axis in narrow else (summed, start, axis)


@dataclass(frozen=True)
class Slopes:
    """dL/dS for the sum of each term, and what `finish` itself adds to dL/dparameter."""

    sums: Mapping[str, float]
    params: Mapping[str, float]

    @property
    def largest(self) -> float:
        """The steepest slope by a sum but the weights': what turns the gradient of a term into that of the loss."""
        return max((abs(slope) for name, slope in self.sums.items() if name != "weight"), default=0.0)

    def times(self, factor: float) -> Slopes:
        """The slopes of a weighted part of a sum."""
        return Slopes(
            {name: slope * factor for name, slope in self.sums.items()},
            {name: slope * factor for name, slope in self.params.items()},
        )


def slopes(bound: Bound, sums: Mapping[str, float], n: int, reduction: str, wrt: Iterable[str], backend: Any) -> Slopes:  # noqa: PLR0913, PLR0917 - what a reduction depends on
    """Differentiate the reduction at the sums that were folded; `none` stands for the sum, as `backward(ones)` has it."""
    if reduction != "mean":
        own = f"own_{'sum' if reduction == 'none' else reduction}"
        name, divisor = (own, 1) if own in sums else ("value", n if reduction == "batchmean" else 1)
        return Slopes({name: 1.0 / divisor if divisor else math.nan}, dict.fromkeys(wrt, 0.0))
    torch = backend.torch
    leaves = {name: _leaf(torch, total) for name, total in sums.items()}
    params = {name: _leaf(torch, bound.params[name]) for name in wrt}
    value = bound.loss.finish(backend.xp, leaves, **{**bound.params, **params})
    every = [*leaves.values(), *params.values()]
    result = torch.autograd.grad(value, every, allow_unused=True) if value.requires_grad else [None] * len(every)
    numbers = [0.0 if item is None else float(item) for item in result]
    return Slopes(dict(zip(leaves, numbers, strict=False)), dict(zip(params, numbers[len(leaves) :], strict=True)))


def _leaf(torch: Any, number: float) -> Any:
    return torch.tensor(float(number), dtype=torch.float64, requires_grad=True)


def with_leaves(bound: Bound, wrt: Iterable[str], torch: Any) -> Bound:
    """The same loss with parameters that derivatives are taken by."""
    return replace(bound, params={**bound.params, **{name: _leaf(torch, bound.params[name]) for name in wrt}})


# Elements of a block: a graph keeps an array for each operation, and all of them should stay in the cache.
BLOCK = 1 << 16


@dataclass(frozen=True)
class GradientPart:
    """The gradient in one block: by inputs as the loss sees them and as they lie in their files, by parameters as numbers."""

    block: Block
    seen: dict[str, NumPyArray]
    placed: dict[str, Placed]
    params: dict[str, float]


@dataclass(frozen=True)
class Differentiated:
    """One loss to be differentiated by inputs and scalar parameters, with the slopes at the folded sums.

    A sample that one of its `peers` cannot use counts for none of them.
    """

    bound: Bound
    inputs: tuple[str, ...]
    params: tuple[str, ...]
    slopes: Slopes
    peers: tuple[Bound, ...] = ()


def stream(  # noqa: PLR0913 - everything that a pass depends on
    differentiated: Differentiated,
    backend: Any,
    options: Options,
    selection: Selection,
    *,
    work: Callable[[GradientPart], Any],
    take: Callable[[Any], None],
    block: int = BLOCK,
) -> None:
    """Differentiate block by block: `work` sees each part on the thread that made it, `take` what it returned, in order.

    Raises: NoGradient, and what a pass over the data raises.
    """
    keep_memory()
    backend.torch.set_num_threads(1)
    elements = elements_of(differentiated.bound, options)

    def run(span: tuple[int, int]) -> Any:
        return work(differentiate(differentiated, Block(*span, options, selection, backend, alone=True)))

    in_turn(run, spans([differentiated.bound], elements, options, block), options.jobs, take)


def differentiate(differentiated: Differentiated, block: Block) -> GradientPart:
    """The gradient of one block's share of the loss."""
    block.select(differentiated.peers or (differentiated.bound,))
    torch = block.backend.torch  # type: ignore[attr-defined]
    bound = with_leaves(differentiated.bound, differentiated.params, torch)
    slots = {slot.input.name: slot for slot in bound.slots}
    arrays = {name: block.ready(slot, bound) for name, slot in slots.items()}
    leaves = {name: _leaf_tensor(arrays[name]) for name in differentiated.inputs}
    params = {name: bound.params[name] for name in differentiated.params}
    result = _gradients(differentiated, bound, block, arrays | leaves, [*leaves.values(), *params.values()])
    nothing = block.uncounted(bound)
    seen = {
        name: _seen(gradient, leaf, slots[name], block, nothing)
        for (name, leaf), gradient in zip(leaves.items(), result, strict=False)
    }
    placed = {name: back(slots[name].reader, array, block.start, slots[name].axis) for name, array in seen.items()}
    numbers = [0.0 if gradient is None else float(gradient) for gradient in result[len(leaves) :]]
    return GradientPart(block, seen, placed, dict(zip(params, numbers, strict=True)))


def _gradients(
    differentiated: Differentiated, bound: Bound, block: Block, arrays: dict[str, Any], leaves: list[Any]
) -> list[Any]:
    """By each leaf, and None where the loss does not depend on it, or on anything."""
    if not block.kept:
        return [None] * len(leaves)
    terms = counted(unreduced(bound, arrays, block.backend.xp, lambda: block.index), block)
    total = sum(slope * terms[name].sum() for name, slope in differentiated.slopes.sums.items() if name in terms)
    if not getattr(total, "requires_grad", False):
        return [None] * len(leaves)
    return list(block.backend.torch.autograd.grad(total, leaves, allow_unused=True))  # type: ignore[attr-defined]


def _leaf_tensor(tensor: Any) -> Any:
    """A tensor to differentiate by; what a table holds as whole numbers may be real ones."""
    leaf = tensor.detach()
    return (leaf if leaf.is_floating_point() else leaf.double()).requires_grad_()


def _seen(gradient: Any, leaf: Any, slot: Slot, block: Block, nothing: list[Uncounted]) -> NumPyArray:
    """The gradient as an array, with zeros where samples and elements do not count."""
    array = np.zeros(tuple(leaf.shape)) if gradient is None else block.backend.take(gradient)
    if slot.axis is None:
        return array
    if block.rows is not None:
        wide = np.zeros((*array.shape[: slot.axis], block.stop - block.start, *array.shape[slot.axis + 1 :]), array.dtype)
        wide[(slice(None),) * slot.axis + (block.rows,)] = array
        array = wide
    return zeroed(array, slot, nothing)
