"""Losses that rise: jumps (D004), divergence (D005), oscillation (D003), and values that are no numbers (D002).

Losses that do not fall at all (D001), or no longer (D007).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from lossctl.guides.diagnose.curve import BLOCKS, OF_MEDIAN, SHARE, blocks_of, kendall, medians, spread, unsteady, windows
from lossctl.guides.diagnose.faults import FAULTS, Finding, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.guides.diagnose.curve import Curve
    from lossctl.guides.diagnose.history import Flags, Floats, History, Series


# A jump lasts at least for so many values, of long runs and of short ones, and stands out by so many spreads.
LASTING, LASTING_SHORT, LONG = 5, 3, 40
OUTSTANDING = 7.0
# Or one step is larger than any other by this factor.
LARGER = 3.0
# Noise is local: its spread is taken over so many neighbours.
LOCAL = 50
# Divergence begins where the curve last was within this share of the rise from its lowest level.
ONSET = 0.15
STEADY, RISING = 0.6, 6
# A rise that the curve has made before and lost again is a swing.
ABOVE = 1.5
# A loss that ends above its first value by this multiple of it was lost at once, and has no rise to look at.
FAR = 2.0
# And where it once was so far above, it was lost for good if all later levels and nearly all later values lie above the first
# by more than a rounding. An outlier of a flat loss leaves half of the values below.
FOR_GOOD, NEARLY_ALL = 0.01, 0.95
BLOCKS_OF_RISE = 15
# A loss grows before it overflows when the last values exceed this multiple of the usual one.
GROWTH = 10.0
LAST = 5
# Half of the starting level, for what swings: noise of fine-tuning is small beside the level and large beside the decrease.
SWING = 0.5
# Fewer crossings of the falling curve are a jump or a bump.
CROSSINGS = 12
# A learning rate that rises by this factor and not above its earlier peak restarts a schedule.
RESTART = 1.5


def not_finite(history: History, curve: Curve) -> Iterator[Finding]:
    """D002: the first loss that is NaN or infinite, and what came before it."""
    del curve
    loss = history.loss
    wrong = ~np.isfinite(loss.values)
    if wrong.any():
        first, last = (float(step) for step in loss.steps[wrong][[0, -1]])
        what = "NaN" if np.isnan(loss.values[wrong][0]) else "infinite"
        ends = "" if wrong[-1] else ", and finite again in the end"
        evidence = f"{what} at step {whole(first)}{ends}{_omens(history, first)}"
        yield Finding("D002", first, last, int(wrong.sum()), evidence)


def _omens(history: History, first: float) -> str:
    """What grew before a step."""
    found = (("loss", history.loss), ("gradient norm", history.grad_norm))
    grown = [(name, _growth(series.before(first).finite())) for name, series in found]
    said = [f"the {name} had grown to {ratio:.3g} times its median" for name, ratio in grown if ratio > GROWTH]
    return "".join(f"; {one}" for one in said)


def _growth(series: Series) -> float:
    usual = float(np.median(np.abs(series.values))) if len(series) else 0.0
    return float(np.abs(series.values[-LAST:]).max()) / usual if usual else 0.0


def oscillating(history: History, curve: Curve) -> Iterator[Finding]:
    """D003: the loss is far from every falling curve."""
    del history
    scale = max(curve.descent, SWING * abs(curve.start), np.finfo(float).tiny)
    swing, crossings = unsteady(curve.values)
    value = swing / scale
    if value >= FAULTS["D003"].threshold and crossings >= CROSSINGS:
        evidence = f"it swings by {swing:.4g} around a falling curve, and falls by {curve.descent:.4g}"
        yield Finding("D003", curve.step(0), curve.step(1), value, evidence)


def jumping(history: History, curve: Curve) -> Iterator[Finding]:
    """D004: the loss rises at once, by more than its noise does, and stays there for some values."""
    width = LASTING if len(curve) >= LONG else LASTING_SHORT
    if len(curve) < 4 * width:
        return
    running = windows(curve.values, width)
    rises = running[width:] - running[:-width]
    value = rises / curve.scale
    outstanding = rises - np.median(rises) >= OUTSTANDING * _local_spread(rises)
    found = (value >= FAULTS["D004"].threshold) & (outstanding | _alone(curve, width, len(rises)))
    for at in _peaks(np.where(found, rises, -np.inf), 2 * width):
        sharpest = at + 1 + int(np.diff(curve.values[at : at + 2 * width]).argmax())
        step, before = float(curve.steps[sharpest]), float(running[at])
        if not _restarts(history.lr.finite(), *curve.steps[[at, min(at + 2 * width, len(curve) - 1)]].tolist()):
            evidence = f"from {before:.4g} to {float(running[at + width]):.4g} at step {whole(step)}"
            yield Finding("D004", step, step, float(value[at]), evidence)


def _alone(curve: Curve, width: int, count: int) -> Flags:
    """Where a single step is far larger than every other one up, and leaves all values after it above all before.

    Short curves have too few rises for a spread: in them this tells.
    """
    alone = np.zeros(count, bool)
    steps = np.diff(curve.values)
    at = int(steps.argmax())
    place = at + 1 - width
    if 0 <= place < count:
        before, after = curve.values[place : at + 1], curve.values[at + 1 : at + 1 + width]
        others = max(0.0, float(np.delete(steps, at).max()))
        apart = float(after.min() - before.max()) >= FAULTS["D004"].threshold * curve.scale
        alone[place] = apart and steps[at] >= LARGER * others
    return alone


def _local_spread(rises: Floats) -> Floats:
    """The spread of rises around each of them."""
    parts = max(1, len(rises) // LOCAL)
    edges = np.linspace(0, len(rises), parts + 1).astype(int)
    spreads = [spread(rises[low:high]) for low, high in pairwise(edges.tolist())]
    # A jump at the edge of two parts is compared with the noise of both.
    wide = [max(spreads[max(0, i - 1) : i + 2]) for i in range(parts)]
    return np.repeat(wide, np.diff(edges))


def _peaks(rises: Floats, apart: int) -> list[int]:
    """Where rises are largest, in order, each so far from the others; -inf is no rise."""
    peaks: list[int] = []
    left = rises.copy()
    while len(left) and left.max() > -np.inf:
        at = int(left.argmax())
        peaks.append(at)
        left[max(0, at - apart) : at + apart + 1] = -np.inf
    return sorted(peaks)


def _restarts(lr: Series, since: float, until: float) -> bool:
    """Whether the learning rate returns between two steps to a height that it has had: a warm restart."""
    before, around = lr.before(since).values, lr.since(since).before(until).values
    if len(before) < 2 or not len(around):  # noqa: PLR2004 - a peak and what followed it
        return False
    return bool(around.max() > RESTART * before[-1] and around.max() <= before.max() * (1 + 1e-9))


def diverging(history: History, curve: Curve) -> Iterator[Finding]:
    """D005: from its lowest level on, the loss rises steadily to the end; or it ends far above its very first value.

    A loss that blew up and came down again, but never to where it began, is lost too.
    """
    del history
    first = float(curve.values[0])
    if curve.end - first > FAR * max(abs(first), curve.scale):
        value = (curve.end - first) / max(SHARE * abs(first), np.finfo(float).tiny)
        low = min(first, curve.best)
        yield _diverged(curve, _onset(curve, low + ONSET * (curve.end - low)), low, value)
        return
    peak = int(curve.values.argmax())
    if _lost_for_good(curve, first, peak):
        top, low = float(curve.values[peak]), float(curve.values[peak:].min())
        begin = int(np.flatnonzero(curve.values > first + ONSET * (top - first))[0])
        value = (top - first) / max(SHARE * abs(first), np.finfo(float).tiny)
        blew = f"from {first:.4g} it blew up to {top:.4g} at step {whole(float(curve.steps[peak]))}"
        yield Finding("D005", float(curve.steps[begin]), curve.step(1), value, f"{blew}, and never came below {low:.4g} again")
        return
    rise = curve.end - curve.best
    value = rise / curve.scale
    if value >= FAULTS["D005"].threshold and rise > ABOVE * _swung(curve):
        begin = _onset(curve, curve.best + ONSET * rise)
        tail = curve.values[begin:]
        tau, _ = kendall(medians(tail, blocks_of(len(tail), BLOCKS_OF_RISE)))
        if len(tail) >= RISING and tau >= STEADY:
            yield _diverged(curve, begin, curve.best, value)


def _lost_for_good(curve: Curve, first: float, peak: int) -> bool:
    tail = curve.values[peak + 1 :]
    if len(tail) < RISING or curve.values[peak] - first <= FAR * max(abs(first), np.finfo(float).tiny):
        return False
    back = first + FOR_GOOD * abs(first)
    return bool(medians(tail, blocks_of(len(tail), BLOCKS)).min() > back and np.mean(tail > back) >= NEARLY_ALL)


def _diverged(curve: Curve, begin: int, low: float, value: float) -> Finding:
    evidence = f"from {low:.4g} at its lowest to {curve.end:.4g} in the end"
    return Finding("D005", float(curve.steps[begin]), curve.step(1), value, evidence)


def _swung(curve: Curve) -> float:
    """The largest rise of the levels before the lowest."""
    before = curve.levels[: int(curve.levels.argmin()) + 1]
    return float((before - np.minimum.accumulate(before)).max())


def _onset(curve: Curve, level: float) -> int:
    """The point from which on all levels are above one; the first where all are."""
    levels = curve.levels
    below = np.flatnonzero(levels <= level)
    last = int(below[-1]) if below.size else 0
    return last * len(curve) // min(len(curve), blocks_of(len(curve), BLOCKS))


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
    # How far the last two thirds fall, by the medians of their outer quarters, and the standard error of that.
    tail = curve.values[len(curve) // 3 :]
    part = len(tail) // 4
    first, last = tail[:part], tail[-part:]
    error = OF_MEDIAN * math.hypot(spread(first), spread(last)) / math.sqrt(part)
    improved = float(np.median(first) - np.median(last))
    if value >= FAULTS["D007"].threshold and improved < max(LITTLE * height, 2 * error):
        evidence = f"from {curve.end + improved:.4g} to {curve.end:.4g}, with {floor:g} as the floor"
        yield Finding("D007", begin, curve.step(1), value, evidence)


def _constant(history: History, begin: float) -> bool:
    rates = history.lr.finite().since(begin).values
    rates = rates[rates > 0]
    return not len(rates) or float(rates.max()) <= CONSTANT * float(rates.min())
