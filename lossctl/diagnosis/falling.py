"""Losses that do not fall at all (D001), or no longer (D007)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lossctl.diagnosis.curve import blocks_of
from lossctl.diagnosis.faults import FAULTS
from lossctl.diagnosis.finding import Finding
from lossctl.diagnosis.robust import OF_MEDIAN, kendall, medians, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.diagnosis.curve import Curve
    from lossctl.diagnosis.history import History

# Certainty that a curve falls: by its trend, and by its first values over the spread of its lowest quarter. A curve that falls
# fast and then stays has no trend; one that falls slowly under much noise starts within its spread.
TREND, FIRST = -2.6, 4.0
# Short curves can show no more than this.
TREND_OF_SHORT, SHORT = -2.0, 30
TREND_BLOCKS = 20
# Fewer points than this show no plateau, and an improvement below this share of the height is none.
PLATEAU, LITTLE = 30, 0.02
# A learning rate that changes by no more than this factor is constant.
CONSTANT = 1.1
# From here on a learning rate is not raised: no usual optimizer takes more.
LARGE_RATE = 1.0
TOO_LARGE = (("learning rate too large",), ("lower the learning rate, or warm it up", "clip gradients"))


def not_falling(history: History, curve: Curve) -> Iterator[Finding]:
    """D001: the decrease is no more than noise, or next to nothing."""
    size = abs(curve.start) or curve.scale
    value = curve.drop / size if _falls(curve) else 0.0
    if value < FAULTS["D001"].threshold:
        why = f"a decrease of {value:.2%}" if value else "no decrease beyond noise"
        evidence = f"{why} in {len(curve)} values: {curve.start:.4g} at first, {curve.end:.4g} in the end"
        rates = history.lr.finite().values
        rate = float(np.median(rates)) if len(rates) else 0.0
        large = rate >= LARGE_RATE
        evidence += f", at a learning rate of {rate:.3g}" if large else ""
        yield Finding("D001", curve.step(0), curve.step(1), value, evidence, TOO_LARGE if large else None)


def _falls(curve: Curve) -> bool:
    _, z = kendall(medians(curve.values, blocks_of(len(curve), TREND_BLOCKS)))
    trend = TREND if len(curve) >= SHORT else TREND_OF_SHORT
    lowest = min(np.array_split(curve.values, 4), key=np.median)
    return z < trend or curve.start - float(np.median(lowest)) > FIRST * max(spread(lowest), 1e-9 * abs(curve.start))


def plateau(history: History, curve: Curve) -> Iterator[Finding]:
    """D007: two thirds of the run without improvement, at a height that is no floor, under a constant learning rate."""
    floor = 0.0 if history.floor is None else history.floor
    begin = curve.step(1 / 3)
    height = curve.start - floor
    if len(curve) < PLATEAU or height <= 0 or float(curve.values.min()) < floor or not _constant(history, begin):
        return
    value = (curve.end - floor) / height
    improved, doubt = _improvement(curve)
    if value >= FAULTS["D007"].threshold and improved < max(LITTLE * height, 2 * doubt):
        evidence = f"from {curve.end + improved:.4g} to {curve.end:.4g}, with {floor:g} as the floor"
        yield Finding("D007", begin, curve.step(1), value, evidence)


def _improvement(curve: Curve) -> tuple[float, float]:
    """How far the last two thirds fall, by the medians of their outer quarters, and the standard error of that."""
    tail = curve.values[len(curve) // 3 :]
    part = len(tail) // 4
    first, last = tail[:part], tail[-part:]
    error = OF_MEDIAN * math.hypot(spread(first), spread(last)) / math.sqrt(part)
    return float(np.median(first) - np.median(last)), error


def _constant(history: History, begin: float) -> bool:
    rates = history.lr.finite().since(begin).values
    rates = rates[rates > 0]
    return not len(rates) or float(rates.max()) <= CONSTANT * float(rates.min())
