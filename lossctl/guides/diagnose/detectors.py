"""The detectors: each looks at a history for one kind of fault, and `diagnose` runs them all.

The training loss comes first: values that are no numbers (D002), oscillation (D003), jumps (D004), divergence (D005), losses
that do not fall at all (D001) or no longer (D007). Then a validation loss that rises while the training loss does not (D006),
learning rates that no schedule has (D008), where warm-up, decay, steps down, one cycle and restarts are schedules, and gradient
norms that are dead (D009) or exploding (D010). A finding that another one explains is left out.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import Undecided
from lossctl.guides.diagnose.faults import FAULTS, Finding, whole
from lossctl.guides.diagnose.history import (
    BLOCKS,
    OF_MEDIAN,
    SHARE,
    Curve,
    blocks_of,
    kendall,
    medians,
    noise,
    spread,
    unsteady,
    windows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        evidence = f"{what} at step {whole(first)}{ends}{_growth_before(history, first)}"
        yield Finding("D002", first, last, int(wrong.sum()), evidence)


def _growth_before(history: History, first: float) -> str:
    """What grew before a step."""
    logged = (("loss", history.loss), ("gradient norm", history.grad_norm))
    grown = [(name, _growth(series.before(first).finite())) for name, series in logged]
    said = [f"the {name} had grown to {ratio:.3g} times its median" for name, ratio in grown if ratio > GROWTH]
    return "".join(f"; {sentence}" for sentence in said)


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
    jumps = (value >= FAULTS["D004"].threshold) & (outstanding | _alone(curve, width, len(rises)))
    for at in _peaks(np.where(jumps, rises, -np.inf), 2 * width):
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


# So many validations, so many of them after the best one, a trend that steady, a rise of so many spreads of the noise.
VALIDATION_LEAST, AFTER = 6, 4
VALIDATION_TREND, CLEAR = 0.5, 3.0
SMOOTHED, VALIDATION_BLOCKS = 3, 12
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
    tau, _ = kendall(medians(after, VALIDATION_BLOCKS))
    clear = rise >= CLEAR * noise(val.values[at // 2 :]) and tau >= VALIDATION_TREND
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
EXCURSION, BESIDE = 3, 5
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
    excursions = _excursions(lr.values)
    spikes = {} if _cyclic(lr.values, excursions) else excursions
    for at, ratio in sorted((spikes | _leaps(lr.values, set(excursions))).items()):
        evidence = f"{lr.values[at]:.3g} at step {whole(float(lr.steps[at]))}, {ratio:.3g} times what is around it"
        yield Finding("D008", float(lr.steps[at]), float(lr.steps[at]), ratio, evidence)


def _excursions(rates: Floats) -> dict[int, float]:
    """Where the rate is short and far above both sides, and by which factor."""
    threshold = FAULTS["D008"].threshold
    ratios: dict[int, float] = {}
    # Only where it has just risen can an excursion begin.
    for at in np.flatnonzero(rates[1:] > threshold * rates[:-1]) + 1:
        for width in range(1, EXCURSION + 1):
            before, after = rates[max(0, at - BESIDE) : at], rates[at + width : at + width + BESIDE]
            beside = max(float(np.median(before)), float(after.max(initial=-1.0)))
            low = float(rates[at : at + width].min())
            if len(after) and beside > 0 and low >= threshold * beside:
                ratios[int(at)] = float(rates[at : at + width].max()) / beside
    return ratios


def _cyclic(rates: Floats, excursions: dict[int, float]) -> bool:
    heights = np.array([rates[at] for at in excursions])
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
GRADIENT_SPREADS = 8.0


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
        limit = max(float(np.log(FAULTS["D010"].threshold)), GRADIENT_SPREADS * spread(above))
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
        findings = [*broken, *(finding for look in LOOKS for finding in look(history, curve))]
    explained = {code for finding in findings for code in EXPLAINS.get(finding.code, ())}
    kept = [finding for finding in findings if finding.code not in explained]
    return sorted(kept, key=lambda finding: (finding.code, finding.first))
