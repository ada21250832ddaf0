"""Random samples that fit a loss's signature, for the checks: its words say which shapes and values to draw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl import shapes
from lossctl.signature import Anything, Choice

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray
    from lossctl.loss import Loss
    from lossctl.signature import Input, Parameter, Tensor

SIZES = {"n": 7, "m": 5, "c": 4, "d": 3, "e": 3, "q": 3, "t": 8, "s": 2}
# How far inside of an edge that is not in the domain itself.
INSIDE = 1e-6
# How far out to go where there is no edge: for numbers, and for the logarithms of numbers.
FAR, FAR_LOG = 1e3, 1e2


@dataclass(frozen=True)
class Drawn:
    """Arrays and parameters for one call; `logits` holds what log-probabilities were made from."""

    arrays: dict[str, NumPyArray]
    logits: dict[str, NumPyArray]
    params: dict[str, Any]


def draw(loss: Loss, *, varied: bool, seed: int = 0) -> Drawn:
    """Draw arrays for every input; `varied` adds every tensor parameter and moves every scalar off its default."""
    rng = np.random.default_rng(seed)
    arguments = loss.signature.arrays if varied else loss.signature.inputs
    arrays, logits = {}, {}
    for argument in arguments:
        arrays[argument.name] = _draw(rng, argument.word, axes(argument, loss.signature.inputs[0]))
        if argument.word.logs:
            logits[argument.name] = arrays[argument.name]
            arrays[argument.name] = log_softmax(arrays[argument.name])
    params = {p.name: _moved(p) if varied else p.default for p in loss.signature.parameters}
    return Drawn(arrays, logits, params)


def axes(argument: Input, first: Input) -> tuple[int, ...]:
    """The shape to draw: one size a dim; `*d` stands for one axis, if the first input has it.

    Weights that broadcast are drawn along the last axis.
    """
    left_out = "" if "*d" in shapes.tokens(first.word.shape) else "*d"
    names = [name.lstrip("*") for name in shapes.tokens(argument.word.shape) if name != left_out]
    shape = tuple(int(name) if name.isdigit() else SIZES[name] for name in names)
    return shape[-1:] if argument.word.rule == "broadcast" else shape


def log_softmax(scores: NumPyArray) -> NumPyArray:
    """Log-probabilities along the last axis."""
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))  # type: ignore[no-any-return]


def _draw(rng: np.random.Generator, word: Tensor, shape: tuple[int, ...]) -> NumPyArray:
    if word.upto:
        most = SIZES[word.upto]
        return rng.integers((most + 1) // 2, most, size=shape, endpoint=True)
    if word.index:
        least = word.domain.low if math.isfinite(word.domain.low) else float(word.rule == "sequences")
        return rng.integers(int(least), SIZES["c"], size=shape)
    if word.corners:
        low = rng.normal(size=(*shape[:-1], 2))
        return np.concatenate([low, low + rng.uniform(0.5, 2, size=low.shape)], axis=-1)
    if word.domain.values:
        return rng.choice([value for value in word.domain.values if value or not word.signs], size=shape)
    if math.isfinite(word.domain.low):
        high = min(word.domain.high, word.domain.low + 2)
        return word.domain.low + (high - word.domain.low) * rng.uniform(0.05, 0.95, size=shape)
    return rng.normal(size=shape)


def _moved(parameter: Parameter) -> Any:
    """A value that is not the default and still in the domain."""
    if isinstance(parameter.word, Anything):
        return parameter.default
    if isinstance(parameter.word, Choice):
        return parameter.word.options[-1]
    if parameter.word.kind is bool:
        return not parameter.default
    if parameter.word.other is not None:
        return parameter.word.other
    return (
        parameter.default
        if parameter.word.kind is int
        else max(parameter.word.domain.low, 0.5 * float(parameter.default or 0) + 0.1)
    )


def edge(loss: Loss, *, high: bool) -> Drawn:
    """A draw in which every real input lies on the lower or upper edge of its domain, or far out where it has none.

    An edge that is not in the domain itself is approached from inside.
    """
    drawn = draw(loss, varied=False)
    for argument in loss.signature.inputs:
        if not argument.word.index:
            domain = argument.word.domain
            far = domain.high if high else domain.low
            out = FAR_LOG if drawn.params.get(argument.word.free_if) else FAR
            value = far if math.isfinite(far) else (out if high else -out)
            value += INSIDE if domain.open_low and not high else 0.0
            # A box, or a series that gives a scale, is moved as it is.
            spread = argument.word.corners or argument.word.shape == "m"
            moved = drawn.arrays[argument.name] if spread else 0.0
            drawn.arrays[argument.name][...] = moved + (min(value, 0.0) if argument.word.logs else value)
    return drawn
