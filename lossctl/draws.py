"""Random samples that fit a loss's signature, for the checks: its words say which shapes and values to draw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl import shapes
from lossctl.signature import Choice

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray
    from lossctl.loss import Loss
    from lossctl.signature import Input, Parameter, Tensor

SIZES = {"n": 7, "m": 5, "c": 4, "d": 3, "e": 3, "t": 8, "s": 2}


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
        arrays[argument.name] = _draw(rng, argument.word, axes(argument))
        if argument.word.logs:
            logits[argument.name] = arrays[argument.name]
            arrays[argument.name] = log_softmax(arrays[argument.name])
    params = {p.name: _moved(p) if varied else p.default for p in loss.signature.parameters}
    return Drawn(arrays, logits, params)


def axes(argument: Input) -> tuple[int, ...]:
    """The shape to draw: one size a dim; `*d` stands for one axis; weights that broadcast are drawn along the last."""
    names = [token.lstrip("*") for token in shapes.tokens(argument.word.shape)]
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
        return rng.integers(1 if word.rule == "sequences" else 0, SIZES["c"], size=shape)
    if word.domain.values:
        return rng.choice(np.asarray(word.domain.values), size=shape)
    if math.isfinite(word.domain.low):
        high = min(word.domain.high, word.domain.low + 2)
        return word.domain.low + (high - word.domain.low) * rng.uniform(0.05, 0.95, size=shape)
    return rng.normal(size=shape)


def _moved(parameter: Parameter) -> Any:
    """A value that is not the default and still in the domain."""
    if isinstance(parameter.word, Choice):
        return parameter.word.options[-1]
    if parameter.word.kind is bool:
        return not parameter.default
    return (
        parameter.default
        if parameter.word.kind is int
        else max(parameter.word.domain.low, 0.5 * float(parameter.default) + 0.1)
    )


def edge(loss: Loss, *, high: bool) -> Drawn:
    """A draw in which every real input lies on the lower or upper edge of its domain, or far out where it has none."""
    drawn = draw(loss, varied=False)
    for argument in loss.signature.inputs:
        if not argument.word.index:
            domain = argument.word.domain
            far = domain.high if high else domain.low
            value = far if math.isfinite(far) else (1e3 if high else -1e3)
            drawn.arrays[argument.name][...] = min(value, 0.0) if argument.word.logs else value
    return drawn
