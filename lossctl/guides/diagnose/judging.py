"""D006: the validation loss rises while the training loss does not.

D008: learning rates that no schedule has. Warm-up, decay, steps down, one cycle and restarts are schedules.

Gradient norms: dead (D009) and exploding (D010).

All looks at a history, and which findings another one explains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import Undecided
from lossctl.guides.diagnose.curve import SHARE, Curve, kendall, medians, noise, spread, windows
from lossctl.guides.diagnose.faults import FAULTS, Finding, whole
from lossctl.guides.diagnose.rising import diverging, jumping, not_falling, not_finite, oscillating, plateau

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.guides.diagnose.history import Floats, History, Series


# So many validations, so many of them after the best one, a trend that steady, a rise of so many spreads of the noise.
VALIDATION_LEAST, AFTER = 6, 4
STEADY, CLEAR = 0.5, 3.0
SMOOTHED, BLOCKS = 3, 12
# The training loss may rise by this share of its decrease and still count as not rising.
SLACK = 0.1


def overfitting(history: History, curve: Curve) -> Iterator[Finding]:
    """D006, with the step at which the validation loss is lowest."""
    val = history.val.finite()
    if len(val) < VALIDATION_LEAST:
        return
    # The position of the lowest running median: one lucky validation is not the best.
    at = int(windows(val.values, SMOOTHED).argmin()) + SMOOTHED // 2
    after = val.values[at + 1 :]
    if len(after) < AFTER:
        return
    low, rise = _rise(val, at, after)
    scale = max(float(np.median(val.values[:2])) - low, SHARE * abs(low), np.finfo(float).tiny)
    tau, _ = kendall(medians(after, BLOCKS))
    clear = rise >= CLEAR * noise(val.values[at // 2 :]) and tau >= STEADY
    if clear and rise / scale >= FAULTS["D006"].threshold and not _rises(curve, float(val.steps[at])):
        first, last = float(val.steps[at]), float(val.steps[-1])
        evidence = f"lowest at step {whole(first)} ({low:.4g}), {low + rise:.4g} in the end while the training loss falls"
        yield Finding("D006", first, last, rise / scale, evidence)


def _rise(val: Series, at: int, after: Floats) -> tuple[float, float]:
    """The level around the lowest validation, and how far the last ones are above it."""
    low = float(np.median(val.values[max(0, at - 1) : at + 2]))
    return low, float(np.median(after[-max(3, len(after) // 4) :])) - low


def _rises(curve: Curve, step: float) -> bool:
    """Whether the training loss rises from a step on."""
    tail = curve.series.since(step).values
    part = max(1, len(tail) // 4)
    return len(tail) > 1 and float(np.median(tail[-part:]) - np.median(tail[:part])) > SLACK * curve.scale


# A schedule of fewer points is too coarse to tell from spikes.
RATES_LEAST = 30
# How many points a spike lasts at most, and how many on each side it is compared with.
SHORT, BESIDE = 3, 5
# Warm-up may leap in the first tenth of a run.
WARM = 0.1
# From so many spikes of one height on they are a schedule of short cycles.
CYCLES = 3


def spiking(history: History, curve: Curve) -> Iterator[Finding]:
    """D008: short excursions of the learning rate, and leaps to heights that it never had."""
    del curve
    lr = history.lr.finite()
    if len(lr) < RATES_LEAST or lr.values.min() < 0:
        return
    found = _excursions(lr.values)
    spikes = {} if _cyclic(lr.values, found) else found
    for at, ratio in sorted((spikes | _leaps(lr.values, set(found))).items()):
        evidence = f"{lr.values[at]:.3g} at step {whole(float(lr.steps[at]))}, {ratio:.3g} times what is around it"
        yield Finding("D008", float(lr.steps[at]), float(lr.steps[at]), ratio, evidence)


def _excursions(rates: Floats) -> dict[int, float]:
    """Where the rate is short and far above both sides, and by which factor."""
    threshold = FAULTS["D008"].threshold
    found: dict[int, float] = {}
    # Only where it has just risen can an excursion begin.
    for at in np.flatnonzero(rates[1:] > threshold * rates[:-1]) + 1:
        for width in range(1, SHORT + 1):
            before, after = rates[max(0, at - BESIDE) : at], rates[at + width : at + width + BESIDE]
            beside = max(float(np.median(before)), float(after.max(initial=-1.0)))
            low = float(rates[at : at + width].min())
            if len(after) and beside > 0 and low >= threshold * beside:
                found[int(at)] = float(rates[at : at + width].max()) / beside
    return found


def _cyclic(rates: Floats, found: dict[int, float]) -> bool:
    heights = np.array([rates[at] for at in found])
    return len(heights) >= CYCLES and float(heights.max()) < 2 * float(heights.min())


def _leaps(rates: Floats, known: set[int]) -> dict[int, float]:
    """Where the rate rises at once far above all that came before, after the warm-up."""
    peaks = np.maximum.accumulate(rates)
    late = np.arange(1, len(rates)) >= WARM * len(rates)
    leaps = np.flatnonzero((rates[1:] >= FAULTS["D008"].threshold * peaks[:-1]) & (peaks[:-1] > 0) & late) + 1
    return {int(at): float(rates[at] / peaks[at - 1]) for at in leaps if int(at) not in known}


GRADIENTS_LEAST = 10
# Full-batch training to the optimum ends with gradients near zero, too: then the loss is low, or has no noise.
HIGH, NEAR, NOISY = 0.5, 0.1, 1e-3
BEFORE = 15
OUTSTANDING = 8.0


def dead(history: History, curve: Curve) -> Iterator[Finding]:
    """D009: gradients vanish although there is something left to learn."""
    norms = history.grad_norm.finite()
    if len(norms) < GRADIENTS_LEAST or not _unfinished(history, curve):
        return
    part = _tenth(len(norms))
    start, end = (float(np.median(values)) for values in (norms.values[:part], norms.values[-part:]))
    value = end / start if start > 0 else 0.0
    limit = FAULTS["D009"].threshold
    if value < limit:
        # From which point on nearly all are wrong: the first of the last unbroken stretch that counts.
        wrong = norms.values < limit * start if start > 0 else norms.values <= 0
        right = np.flatnonzero(~wrong)
        tail = len(wrong) - _tenth(len(wrong))
        first = min(int(right[-1]) + 1 if len(right) else 0, tail)
        evidence = f"a gradient norm of {end:.3g} in the end and {start:.3g} at first, with the loss at {curve.end:.4g}"
        yield Finding("D009", float(norms.steps[first]), float(norms.steps[-1]), value, evidence)


def _tenth(count: int) -> int:
    return max(3, count // 10)


def _unfinished(history: History, curve: Curve) -> bool:
    """Whether the loss is not at its floor: far above it, or still noisy as no optimum of a full batch is."""
    floor = 0.0 if history.floor is None else history.floor
    height = curve.start - floor
    left = (curve.end - floor) / height if height > 0 else 1.0
    return left > HIGH or (left > NEAR and curve.noise > NOISY * abs(curve.end))


def exploding(history: History, curve: Curve) -> Iterator[Finding]:
    """D010: gradient norms far beyond those before them, or not finite."""
    del curve
    series = history.grad_norm
    finite = series.finite()
    if len(finite) > BEFORE:
        logs = np.log(np.maximum(finite.values, np.finfo(float).tiny))
        above = logs[BEFORE:] - windows(logs, BEFORE)[:-1]
        limit = max(float(np.log(FAULTS["D010"].threshold)), OUTSTANDING * spread(above))
        # A norm of zero, as of a skipped step, makes no explosion of the one after it.
        usual = np.where(windows(finite.values, BEFORE)[:-1] > 0, above, -np.inf)
        yield from _told(finite.steps[BEFORE:][usual >= limit], usual[usual >= limit])
    wrong = ~np.isfinite(series.values)
    if wrong.any():
        first, last = (float(step) for step in series.steps[wrong][[0, -1]])
        evidence = f"a gradient norm that is not finite at step {whole(first)}"
        yield Finding("D010", first, last, float("inf"), evidence)


def _told(wrong: Floats, above: Floats) -> Iterator[Finding]:
    if len(wrong):
        ratio = float(np.exp(above.max()))
        where = whole(float(wrong[int(above.argmax())]))
        evidence = f"{ratio:.3g} times the median before it at step {where}, {len(wrong)} in all"
        yield Finding("D010", float(wrong[0]), float(wrong[-1]), ratio, evidence)


# Fewer losses than this are no curve.
SHORTEST = 10
LOOKS = (not_falling, oscillating, jumping, diverging, overfitting, plateau, spiking, dead, exploding)
# A divergence is no oscillation, no plateau and a fall that was lost again; what swings has no jumps of its own.
EXPLAINS = {
    "D001": frozenset({"D006", "D007"}),
    "D003": frozenset({"D004", "D007"}),
    "D004": frozenset({"D007"}),
    "D005": frozenset({"D001", "D003", "D004", "D006", "D007"}),
}


def diagnose(history: History) -> list[Finding]:
    """Return what is wrong with a training run, in order of codes; nothing where nothing is.

    Raises: Undecided for fewer than 10 finite losses, unless it is NaN or infinity that makes them so few.
    """
    curve = Curve(history.loss.finite())
    broken = list(not_finite(history, curve))
    if len(curve) < SHORTEST:
        if broken:
            return broken
        message = f"{history.name or 'The history'} has {len(curve)} losses, too few to judge a curve."
        raise Undecided(message, hint=f"Log at least {SHORTEST}; about 30 tell noise from a fault.")
    with np.errstate(all="ignore"):
        found = [*broken, *(finding for look in LOOKS for finding in look(history, curve))]
    explained = {code for finding in found for code in EXPLAINS.get(finding.code, ())}
    return sorted((one for one in found if one.code not in explained), key=lambda one: (one.code, one.first))
