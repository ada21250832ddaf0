"""What distinguishes a loss: whether it is robust, whether it is convex, and what it estimates, with its parameters as typed.

Robust is a loss whose gradient by the prediction stays bounded, however far out prediction and target lie and however close
to the edge of their domain; it is redescending where the gradient goes back to 0 for a target far out. Convex is a loss of
which no second difference by the prediction falls below zero. Both are seen from 1e-3 to 1e10, and not proven.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.curves import Probe, by_sample, elementwise, of_classes, span
from lossctl.comparison.estimand import estimand, estimand_of_classes
from lossctl.loss import weighted_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.loss import Loss
    from lossctl.signature import Domain
    from lossctl.statistics.arrays import Floats

# Where to look far out, close to an edge, and in between.
FAR, NEAR = (1e7, 1e10), (1e-3, 1e-6)
SCALES, POINTS = (4.0, 40.0, 400.0, 4e3, 4e4, 4e6), 201
# The range of three random scores, and how far from the edge of a domain a gradient counts as an ordinary one.
SCORES, ORDINARY = 100.0, 0.01
# A gradient that grows by more is not bounded; one that falls below so much of its largest redescends.
GROWS, GONE = 1.1, 1e-3
# What rounding makes of a second difference of zero, in parts of losses and predictions.
ROUNDING = 1e-11


@dataclass(frozen=True)
class Character:
    """What was measured; None, and no estimate, where a loss has no such thing or was not understood."""

    robust: bool | None = None
    redescending: bool | None = None
    convex: bool | None = None
    estimates: str = ""

    @property
    def says(self) -> str | None:
        """`yes`, `no` or `redescending`."""
        return "redescending" if self.redescending else _word(self.robust)

    @property
    def says_convex(self) -> str | None:
        """`yes` or `no`."""
        return _word(self.convex)


def _word(answer: bool | None) -> str | None:  # noqa: FBT001 - it is what is put into words
    return None if answer is None else ("yes" if answer else "no")


def character(loss: Loss, params: Mapping[str, Any]) -> Character:
    """Measure a loss of one number against one number, or of class scores against a label; any other has no character here."""
    probe = Probe(loss, params)
    try:
        if elementwise(loss):
            return _of_numbers(probe)
        return _of_classes(probe) if of_classes(loss) and by_sample(loss) else Character()
    except Exception:
        # Losses of others may raise anything at numbers that they were not made for.
        if loss.origin == "lossctl":
            raise
        return Character()


def _of_numbers(probe: Probe) -> Character:
    """A loss that is finished from sums has no curve of its own, and still estimates something."""
    if probe.loss.whole and probe.loss.origin == "lossctl":
        return Character()
    if not by_sample(probe.loss) or (probe.loss.origin == "lossctl" and probe.loss.finish is not weighted_mean):
        return Character(estimates=estimand(probe, redescending=False))
    if probe.loss.flat:
        return Character(convex=_convex(probe), estimates=estimand(probe, redescending=False))
    robust, redescending = _influence(probe)
    return Character(robust, redescending, _convex(probe), estimand(probe, redescending=bool(redescending)))


def targets(domain: Domain) -> Floats:
    """Some targets inside of a domain."""
    if domain.values:
        return np.asarray([min(domain.values), max(domain.values)])
    if domain.high == 1:
        return np.asarray([0.0, 0.3, 1.0])
    return np.asarray([0.5, 1.0, 3.0] if domain.low >= 0 else [-0.5, 0.7, 1.0, 3.0])


def _pairs(preds: Floats, against: Floats) -> tuple[Floats, Floats]:
    return np.repeat(preds, len(against)), np.tile(against, len(preds))


def _influence(probe: Probe) -> tuple[bool, bool]:
    """Whether the gradient is bounded, and whether it goes back to 0 for a target far out."""
    known = targets(probe.target)
    middle = _pairs(span(probe.pred, -4.0, 4.0, POINTS, inside=ORDINARY), known)
    sizes = np.abs(probe.slopes(*middle, width=1e-7))
    largest = float(np.max(sizes[np.isfinite(sizes)], initial=0.0))
    ends = [(_sizes(probe, *_pairs(way[:1], known)), _sizes(probe, *_pairs(way[1:], known))) for way in _ends(probe.pred)]
    outer = [] if probe.target.values or probe.target.high == 1 else _outer(probe)
    bounded = not any(_grows(near, far, largest) for near, far in (*ends, *(pair for pair, _ in outer)))
    gone = [float(np.nanmax(far, initial=0.0)) < GONE * largest for (_, far), away in outer if away]
    return bounded, bounded and bool(gone) and all(gone) and largest > 0


def _ends(domain: Domain) -> list[Floats]:
    """Two points towards each end of a domain."""
    low = np.asarray(NEAR) + domain.low if math.isfinite(domain.low) else -np.asarray(FAR)
    return [low, domain.high - np.asarray(NEAR) if math.isfinite(domain.high) else np.asarray(FAR)]


def _sizes(probe: Probe, pred: Floats, target: Floats) -> Floats:
    """Sizes of gradients; infinite where the loss is, NaN where it is not defined."""
    edges = [edge for edge in (probe.pred.low, probe.pred.high) if math.isfinite(edge)]
    room = np.min([np.abs(pred - edge) for edge in edges], axis=0) if edges else np.maximum(np.abs(pred), 1.0)
    found = np.abs(probe.slopes(pred, target, width=1e-3 * room))
    return np.asarray(np.where(np.isinf(probe.values(pred, target)), np.inf, found))


def _grows(near: Floats, far: Floats, largest: float) -> bool:
    """Whether gradients at the second of two points are larger than all before."""
    with np.errstate(invalid="ignore"):
        return bool((np.isinf(far) | (far > GROWS * np.maximum(near, largest))).any())


def _outer(probe: Probe) -> list[tuple[tuple[Floats, Floats], bool]]:
    """Gradients at ordinary predictions for pairs of targets, and whether these are far out and not close to 0."""
    preds = targets(probe.pred)
    sides = (1.0,) if probe.target.low >= -1 else (1.0, -1.0)
    ways = [(side * np.asarray(way), way is FAR) for side in sides for way in (FAR, NEAR)]
    return [((_sizes(probe, *_pairs(preds, way[:1])), _sizes(probe, *_pairs(preds, way[1:]))), away) for way, away in ways]


def _convex(probe: Probe) -> bool | None:
    """Second differences by the prediction on grids of several scales, for several targets."""
    against = targets(probe.target)
    grids = [span(probe.pred, -scale, scale, POINTS) for scale in SCALES]
    pred = np.concatenate([np.tile(grid, len(against)) for grid in grids])
    target = np.tile(np.repeat(against, POINTS), len(grids))
    return _bends_up(probe.values(pred, target).reshape(-1, POINTS), np.repeat(SCALES, len(against))[:, None])


def _bends_up(lines: Floats, reach: Floats | float) -> bool | None:
    """Whether no second difference along lines (k, points) is below zero; None where nothing is finite.

    Predictions as large as `reach` may have cancelled each other.
    """
    left, middle, right = lines[:, :-2], lines[:, 1:-1], lines[:, 2:]
    with np.errstate(all="ignore"):
        second = left + right - 2 * middle
        least = -ROUNDING * (np.abs(left) + 2 * np.abs(middle) + np.abs(right) + reach)
    seen = np.isfinite(second)
    return bool((second >= least)[seen].all()) if seen.any() else None


def _of_classes(probe: Probe) -> Character:
    """Measured for three classes along lines between random scores, or random probabilities."""
    inside = probe.pred.high == 1
    rng = np.random.Generator(np.random.Philox(7))
    ends = rng.standard_normal((2, 24, 3)) * 2
    if inside:
        ends = np.exp(ends) / np.exp(ends).sum(axis=2, keepdims=True)
    labels = np.tile(np.arange(3), 8)
    place = np.linspace(0.0 if inside else -8.0, 1.0 if inside else 8.0, POINTS)[None, :, None]
    lines = ends[0][:, None] + place * (ends[1] - ends[0])[:, None]
    values = probe.values(lines.reshape(-1, 3), np.repeat(labels, POINTS)).reshape(-1, POINTS)
    bounded = None if probe.loss.flat else (_bounded_towards_edge(probe) if inside else _bounded_far_out(probe, ends, labels))
    return Character(bounded, redescending=None, convex=_bends_up(values, SCORES), estimates=estimand_of_classes(probe))


def _bounded_far_out(probe: Probe, ends: Floats, labels: Any) -> bool:
    along = ends[1] - ends[0]
    sizes = [np.abs(probe.slopes(far * along, labels, along, far * 1e-3)) for far in (1.0, *FAR)]
    return not _grows(sizes[1], sizes[2], float(sizes[0].max()))


def _bounded_towards_edge(probe: Probe) -> bool:
    """The probability of the true class goes to 0, shared between the other two."""
    along = np.asarray([1.0, -0.5, -0.5])
    sizes = []
    for near in (0.3, *NEAR):
        pred = np.asarray([[near, (1 - near) / 2, (1 - near) / 2]])
        sizes.append(np.abs(probe.slopes(pred, np.zeros(1, np.int64), along, near * 1e-3)))
    return not _grows(sizes[1], sizes[2], float(sizes[0].max()))
