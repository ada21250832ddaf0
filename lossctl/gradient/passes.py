"""The second pass: the gradient of one loss by its inputs, block by block, in the order of blocks.

torch calculates on one thread a block, and blocks run on `--jobs` threads, so that no bit depends on how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.block import Block
from lossctl.blocks import keep_memory
from lossctl.cutting import elements_of, spans
from lossctl.fold import counted
from lossctl.gradient.adjoint import Placed, back
from lossctl.gradient.slopes import Slopes, with_leaves
from lossctl.lanes import in_turn
from lossctl.pieces import unreduced
from lossctl.uncounted import zeroed

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.binding import Bound, Slot
    from lossctl.block import Selection
    from lossctl.blocks import NumPyArray
    from lossctl.spec import Options
    from lossctl.uncounted import Uncounted

# Elements of a block: a graph keeps an array for each operation, and all of them should stay in the cache.
BLOCK = 1 << 16


@dataclass(frozen=True)
class Part:
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
    one: Differentiated,
    backend: Any,
    options: Options,
    selection: Selection,
    *,
    work: Callable[[Part], Any],
    take: Callable[[Any], None],
    block: int = BLOCK,
) -> None:
    """Differentiate block by block: `work` sees each part on the thread that made it, `take` what it returned, in order.

    Raises: NoGradient, and what a pass over the data raises.
    """
    keep_memory()
    backend.torch.set_num_threads(1)
    elements = elements_of(one.bound, options)

    def run(span: tuple[int, int]) -> Any:
        return work(differentiate(one, Block(*span, options, selection, backend, alone=True)))

    in_turn(run, spans([one.bound], elements, options, block), options.jobs, take)


def differentiate(one: Differentiated, block: Block) -> Part:
    """The gradient of one block's share of the loss."""
    block.select(one.peers or (one.bound,))
    torch = block.backend.torch  # type: ignore[attr-defined]
    bound = with_leaves(one.bound, one.params, torch)
    slots = {slot.input.name: slot for slot in bound.slots}
    arrays = {name: block.ready(slot, bound) for name, slot in slots.items()}
    leaves = {name: _leaf(arrays[name]) for name in one.inputs}
    params = {name: bound.params[name] for name in one.params}
    found = _gradients(one, bound, block, arrays | leaves, [*leaves.values(), *params.values()])
    nothing = block.uncounted(bound)
    seen = {
        name: _seen(gradient, leaf, slots[name], block, nothing)
        for (name, leaf), gradient in zip(leaves.items(), found, strict=False)
    }
    placed = {name: back(slots[name].reader, array, block.start, slots[name].axis) for name, array in seen.items()}
    numbers = [0.0 if gradient is None else float(gradient) for gradient in found[len(leaves) :]]
    return Part(block, seen, placed, dict(zip(params, numbers, strict=True)))


def _gradients(one: Differentiated, bound: Bound, block: Block, arrays: dict[str, Any], leaves: list[Any]) -> list[Any]:
    """By each leaf, and None where the loss does not depend on it, or on anything."""
    if not block.kept:
        return [None] * len(leaves)
    terms = counted(unreduced(bound, arrays, block.backend.xp, lambda: block.index), block)
    total = sum(slope * terms[name].sum() for name, slope in one.slopes.sums.items() if name in terms)
    if not getattr(total, "requires_grad", False):
        return [None] * len(leaves)
    return list(block.backend.torch.autograd.grad(total, leaves, allow_unused=True))  # type: ignore[attr-defined]


def _leaf(tensor: Any) -> Any:
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
