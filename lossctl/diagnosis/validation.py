"""D006: the validation loss rises while the training loss does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.diagnosis.curve import SHARE
from lossctl.diagnosis.faults import FAULTS
from lossctl.diagnosis.finding import Finding, whole
from lossctl.diagnosis.robust import kendall, medians, noise, windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.diagnosis.curve import Curve
    from lossctl.diagnosis.history import Floats, History, Series

# So many validations, so many of them after the best one, a trend that steady, a rise of so many spreads of the noise.
LEAST, AFTER = 6, 4
STEADY, CLEAR = 0.5, 3.0
SMOOTHED, BLOCKS = 3, 12
# The training loss may rise by this share of its decrease and still count as not rising.
SLACK = 0.1


def overfitting(history: History, curve: Curve) -> Iterator[Finding]:
    """D006, with the step at which the validation loss is lowest."""
    val = history.val.finite()
    if len(val) < LEAST:
        return
    at = _lowest(val.values)
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


def _lowest(values: Floats) -> int:
    """The position of the lowest running median: one lucky validation is not the best."""
    return int(windows(values, SMOOTHED).argmin()) + SMOOTHED // 2


def _rise(val: Series, at: int, after: Floats) -> tuple[float, float]:
    """The level around the lowest validation, and how far the last ones are above it."""
    low = float(np.median(val.values[max(0, at - 1) : at + 2]))
    return low, float(np.median(after[-max(3, len(after) // 4) :])) - low


def _rises(curve: Curve, step: float) -> bool:
    """Whether the training loss rises from a step on."""
    tail = curve.series.since(step).values
    part = max(1, len(tail) // 4)
    return len(tail) > 1 and float(np.median(tail[-part:]) - np.median(tail[:part])) > SLACK * curve.scale
