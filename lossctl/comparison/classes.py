"""The constant prediction for class scores: what the frequencies of the classes say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lossctl.block import Block
from lossctl.blocks import cuts, whole

if TYPE_CHECKING:
    from lossctl.binding import Bound, Slot
    from lossctl.block import Backend, Selection
    from lossctl.blocks import NumPyArray
    from lossctl.spec import Options
    from lossctl.statistics.arrays import Floats

# A class that is never seen gets this probability, since the logarithm of 0 spoils every mean.
LEAST = 1e-30


def best_scores(bound: Bound, options: Options, selection: Selection, backend: Backend) -> NumPyArray | None:
    """Constant scores, log-probabilities or probabilities of the shape of one sample's, its further axes of size 1.

    They are the frequencies of the classes, weighted as samples and classes are, and smoothed as the loss smooths labels.
    Raises: what reading the labels raises.
    """
    slots = {slot.input.name: slot for slot in bound.slots}
    (classes,) = bound.dims["c"]
    counts = np.zeros(classes)
    size = max(1, math.prod(slots["target"].reader.shape) // max(1, bound.n))
    for span in cuts(bound.n, size):
        block = Block(*span, options, selection, backend)
        block.select([bound])
        counts += _counts(block, bound, slots["target"], classes)
    shares = _smoothed(counts, bound, slots)
    if not shares.sum() > 0:
        return None
    word = bound.loss.signature.inputs[0].word
    shares /= shares.sum()
    found = shares if word.domain.high == 1 else np.log(np.maximum(shares, LEAST))
    shape = slots["pred"].reader.shape
    return (found if shape[1] == classes else found[1:]).reshape(1, -1, *(1,) * (len(shape) - 2))


def _smoothed(counts: Floats, bound: Bound, slots: dict[str, Slot]) -> Floats:
    smooth = float(bound.params.get("label_smoothing", bound.params.get("smoothing", 0.0)))
    counts = (1 - smooth) * counts + smooth * counts.sum() / len(counts)
    weights = [whole(slot.reader) for slot in slots.values() if slot.input.word.shape == "c"]
    return counts * math.prod(weights) if weights else counts


def _counts(block: Block, bound: Bound, slot: Slot, classes: int) -> Floats:
    """How often each class is meant in one block, by weight; soft labels mean several classes in part."""
    target = np.asarray(block.backend.take(block.ready(slot, bound)))
    labels = target if slot.input.word.index else np.moveaxis(target, 1, -1)
    counts = np.ones(labels.shape if slot.input.word.index else labels.shape[:-1])
    if slot.input.word.index and "ignore_index" in bound.params:
        counts[labels == bound.params["ignore_index"]] = 0.0
    weights = block.weights()
    if weights is not None:
        counts *= weights.reshape(-1, *(1,) * (counts.ndim - 1))
    if block.selection.by_element:
        counts *= block.mask()
    if not slot.input.word.index:
        return np.asarray(np.tensordot(counts, labels, axes=counts.ndim))
    kept = counts > 0
    return np.asarray(np.bincount(labels[kept].astype(np.int64), counts[kept], classes), np.float64)
