"""Tests by random signs and swaps, and their correction for several hypotheses.

The default test of a mean difference is the paired sign-flip test, studentised and two-sided. If two systems were the same but
for chance, each sample's difference could as well have had the other sign. The test asks how often random signs give a mean at
least as far from 0, in units of its own standard error. It is exact where differences are symmetric under the null, which they
are where the systems are exchangeable, however skewed their losses. Flips change no square, so t = mean / sqrt((S2/n - mean^2)
/ (n - 1)), with S2 the sum of squares, only ever grows with the size of score = sum / sqrt(S2). The score has variance 1 under
flips in every column, and columns are compared by it.

Eight samples have 256 patterns of signs. Their sums are put into a table once, and each resample looks up the entry of its
random byte. That adds one number for eight samples, needs no matrix of signs, and adds in an order that depends on nothing but
the samples: 10 000 samples, 12 columns and 9 999 resamples take about a tenth of a second.

The default test of losses that are no means, such as RMSE and Dice, swaps two systems' sums, sample by sample: each sample's
results could as well have come from the other system. Swapping them changes both totals; the loss is finished anew from the
totals, never averaged over samples. Where the loss is a mean, this is the sign-flip test of its differences, but for the
studentising. Of several hypotheses at once, the chance that any true one is rejected stays at alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import BadParameter, NotFinite, ShapeMismatch, near
from lossctl.statistics.arrays import DEFAULT, Draws, Floats, columns, totals, units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray


# Samples in a byte of random bits, and in the words that are drawn at a time.
BYTE, TOGETHER = 8, 256
# Numbers in the sums that are added to at a time: what fits a core's own cache.
CACHED = 1 << 16
FLIPS = "flips"


def flipped(values: Floats, draws: Draws) -> tuple[Floats, Floats, bool]:
    """Sum values of shape (n, k) under random signs that all columns share.

    Returns the sums as they are (k,), the flipped ones (B, k), and whether these are all 2^n there are, which they are when
    2^n is at most `draws.resamples`. Sums that agree in their signs agree to the last bit, and negated values give negated
    sums.
    """
    exact = len(values) < draws.resamples.bit_length()
    count = 2 ** len(values) if exact else draws.resamples
    observed, sums = np.zeros(values.shape[1]), np.zeros((count, values.shape[1]))
    for row, start in enumerate(range(0, len(values), TOGETHER)):
        tables = _tables(values[start : start + TOGETHER])
        for table in tables:
            observed += table[-1]
        _look_up(tables, _every(count) if exact else _random(row, draws), sums)
    return observed, sums, exact


def _every(count: int) -> NDArray[np.uint8]:
    """Patterns of signs (B, 8) that count from 0: all there are of a few samples."""
    return np.arange(count, dtype="<u8").view(np.uint8).reshape(count, -1)


def _random(row: int, draws: Draws) -> NDArray[np.uint8]:
    """Patterns of signs (B, 32) for a row of 256 samples."""
    words = draws.words(FLIPS, row, draws.resamples * TOGETHER // 64)
    return words.view(np.uint8).reshape(draws.resamples, -1)


def _tables(values: Floats) -> Floats:
    """Sums under all patterns of signs, shape (b, 256, k), of b bytes of samples; bit i of a pattern keeps the i-th sample."""
    count = -(-len(values) // BYTE)
    padded = np.zeros((count * BYTE, values.shape[1]))
    padded[: len(values)] = values
    parts = padded.reshape(count, BYTE, -1)
    tables = np.zeros((count, 1, values.shape[1]))
    for bit in range(BYTE):
        sample = parts[:, bit, None, :]
        tables = np.concatenate([tables - sample, tables + sample], axis=1)
    return tables


def _look_up(tables: Floats, patterns: NDArray[np.uint8], sums: Floats) -> None:
    """Add to sums of shape (B, k) the entries of b tables at patterns of shape (B, b or more)."""
    step = max(1, CACHED // sums.shape[1])
    for start in range(0, len(sums), step):
        part, rows = sums[start : start + step], patterns[start : start + step]
        result = np.empty_like(part)
        for byte, table in enumerate(tables):
            # Bytes are always inside the table: clipping only spares the check.
            np.take(table, rows[:, byte], axis=0, out=result, mode="clip")
            np.add(part, result, out=part)


# Scores this much nearer to 0 than the observed one, relative to the largest possible, are ties that rounding broke.
TIE = 1e-12


@dataclass(frozen=True, eq=False)
class FlipTest:
    """The outcome of a test by flips, for k hypotheses at once.

    `difference`, `statistic` (Student's t, or the difference in units of its spread under flips), `p`, `adjusted` (max-T) and
    `identical` (no sample differs; p = 1) have the shape (k,). `units` is the number of samples or clusters that were flipped.
    `exact` says that all 2^units patterns of signs were tried. `reached` (k,) and `null` (B, k) are the scores that were
    compared.
    """

    difference: Floats
    statistic: Floats
    p: Floats
    adjusted: Floats
    identical: NDArray[np.bool_]
    units: int
    exact: bool
    seed: int
    reached: Floats
    null: Floats

    @property
    def least(self) -> float:
        """The smallest p-value that the test could have given."""
        return 2 / len(self.null) if self.exact else 1 / (len(self.null) + 1)


def flip_test(differences: ArrayLike, draws: Draws = DEFAULT, *, clusters: ArrayLike | None = None) -> FlipTest:
    """Test for each column whether its mean difference is 0.

    `differences` has the shape (n, k), system minus baseline; all columns are flipped by the same signs. With `clusters`,
    integers of shape (n,), all samples of a cluster are flipped together. All 2^n patterns are tried where they are at most
    `draws.resamples`; else that many random ones, and p = (c + 1) / (B + 1).
    Source: Fisher 1935, The Design of Experiments, section 21; Janssen 1997, doi:10.1016/S0167-7152(97)00043-6, for
    studentising; Westfall and Young 1993, ISBN 978-0-471-55761-6, for `adjusted`.
    Raises: ShapeMismatch, NothingLeft and NotFinite for differences that cannot be tested.
    """
    given = columns(differences)
    values, exponent = _scaled(units(given, clusters))
    observed, sums, exact = flipped(values, draws)
    squares = totals(values * values)
    root = np.sqrt(np.where(squares > 0, squares, 1.0))
    count = len(values)
    reached, null = np.maximum(np.abs(observed) / root - TIE * np.sqrt(count), 0.0), np.abs(sums) / root
    return FlipTest(
        difference=np.ldexp(observed, exponent) / len(given),
        statistic=_student(values, observed),
        p=tail_p(reached, null, exact=exact),
        adjusted=step_down(reached, null, exact=exact),
        identical=squares == 0,
        units=count,
        exact=exact,
        seed=draws.seed,
        reached=reached,
        null=null,
    )


def together(tests: Sequence[FlipTest]) -> list[Floats]:
    """max-T p-values over all columns of several tests, say of means and of other statistics, one array for each test.

    Raises: ShapeMismatch where the tests were not made with the same flips.
    """
    if len({(test.units, test.exact, test.null.shape[0], test.seed) for test in tests}) > 1:
        raise ShapeMismatch("Tests of different samples, resamples or seeds cannot be corrected together.")
    observed = np.concatenate([test.reached for test in tests])
    adjusted = step_down(observed, np.concatenate([test.null for test in tests], axis=1), exact=tests[0].exact)
    return np.split(adjusted, np.cumsum([len(test.reached) for test in tests])[:-1])


def _scaled(values: Floats) -> tuple[Floats, NDArray[np.int_]]:
    """Divide each column by a power of two, so that no square overflows or vanishes and no digit changes."""
    exponent = np.frexp(np.max(np.abs(values), axis=0))[1]
    return np.ldexp(values, -exponent), exponent


def _student(values: Floats, sums: Floats) -> Floats:
    """Student's t of each column; 0 where nothing differs, infinite where all differ by the same."""
    if len(values) == 1:
        return np.where(sums == 0, 0.0, np.copysign(np.inf, sums))
    away = values - totals(values) / len(values)
    error = np.sqrt(totals(away * away) * len(values) / (len(values) - 1))
    # The deviations of equal values are rounding.
    error = np.where(np.ptp(values, axis=0) == 0, 0.0, error)
    empty = np.where(sums == 0, 0.0, np.copysign(np.inf, sums))
    return np.where(error > 0, sums / np.where(error > 0, error, 1.0), empty)


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
        raise ShapeMismatch(f"The baseline's terms have the shape {shape}, those of the systems {given.shape[1:]}.")
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
