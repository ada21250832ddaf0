"""Gradients of a loss on a draw: by torch through our terms, by torch's own function, and by central differences."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.draws import Drawn, log_softmax

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.loss import Loss

STEP = 1e-6
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
    """The gradient of the mean by every real input, through the loss's own terms and finish."""
    backend = BACKENDS.get("torch")()
    leaves, arrays = _leaves(loss, drawn, backend.torch)
    inputs = [arrays.pop(argument.name) for argument in loss.signature.inputs]
    tensors = {tensor.name: arrays.get(tensor.name) for tensor in loss.signature.tensors}
    result = loss.terms(backend.xp, *inputs, **tensors, **drawn.params)
    terms: Arrays = dict(result) if isinstance(result, dict) else {"value": result}
    terms.setdefault("weight", backend.xp.ones_like(next(iter(terms.values()))))
    sums = {name: term.sum() for name, term in terms.items()}
    return _by(loss.finish(backend.xp, sums, **drawn.params), leaves, backend.torch)


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
