"""What a loss estimates: the constant that it likes best for small skewed samples, and which statistic of them that is."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lossctl.comparison.curves import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lossctl.comparison.curves import Probe
    from lossctl.statistics.arrays import Floats

# Skewed and without ties, so that every statistic is another number; quantiles are points of them. What is a statistic of
# both is no accident.
SAMPLES = (
    np.asarray([0.4, 0.5, 0.62, 0.7, 1.1, 1.5, 2.1, 3.2, 4.5, 7.0, 12.0]),
    np.asarray([0.11, 0.13, 0.19, 0.2, 0.23, 0.3, 0.42, 0.8, 2.9, 3.3, 3.7, 8.0, 9.1]),
)
# The share of the rarer of two classes, and those of three.
RARE, SHARES = 0.3, np.asarray([0.5, 0.3, 0.2])
PLACES, ZOOMS = 201, 5
# Where the best constant is looked for: numbers, and scores.
NUMBERS, SCORES = 20.0, 12.0
# Statistics that differ by less are not told apart.
CLOSE = 1e-3


def estimand(probe: Probe, *, redescending: bool) -> str:
    """The statistic that a loss of numbers estimates, or nothing where it has no name here."""
    domain = probe.target
    if not (domain.values or domain.high == 1):
        return _of_numbers(probe, redescending=redescending)
    low, high = (min(domain.values), max(domain.values)) if domain.values else (0.0, 1.0)
    best = best_constant(probe, np.where(np.arange(10) < 10 * RARE, high, low), SCORES)
    return "" if best is None else _of_two_classes(best, probe)


def best_constant(probe: Probe, target: Floats, reach: float) -> float | None:
    """The constant prediction within `reach` of 0 with the least loss; None where the loss falls beyond the range."""
    grid = span(probe.pred, -reach, reach, PLACES)
    ends = grid[0], grid[-1]
    best = math.nan
    for _ in range(ZOOMS):
        losses = _losses(probe, grid, target)
        if np.isnan(losses).all():
            return None
        best = float(grid[int(np.nanargmin(losses))])
        step = grid[1] - grid[0]
        grid = np.linspace(max(ends[0], best - step), min(ends[1], best + step), PLACES)
    return None if best in ends else best


def _losses(probe: Probe, grid: Floats, target: Floats) -> Floats:
    """The reduced loss of every constant (k,)."""
    pred = np.repeat(grid[:, None], len(target), axis=1)
    if probe.loss.origin != "lossctl":
        return probe.values(pred, np.tile(target, (len(grid), 1)))
    terms = probe.terms(pred, np.broadcast_to(target, pred.shape))
    with np.errstate(all="ignore"):
        sums = {name: np.broadcast_to(term, pred.shape).sum(axis=1) for name, term in terms.items()}
        return np.asarray(probe.loss.finish(np, sums, **probe.params), np.float64)


def _of_two_classes(best: float, probe: Probe) -> str:
    odds = math.log(RARE / (1 - RARE))
    known = (RARE,) if probe.pred.high == 1 else (odds, odds / 2, 2 * RARE - 1)
    if any(math.isclose(best, one, rel_tol=CLOSE) for one in known):
        return "class probabilities"
    middle = 0.5 if probe.pred.high == 1 else 0.0
    return "most likely class" if best < middle - CLOSE else ""


def _of_numbers(probe: Probe, *, redescending: bool) -> str:
    bests = [best for best in (best_constant(probe, sample, NUMBERS) for sample in SAMPLES) if best is not None]
    if len(bests) < len(SAMPLES):
        return ""
    for name, ones in _statistics(probe).items():
        if _alike(bests, ones):
            return name
        if _alike(bests, [math.log(one) for one in ones]):
            return f"log of the {name}"
    if redescending:
        return "mode-like"
    between = all(np.median(sample) < best < sample.mean() for best, sample in zip(bests, SAMPLES, strict=True))
    return "between median and mean" if between else ""


def _alike(bests: list[float], ones: list[float]) -> bool:
    return all(math.isclose(best, one, rel_tol=CLOSE) for best, one in zip(bests, ones, strict=True))


def _statistics(probe: Probe) -> dict[str, list[float]]:
    """Every statistic that has a name; quantiles and expectiles of the parameters that could be their level."""
    found = dict(STATISTICS)
    for level in (value for value in probe.params.values() if isinstance(value, float) and 0 < value < 1):
        found[f"quantile {level:g}"] = partial(_quantile, level)
        found[f"expectile {level:g}"] = partial(_expectile, level)
    return {name: [statistic(sample) for sample in SAMPLES] for name, statistic in found.items()}


def _quantile(level: float, sample: Floats) -> float:
    return float(np.quantile(sample, level, method="inverted_cdf"))


def _expectile(level: float, sample: Floats) -> float:
    """The mean that weighs what lies above it by `level` and what lies below by 1 - `level`."""
    found = float(sample.mean())
    for _ in range(50):
        found = float(np.average(sample, weights=np.where(found < sample, level, 1 - level)))
    return found


def _weighted_median(sample: Floats) -> float:
    weights = np.cumsum(1 / sample)
    return float(sample[np.searchsorted(weights, weights[-1] / 2)])


STATISTICS: Mapping[str, Callable[[Floats], float]] = {
    "mean": lambda sample: float(sample.mean()),
    "median": lambda sample: float(np.median(sample)),
    "geometric mean": lambda sample: math.exp(float(np.log(sample).mean())),
    "geometric mean of 1 + target, minus 1": lambda sample: math.expm1(float(np.log1p(sample).mean())),
    "harmonic mean": lambda sample: 1 / float((1 / sample).mean()),
    "median weighted by 1 / target": _weighted_median,
    "mean weighted by 1 / target^2": lambda sample: float(np.average(sample, weights=sample**-2)),
    "midrange": lambda sample: float(sample.min() + sample.max()) / 2,
}


def estimand_of_classes(probe: Probe) -> str:
    """What a loss of class scores or probabilities estimates: it is proper if nothing close is better than the true shares."""
    direct = probe.pred.high == 1
    steps = np.eye(3) - np.roll(np.eye(3), 1, axis=0)
    around = (SHARES if direct else np.log(SHARES)) + 0.02 * np.concatenate([np.zeros((1, 3)), steps, -steps])
    if probe.loss.signature.inputs[0].word.logs:
        around -= np.log(np.exp(around).sum(axis=1, keepdims=True))
    if _first_is_best(probe, around):
        return "class probabilities"
    corners = np.clip(np.eye(3), 1e-4, 1 - 2e-4) if direct else 4 * np.eye(3)
    return "most likely class" if _first_is_best(probe, corners) else ""


def _first_is_best(probe: Probe, preds: Floats) -> bool:
    """Whether the first of some constant predictions (k, 3) has the least expected loss under the shares."""
    found = SHARES @ np.stack([probe.values(preds, np.full(len(preds), label)) for label in range(3)])
    return bool(np.isfinite(found).all() and found[0] < found[1:].min())
