"""Samples that a loss of somebody else's can be checked on: it is tried on samples of several kinds until one fits it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from lossctl import words
from lossctl.draws import draw
from lossctl.errors import BadParameter, LossctlError, PluginFailed
from lossctl.foreign import dress
from lossctl.signature import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lossctl.loss import Loss

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
    raise PluginFailed(message, hint="Annotate its inputs with words of lossctl.words, which say what to draw.")


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
