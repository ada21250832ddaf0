"""Several hypotheses at once: the chance that any true one among them is rejected stays at alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import BadParameter, near

if TYPE_CHECKING:
    from lossctl.statistics.arrays import Floats

CORRECTIONS = ("maxt", "holm", "bh", "none")


def tail_p(observed: Floats, null: Floats, *, exact: bool) -> Floats:
    """Two-sided p-values (k,) of observed scores (k,) in null scores (B, k).

    The share of null scores at least as far from 0: of all B where they are all there are (`exact`), else (c + 1) / (B + 1),
    which never rejects too often (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585).
    """
    reached = np.count_nonzero(np.abs(null) >= np.abs(observed), axis=0)
    p: Floats = reached / len(null) if exact else (reached + 1) / (len(null) + 1)
    return p


def step_down(observed: Floats, null: Floats, *, exact: bool) -> Floats:
    """max-T p-values (k,), adjusted by the distribution of the largest score, in steps down from the largest observed one.

    Observed scores (k,) and null scores (B, k) must be comparable between columns, and each row of `null` must come from the
    same flips in all columns. Each adjusted p-value is at least the unadjusted one.
    Source: Westfall and Young 1993, algorithm 2.8, ISBN 978-0-471-55761-6; doi:10.1007/BF02595811 (Ge et al. 2003).
    """
    order = np.argsort(-np.abs(observed), kind="stable")
    largest = np.maximum.accumulate(np.abs(null[:, order[::-1]]), axis=1)[:, ::-1]
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(tail_p(observed[order], largest, exact=exact))
    return adjusted


def adjust(p: Floats, correction: str) -> Floats:
    """Return p-values (k,) corrected by "holm", "bh" or not at all ("none"); "maxt" needs the flips, see `step_down`.

    Holm (1979, jstor:4615733) keeps the chance of any false rejection, Benjamini and Hochberg
    (1995, doi:10.1111/j.2517-6161.1995.tb02031.x) the expected share of false ones among the rejections.
    Raises: BadParameter for another word.
    """
    if correction == "none":
        return p.copy()
    order, count = np.argsort(p, kind="stable"), len(p)
    sizes = p[order]
    if correction == "holm":
        steps = np.maximum.accumulate(sizes * np.arange(count, 0, -1))
    elif correction == "bh":
        steps = np.minimum.accumulate((sizes * count / np.arange(1, count + 1))[::-1])[::-1]
    else:
        message = f"There is no correction '{correction}' of p-values."
        raise BadParameter(message, hint=near(correction, CORRECTIONS, "corrections"))
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
