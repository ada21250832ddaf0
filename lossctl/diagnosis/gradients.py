"""Gradient norms: dead (D009) and exploding (D010)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.diagnosis.faults import FAULTS
from lossctl.diagnosis.finding import Finding, whole
from lossctl.diagnosis.robust import spread, windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.diagnosis.curve import Curve
    from lossctl.diagnosis.history import Flags, Floats, History

LEAST = 10
# Full-batch training to the optimum ends with gradients near zero, too: then the loss is low, or has no noise.
HIGH, NEAR, NOISY = 0.5, 0.1, 1e-3
BEFORE = 15
OUTSTANDING = 8.0


def dead(history: History, curve: Curve) -> Iterator[Finding]:
    """D009: gradients vanish although there is something left to learn."""
    norms = history.grad_norm.finite()
    if len(norms) < LEAST or not _unfinished(history, curve):
        return
    part = _tenth(len(norms))
    start, end = (float(np.median(values)) for values in (norms.values[:part], norms.values[-part:]))
    value = end / start if start > 0 else 0.0
    limit = FAULTS["D009"].threshold
    if value < limit:
        first = _since(norms.values < limit * start if start > 0 else norms.values <= 0)
        evidence = f"a gradient norm of {end:.3g} in the end and {start:.3g} at first, with the loss at {curve.end:.4g}"
        yield Finding("D009", float(norms.steps[first]), float(norms.steps[-1]), value, evidence)


def _tenth(count: int) -> int:
    return max(3, count // 10)


def _since(wrong: Flags) -> int:
    """From which point on nearly all are wrong: the first of the last unbroken stretch that counts."""
    right = np.flatnonzero(~wrong)
    tail = len(wrong) - _tenth(len(wrong))
    return min(int(right[-1]) + 1 if len(right) else 0, tail)


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
