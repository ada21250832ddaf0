"""Random samples that fit a loss's signature, for the checks: its words say which shapes and values to draw.

Samples that a loss of somebody else's can be checked on: it is tried on samples of several kinds until one fits it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from lossctl.errors import BadParameter, LossctlError, PluginFailed
from lossctl.losses import words
from lossctl.losses.foreign import dress
from lossctl.losses.loss import Anything, Choice, Tensor
from lossctl.sources import shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lossctl.losses.loss import Input, Loss, Parameter
    from lossctl.sources.readers import NumPyArray


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


Words = tuple[Tensor, ...]
SCORES = Tensor("n c", "scores, one a class")
LABEL = Tensor("n", "class labels", index=True)
LABELS = Tensor("n c", "labels", index=True)


def settled(loss: Loss, given: Mapping[str, Any]) -> Loss:
    """Fix the parameters of a loss, and give its inputs words that it accepts samples of.

    Raises: BadParameter where a parameter is missing; PluginFailed where it takes no samples that are drawn here.
    """
    fixed = partial(loss.terms, **given)
    refused: list[LossctlError] = []
    for chosen in _drafts(loss):
        inputs = tuple(replace(one, word=word) for one, word in zip(loss.signature.inputs, chosen, strict=True))
        header = replace(loss.signature, inputs=inputs, tensors=(), parameters=())
        candidate = replace(loss, terms=dress(fixed, header, loss.terms.__doc__ or ""))
        try:
            if _finite(candidate):
                return candidate
        except BadParameter:
            raise
        except LossctlError as error:
            refused.append(error)
    why = f" {refused[0].message}" if refused else " Its value is nan or infinite on all of them."
    message = f"{loss.name} takes none of the samples that are drawn for it.{why}"
    raise PluginFailed(message, hint="Annotate its inputs with words of lossctl.losses.words, which say what to draw.")


def _finite(loss: Loss) -> bool:
    """Whether the loss is a number on a draw.

    Raises: what the loss raises.
    """
    drawn = draw(loss, varied=False)
    terms = loss.terms(np, *(drawn.arrays[one.name] for one in loss.signature.inputs))
    return all(bool(np.isfinite(term).all()) for term in terms.values())


def _drafts(loss: Loss) -> Iterable[Words]:
    """The kinds of samples to try, for as many inputs as there are; words that the loss gives itself stay."""
    own = [one.word for one in loss.signature.inputs]
    for chosen in _kinds(len(own)):
        yield tuple(word if mine.rule == "free" else mine for mine, word in zip(own, chosen, strict=True))


def _kinds(count: int) -> Iterable[Words]:
    """Labels first: what takes them for classes is meant for them, and what is not refuses two shapes."""
    real, probability = _word(words.Real), _word(words.Probability)
    if count == 2:  # noqa: PLR2004 - pred and target
        yield SCORES, LABEL
    yield (real,) * count
    if count == 2:  # noqa: PLR2004
        yield _word(words.LogProbability), probability
        yield probability, _word(words.Binary)
        yield SCORES, LABELS
    yield (_word(words.Vector),) * (count - 1) + (_word(words.PairSign),)
    yield (*(real,) * (count - 1), _word(words.PositiveReal))
    if count == 4:  # noqa: PLR2004 - torch's CTC
        kinds = (words.SequenceLogProbability, words.SequenceLabels, words.FrameCount, words.LabelCount)
        yield tuple(_word(kind) for kind in kinds)
    yield (probability,) * count


def _word(annotated: Any) -> Tensor:
    return next(word for word in get_args(annotated)[1:] if isinstance(word, Tensor))
