"""D008: learning rates that no schedule has. Warm-up, decay, steps down, one cycle and restarts are schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.diagnosis.faults import FAULTS
from lossctl.diagnosis.finding import Finding, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.diagnosis.curve import Curve
    from lossctl.diagnosis.history import Floats, History

# A schedule of fewer points is too coarse to tell from spikes.
LEAST = 30
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
    if len(lr) < LEAST or lr.values.min() < 0:
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
