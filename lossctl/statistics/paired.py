"""Classical paired tests: for 0/1 losses, for very many samples, for rows in order of time, and by ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lossctl.errors import BadParameter, MissingExtra, NothingLeft
from lossctl.statistics.arrays import Floats, binomial_two_sided, columns, t_two_sided

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from lossctl.statistics.sums import Moments

# With more samples than this, t from merged moments is as exact as flips (type I error .0515 of .05) and costs one pass.
LARGE = 1_000_000
Kernel = Literal["rectangular", "bartlett"]


@dataclass(frozen=True)
class PairedTest:
    """The outcome of one test: mean difference, its standard error, the statistic, its degrees of freedom, and p.

    What a test does not have is NaN. `identical` says that no sample differs, where that is known; then p is 1. `note` says
    in words where the test did otherwise than asked.
    """

    difference: float
    error: float
    statistic: float
    df: float
    p: float
    identical: bool = False
    note: str = ""


def paired_t(moments: Moments) -> PairedTest:
    """Student's paired t-test from the count, mean and squared deviations of the differences, merged from any parts.

    One sample cannot be tested: p is 1. Source: Student 1908, doi:10.1093/biomet/6.1.1.
    Raises: NothingLeft without samples.
    """
    if moments.n == 0:
        raise NothingLeft("There are no differences to test.", hint="Give at least two samples that both systems have.")
    error = moments.std / math.sqrt(moments.n)
    return _by_t(moments.mean, error, moments.n - 1, identical=moments.mean == 0 and moments.m2 == 0)


def _by_t(mean: float, error: float, df: int, *, identical: bool, note: str = "") -> PairedTest:
    if df < 1:
        return PairedTest(mean, math.nan, math.nan, df, 1.0, identical, note)
    t = mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
    return PairedTest(mean, error, t, df, t_two_sided(t, df), identical, note)


def mcnemar(worse: int, better: int) -> PairedTest:
    """McNemar's exact test of 0/1 losses, from how many samples the system does worse on and how many it does better on.

    The difference is the share of worse among the samples that differ, less one half. Without such samples p is 1.
    Source: McNemar 1947, doi:10.1007/BF02295996; exact as in Mosteller 1952, doi:10.2307/3001992.
    Raises: BadParameter for negative counts.
    """
    if min(worse, better) < 0:
        message = f"Counts of samples cannot be negative: {worse} worse, {better} better."
        raise BadParameter(message)
    differ = worse + better
    share = worse / differ - 0.5 if differ else 0.0
    return PairedTest(share, math.nan, float(worse), math.nan, binomial_two_sided(worse, differ), identical=differ == 0)


def diebold_mariano(
    differences: ArrayLike, horizon: int = 1, kernel: Kernel = "rectangular", *, lags: int | None = None
) -> PairedTest:
    """Diebold and Mariano's test for one column of differences (n,) in order of time, with the small-sample correction.

    Forecasts of `horizon` steps have errors that are correlated over horizon - 1 steps, so that many autocovariances, or
    `lags`, enter the variance of the mean: whole ("rectangular") or falling linearly to 0 ("bartlett"). Where the rectangular
    variance is not positive, Bartlett's is taken, and `note` says so.
    Source: Diebold and Mariano 1995, doi:10.1080/07350015.1995.10524599; Newey and West 1987, doi:10.2307/1913610; Harvey,
    Leybourne and Newbold 1997, doi:10.1016/S0169-2070(96)00719-4.
    Raises: BadParameter where there are not more samples than the horizon and the lags.
    """
    d = columns(differences)[:, 0]
    reach = horizon - 1 if lags is None else lags
    if horizon < 1 or reach < 0 or len(d) <= max(horizon, reach + 1):
        message = f"A horizon of {horizon} with {reach} lags cannot be tested on {len(d)} samples."
        raise BadParameter(message, hint="The horizon is at least 1, and more samples than that are needed.")
    n = len(d)
    variance, note = _long_run(d - d.mean(), reach, kernel), ""
    if variance <= 0 and kernel == "rectangular" and d.any():
        variance, note = _long_run(d - d.mean(), reach, "bartlett"), "bartlett: the rectangular variance is not positive"
    correction = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    constant = float(np.ptp(d)) == 0
    error = 0.0 if constant else math.sqrt(max(variance, 0.0) / n) / correction
    return _by_t(float(d.mean()), error, n - 1, identical=not d.any(), note=note)


def _long_run(e: Floats, lags: int, kernel: Kernel) -> float:
    """Variance of the mean times n, of deviations (n,) that are correlated over `lags` steps."""
    covariances = [float(e[lag:] @ e[: len(e) - lag]) / len(e) for lag in range(lags + 1)]
    falling = [1 - lag / (lags + 1) if kernel == "bartlett" else 1.0 for lag in range(lags + 1)]
    return covariances[0] + 2 * math.fsum(w * c for w, c in zip(falling[1:], covariances[1:], strict=True))


def wilcoxon(differences: ArrayLike) -> PairedTest:
    """Wilcoxon's signed-rank test of one column of differences (n,), by SciPy, samples without difference left out.

    It tests the median under symmetry, not the mean loss: where differences are skewed with mean 0, it rejects far more often
    than alpha. Source: Wilcoxon 1945, doi:10.2307/3001968; SciPy's scipy.stats.wilcoxon.
    Raises: MissingExtra without SciPy.
    """
    d = columns(differences)[:, 0]
    try:
        from scipy.stats import wilcoxon as test
    except ImportError as error:
        raise MissingExtra("scipy", "Wilcoxon's test", "scipy") from error
    if not d.any():
        return PairedTest(0.0, math.nan, math.nan, math.nan, 1.0, identical=True)
    found = test(d)
    return PairedTest(float(d.mean()), math.nan, float(found.statistic), math.nan, float(found.pvalue))
