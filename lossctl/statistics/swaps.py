"""The default test of losses that are no means, such as RMSE and Dice: swap two systems' sums, sample by sample.

If two systems were the same but for chance, each sample's results could as well have come from the other one. Swapping them
changes both totals; the loss is finished anew from the totals, never averaged over samples. Where the loss is a mean, this is
the sign-flip test of its differences, but for the studentising.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import NotFinite, ShapeMismatch
from lossctl.statistics.arrays import Floats, columns, totals, units
from lossctl.statistics.draws import DEFAULT, Draws
from lossctl.statistics.flips import TIE, FlipTest
from lossctl.statistics.multiple import step_down, tail_p
from lossctl.statistics.signs import flipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


def swap_test(
    baseline: ArrayLike,
    systems: ArrayLike,
    finish: Callable[[Floats], Floats],
    draws: Draws = DEFAULT,
    *,
    clusters: ArrayLike | None = None,
) -> FlipTest:
    """Test for each system whether its loss differs from the baseline's, where the loss is finished from sums.

    `baseline` holds the terms of each sample, shape (n, c); `systems` those of m systems, shape (m, n, c), or (n, c) for one.
    `finish` makes losses (B,) of sums (B, c). All systems are swapped by the same flips, which are those of `flip_test`; with
    `clusters` (n,), whole clusters are swapped. The statistic is the difference over its root mean square under flips.
    Flips whose loss cannot be finished count as reaching the observed difference.
    Source: Noreen 1989, Computer-Intensive Methods for Testing Hypotheses, ISBN 978-0-471-61136-3; Yeh 2000,
    doi:10.3115/992730.992783.
    Raises: ShapeMismatch for systems of other shapes, NotFinite where an observed loss is not finite.
    """
    first = units(columns(baseline, "terms"), clusters)
    others = _systems(systems, np.shape(baseline), clusters)
    observed, sums, exact = flipped(np.concatenate([other - first for other in others], axis=1), draws)
    width = first.shape[1]
    scored = [
        _scored(finish, first, other, observed[at : at + width], sums[:, at : at + width])
        for other, at in zip(others, range(0, len(observed), width), strict=True)
    ]
    difference, statistic, reached = (np.array([each[part] for each in scored]) for part in range(3))
    null = np.stack([each[3] for each in scored], axis=1)
    return FlipTest(
        difference=difference,
        statistic=statistic,
        p=tail_p(reached, null, exact=exact),
        adjusted=step_down(reached, null, exact=exact),
        identical=np.array([np.array_equal(first, other) for other in others]),
        units=len(first),
        exact=exact,
        seed=draws.seed,
        reached=reached,
        null=null,
    )


def _systems(systems: ArrayLike, shape: tuple[int, ...], clusters: ArrayLike | None) -> list[Floats]:
    given = np.asarray(systems, np.float64)
    given = given[None] if given.ndim == len(shape) else given
    if given.shape[1:] != shape:
        message = f"The baseline's terms have the shape {shape}, those of the systems {given.shape[1:]}."
        raise ShapeMismatch(message)
    return [units(columns(each, "terms"), clusters) for each in given]


def _scored(
    finish: Callable[[Floats], Floats], first: Floats, other: Floats, observed: Floats, sums: Floats
) -> tuple[float, float, float, Floats]:
    """Return one system's difference and statistic, the score that null scores must reach, and these scores (B,)."""
    total = totals(first) + totals(other)
    theirs, ours = _both(finish, total, observed[None])
    difference = float(ours[0] - theirs[0])
    if not np.isfinite(difference):
        raise NotFinite("The loss of a whole system is not finite, so nothing can be compared with it.")
    with np.errstate(all="ignore"):
        theirs_flipped, ours_flipped = _both(finish, total, sums)
        null = np.abs(ours_flipped - theirs_flipped)
    known = null[np.isfinite(null)]
    spread = float(np.sqrt(np.mean(known * known))) if known.any() else 0.0
    unit = spread if spread > 0 else 1.0
    tie = TIE * (abs(float(ours[0])) + abs(float(theirs[0])))
    scores = np.where(np.isfinite(null), null / unit, np.inf)
    return difference, difference / unit, max(abs(difference) - tie, 0.0) / unit, scores


def _both(finish: Callable[[Floats], Floats], total: Floats, signed: Floats) -> tuple[Floats, Floats]:
    """Losses of the baseline and the system whose sums have this total and, in shape (B, c), this difference."""
    return np.asarray(finish((total - signed) / 2)), np.asarray(finish((total + signed) / 2))
