"""Slopes by differences of values, and what they say of a gradient: right, at a kink, too steep to say, or wrong.

Where values exist to one side only, at the edge of a domain, the slope is that side's. One that grows without end as steps get
smaller is infinite: a gradient of that infinity is right, and any other is wrong.

Each side of a point is walked in steps h, h/2 and h/4, and both sides are extrapolated to h = 0 (Richardson 1911,
doi:10.1098/rsta.1911.0009); the last two extrapolations differ by about the error. Where the slopes do not come out, or not as
the gradient has them, smaller and larger steps are tried, and the step with the least error counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lossctl.sources.readers import NumPyArray

OK, KINK, STEEP, WRONG, UNSETTLED = range(5)
# What counts as equal, of the larger one or of the floor.
RTOL = 1e-5
LEVELS = (1.0, 0.5, 0.25)
# Steps, as parts of the first: kinks nearby need smaller ones, rough values larger ones.
FACTORS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 10.0, 100.0)
# A slope that fails, or jumps, at this many steps needs no further ones.
TRIES = 3
# Errors of a slope, as parts of it: with less, no other step is tried; with more, there is no slope.
SURE, UNSURE = 1e-6, 1e-3
# A jump of the slope is one beyond this part of it, and this many errors.
JUMP, ERRORS = 1e-4, 10
# Steps at the edge of a domain, as parts of the first, and how many slopes must grow without slowing down: by as much at the
# last as at the first of them, or half of it. A slope that settles like a root of the step grows by a tenth.
EDGE_FACTORS = tuple(10.0**-power for power in range(7))
GROWING, LASTING = 4, 0.5
# The part of the way to the edge of the domain that a step may take.
INSIDE = 1e-2
Change = Callable[["NumPyArray", "NumPyArray"], tuple["NumPyArray", "NumPyArray"]]


@dataclass(frozen=True)
class Line:
    """Points `at`, each of which is moved in one direction inside [low, high].

    `change(rows, steps)` gives by how much the values of some points change, and how large those are that do; values are
    right to `unit` of that and of `reach`, the size of what they are calculated from. No further step of `factors` is tried
    for a slope whose error is less than the part `sure` of it.
    """

    at: NumPyArray
    change: Change
    low: float = -np.inf
    high: float = np.inf
    unit: float = float(np.finfo(np.float64).eps)
    reach: NumPyArray | float = 0.0
    factors: Sequence[float] = FACTORS
    sure: float = SURE


@dataclass
class JudgedSlope:
    """For each point: what its gradient is, the numeric slope, and the slopes to both sides; errors are those of slopes."""

    kinds: NumPyArray
    numeric: NumPyArray
    left: NumPyArray
    right: NumPyArray
    error: NumPyArray
    relative: NumPyArray = field(default_factory=lambda: np.zeros(0))

    @staticmethod
    def joined(parts: Sequence[JudgedSlope]) -> JudgedSlope:
        """The points of several lines with as many points: the first of each, then the second of each, and so on."""
        names = [item.name for item in fields(JudgedSlope)] if parts else []
        empty = [np.zeros(0) for _ in fields(JudgedSlope)]
        return JudgedSlope(
            *([np.stack([getattr(part, name) for part in parts], axis=1).reshape(-1) for name in names] or empty)
        )


@dataclass(frozen=True)
class SlopeSide:
    """The slopes to one side in three steps, the one at h = 0, its error, and the part of it that is rounding."""

    steps: NumPyArray
    value: NumPyArray
    error: NumPyArray
    noise: NumPyArray


def judge(line: Line, gradient: NumPyArray, floor: NumPyArray) -> JudgedSlope:
    """Compare the gradient at each point with the slopes there; `floor` is a size below which slopes count as that large."""
    count = len(line.at)
    numeric, left, right = np.full((3, count), np.nan)
    result = JudgedSlope(np.full(count, STEEP), numeric, left, right, np.full(count, np.inf))
    quality, open_ = np.full(count, np.inf), np.arange(count)
    with np.errstate(all="ignore"):
        for number, factor in enumerate(line.factors):
            if not open_.size:
                break
            here = _slopes(line, open_, factor)
            share = here.error / _scale(here, floor[open_])
            better = share < quality[open_]
            rows = open_[better]
            quality[rows] = share[better]
            for name in ("kinds", "numeric", "left", "right", "error"):
                getattr(result, name)[rows] = getattr(here, name)[better]
            fits = (here.kinds == OK) & (_beyond(here, gradient[open_]) <= _slack(here, gradient[open_], floor[open_]))
            open_ = open_[~((share <= line.sure) & (fits | (number + 1 >= TRIES)))]
        return _decided(result, quality, gradient, floor)


def settle_edges(line: Line, found: JudgedSlope, gradient: NumPyArray) -> None:
    """Decide on elements that have values to one side only and are not right yet.

    A slope that grows without end is infinite; one that settles slowly, like a root of the step, is extrapolated from the rate
    at which it does (Aitken 1926). A gradient of 0 from which values rise infinitely fast, as at the least value of a root, is
    neither right nor wrong: it stays unsettled, as does everything else whose slopes do not settle.
    """
    edge: NumPyArray = (line.at <= line.low) | (line.at >= line.high) | (np.isnan(found.left) != np.isnan(found.right))
    open_ = np.nonzero(edge & (found.kinds != OK) & (found.kinds != KINK))[0]
    if not open_.size:
        return
    at = line.at[open_]
    down = (at >= line.high) | ((at > line.low) & np.isnan(found.right[open_]))
    inside = np.where(down, -1.0, 1.0)
    limit, error = _limits(line, open_, inside)
    given = gradient[open_]
    with np.errstate(all="ignore"):
        off = np.where(given == limit, 0.0, np.abs(given - limit))
        right = off <= error + RTOL * np.abs(np.where(np.isfinite(limit), limit, 0.0))
    least = (given == 0) & (limit == np.copysign(np.inf, inside))
    known = ~np.isnan(limit)
    found.kinds[open_] = np.select(
        [~known & (found.kinds[open_] == STEEP), ~known, right, least], [UNSETTLED, WRONG, OK, UNSETTLED], WRONG
    )
    rows = open_[known]
    found.numeric[rows], found.relative[rows] = limit[known], np.where(right[known], 0.0, np.inf)


def _limits(line: Line, rows: NumPyArray, inside: NumPyArray) -> tuple[NumPyArray, NumPyArray]:
    """The slopes at the edge, and their errors: infinite where they grow without end, NaN where it cannot be told."""
    at, reach = line.at[rows], np.broadcast_to(line.reach, line.at.shape)[rows]
    slopes, noise = [], np.zeros(len(rows))
    with np.errstate(all="ignore"):
        for factor in EDGE_FACTORS:
            walked = (at + inside * (line.unit**0.25 * np.maximum(1.0, np.abs(at)) * factor)) - at
            change, size = line.change(rows, walked)
            slopes.append(change / walked)
            noise = line.unit * (size + reach) / np.abs(walked)
        last = np.stack(slopes[-GROWING - 1 :])
        steps = np.diff(last, axis=0)
        sign, size = np.sign(steps[-1]), np.abs(steps)
        same = (np.sign(steps) == sign).all(axis=0) & (size[-1] > ERRORS * noise)
        grows = same & (size[-1] > LASTING * size[0]) & (np.sign(last[-1]) == sign)
        grows |= np.isinf(last).all(axis=0)
        slows = same & (size[1:] < LASTING * size[:-1]).all(axis=0)
        rate = steps[-1] / steps[-2]
        limit = np.where(slows, last[-1] + steps[-1] * rate / (1 - rate), np.nan)
        return np.where(grows, np.sign(last[-1]) * np.inf, limit), np.where(slows, size[-1], 0.0) + ERRORS * noise


def _decided(found: JudgedSlope, quality: NumPyArray, gradient: NumPyArray, floor: NumPyArray) -> JudgedSlope:
    """Say wrong where a gradient is farther from its slopes than errors reach, and steep where there are none."""
    scale, beyond = _scale(found, floor, gradient), _beyond(found, gradient)
    found.relative = np.where(np.isnan(gradient), np.inf, beyond / scale)
    wrong = ~(beyond <= _slack(found, gradient, floor))
    found.kinds = np.where(quality > UNSURE, STEEP, np.where(wrong, WRONG, found.kinds))
    return found


def _beyond(found: JudgedSlope, gradient: NumPyArray) -> NumPyArray:
    """How far the gradient is from the slope, or at a kink from the span between both slopes."""
    low, high = np.fmin(found.left, found.right), np.fmax(found.left, found.right)
    outside = np.maximum(np.maximum(low - gradient, gradient - high), 0.0)
    return np.asarray(np.where(found.kinds == KINK, outside, np.abs(gradient - found.numeric)))


def _scale(found: JudgedSlope, floor: NumPyArray, gradient: NumPyArray | float = 0.0) -> NumPyArray:
    scale = np.maximum(floor, np.finfo(np.float64).tiny)
    sides = np.where(found.kinds == KINK, np.fmax(np.abs(found.left), np.abs(found.right)), 0.0)
    for slope in (found.numeric, gradient, sides):
        scale = np.maximum(scale, np.where(np.isfinite(slope), np.abs(slope), 0.0))
    return np.asarray(scale)


def _slack(found: JudgedSlope, gradient: NumPyArray, floor: NumPyArray) -> NumPyArray:
    return np.asarray(RTOL * _scale(found, floor, gradient) + 4 * found.error)


def _slopes(line: Line, rows: NumPyArray, factor: float) -> JudgedSlope:
    """Slopes with steps of one size, and whether they jump at the points."""
    at = line.at[rows]
    step = line.unit**0.25 * np.maximum(1.0, np.abs(at)) * factor
    room = np.minimum(*(np.where(away > 0, away, np.inf) for away in (line.high - at, at - line.low)))
    step = np.minimum(step, INSIDE * room)
    up = _side(line, rows, np.where(at < line.high, step, 0.0))
    down = _side(line, rows, np.where(at > line.low, -step, 0.0))
    value, error = _centre(up, down)
    jump = np.abs(up.value - down.value)
    size = np.fmax(np.abs(up.value), np.abs(down.value))
    jumps = (jump > JUMP * size + ERRORS * (up.error + down.error)) & np.isfinite(jump)
    return JudgedSlope(
        kinds=np.where(jumps, KINK, OK),
        numeric=value,
        left=down.value,
        right=up.value,
        error=np.where(jumps, up.error + down.error, error),
    )


def _side(line: Line, rows: NumPyArray, step: NumPyArray) -> SlopeSide:
    """Walk to one side; steps are what they really are once added."""
    at, reach = line.at[rows], np.broadcast_to(line.reach, line.at.shape)[rows]
    slopes, noise = [], np.zeros(len(rows))
    for level in LEVELS:
        walked = (at + step * level) - at
        change, size = line.change(rows, walked)
        slopes.append(change / walked)
        noise = line.unit * (size + reach) / np.abs(walked)
    coarse, fine = 2 * slopes[1] - slopes[0], 2 * slopes[2] - slopes[1]
    error = np.abs(fine - coarse) + noise
    return SlopeSide(np.stack(slopes), (4 * fine - coarse) / 3, np.where(np.isnan(error), np.inf, error), noise)


def _centre(up: SlopeSide, down: SlopeSide) -> tuple[NumPyArray, NumPyArray]:
    """The slope from both sides; from one where the other has none, at the edge of what can be calculated.

    Where neither side has a slope, as in the root of a size at 0, that both cancel means nothing.
    """
    first, second, third = (up.steps + down.steps) / 2
    coarse, fine = (4 * second - first) / 3, (4 * third - second) / 3
    error = np.abs(fine - coarse) + np.maximum(up.noise, down.noise) + INSIDE * np.minimum(up.error, down.error)
    alone = np.where(np.isfinite(up.error), up.value, down.value)
    both = np.isfinite(up.error) & np.isfinite(down.error)
    return np.where(both, fine, alone), np.where(both, error, np.minimum(up.error, down.error))
