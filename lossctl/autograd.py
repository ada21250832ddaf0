"""Gradients of a loss on a draw: as `lossctl grad` finds them, by torch's own function, and by central differences."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.binding import bind
from lossctl.block import Selection
from lossctl.blocks import Memory
from lossctl.draws import Drawn, log_softmax
from lossctl.fold import fold
from lossctl.gradient.passes import Differentiated, stream
from lossctl.gradient.slopes import slopes
from lossctl.sinks import Field, MemorySink
from lossctl.spec import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.gradient.passes import Part
    from lossctl.loss import Loss

STEP = 1e-6
# Samples of a block: the draws have 7.
FEW = 2
OPTIONS = Options(nan="propagate", domain="ignore")
Arrays = dict[str, Any]


def _real(loss: Loss) -> set[str]:
    """The inputs that there is a gradient by: numbers, not labels, whether they count or are 1 and -1.

    To losses of others a target is a constant: torch's soft_margin_loss refuses to be differentiated by it.
    """
    constant = set() if loss.origin == "lossctl" else {"target"}
    return {a.name for a in loss.signature.inputs if not (a.word.index or a.word.domain.values)} - constant


def _leaves(loss: Loss, drawn: Drawn, torch: Any) -> tuple[Arrays, Arrays]:
    """Tensors to differentiate by, and the arrays made of them: log-probabilities are differentiated by their logits."""
    real = _real(loss)
    tensors = {name: torch.from_numpy(np.array(drawn.logits.get(name, array))) for name, array in drawn.arrays.items()}
    for name in real:
        tensors[name].requires_grad_()
    made = {name: torch.log_softmax(t, -1) if name in drawn.logits else t for name, t in tensors.items()}
    return {name: tensors[name] for name in real}, made


def _by(total: Any, leaves: Arrays, torch: Any) -> Arrays:
    if not leaves:
        return {}
    smooth = total.requires_grad  # not so where only comparisons remain: the gradient of a count is 0
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True) if smooth else (None,) * len(leaves)
    return {
        name: np.zeros(leaf.shape) if gradient is None else gradient.numpy()
        for (name, leaf), gradient in zip(leaves.items(), found, strict=True)
    }


def gradients(loss: Loss, drawn: Drawn) -> Arrays:
    """The gradient of the mean by every real input, as `lossctl grad` finds it: streamed, over several blocks if it can be."""
    backend = BACKENDS.get("torch")()
    readers = {name: Memory(array, name) for name, array in drawn.arrays.items()}
    bound = bind(loss, readers, drawn.params, OPTIONS)
    tally = fold([bound], BACKENDS.get("numpy")(), OPTIONS, Selection())[0]
    found = slopes(bound, tally.sums.finish(), tally.n, "mean", (), backend)
    real = tuple(sorted(_real(loss)))
    sinks = {name: MemorySink(Field(name, readers[name].shape, np.dtype(np.float64))) for name in real}
    one = Differentiated(bound, real, (), found)
    stream(one, backend, OPTIONS, Selection(), work=lambda part: part, take=partial(_put, sinks), block=FEW * bound.elements)
    return {name: _by_logits(name, sink.array, drawn) for name, sink in sinks.items()}


def _put(sinks: dict[str, MemorySink], part: Part) -> None:
    for name, placed in part.placed.items():
        if placed.axis is None:
            sinks[name].array += placed.array
        else:
            sinks[name].put(placed.array, placed.start, placed.axis)


def _by_logits(name: str, gradient: Any, drawn: Drawn) -> Any:
    """The gradient by log-probabilities, as that by the logits that they were made from."""
    if name not in drawn.logits:
        return gradient
    return gradient - np.exp(drawn.arrays[name]) * gradient.sum(axis=-1, keepdims=True)


def twin_gradients(loss: Loss, drawn: Drawn) -> tuple[float, Arrays]:
    """Value and gradient of the torch function that the loss names."""
    torch = BACKENDS.get("torch")().torch
    leaves, arrays = _leaves(loss, drawn, torch)
    inputs = [arrays.pop(argument.name) for argument in loss.signature.inputs]
    with warnings.catch_warnings():
        # torch warns that kl_div's mean is no divergence; here the mean is what is compared.
        warnings.simplefilter("ignore")
        total = getattr(torch.nn.functional, loss.torch)(*inputs, **arrays, **drawn.params, reduction="mean")
    return float(total.detach()), _by(total, leaves, torch)


def numeric_gradients(loss: Loss, drawn: Drawn, value: Callable[[Drawn], float]) -> Arrays:
    """Central differences of the mean by every real input."""
    return {name: _central(drawn, name, value) for name in _real(loss)}


def _central(drawn: Drawn, name: str, value: Callable[[Drawn], float]) -> Any:
    base = drawn.logits.get(name, drawn.arrays[name])
    found = np.zeros(base.shape)
    for index in np.ndindex(base.shape):
        sides = []
        for step in (STEP, -STEP):
            moved = np.array(base)
            moved[index] += step
            array = log_softmax(moved) if name in drawn.logits else moved
            sides.append(value(replace(drawn, arrays={**drawn.arrays, name: array})))
        found[index] = (sides[0] - sides[1]) / (2 * STEP)
    return found
