"""What tests are made of: arrays in shape, random numbers, distributions, and the classical paired tests.

Every test asks for finite numbers in rows of samples, one row for each cluster if there are any. Random numbers depend on what
they are for, and on nothing else: Philox counts (Salmon et al. 2011, doi:10.1145/2063384.2063405), its key is a hash of seed
and purpose, and each row of samples or resamples has a counter of its own. So the numbers of one sample in one resample are
the same for any number of systems, threads, chunks and resamples, and only raw bits are drawn, which NumPy promises not to
change. Student's t, the noncentral t, the binomial and the normal come from `math` alone: SciPy has them all, but costs a
second to import. The classical tests are for 0/1 losses, for very many samples, for rows in order of time, and by ranks.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from lossctl.errors import BadParameter, MissingExtra, NotFinite, NothingLeft, ShapeMismatch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from lossctl.statistics.sums import Moments


Floats: TypeAlias = "NDArray[np.float64]"


def columns(values: ArrayLike, what: str = "differences") -> Floats:
    """Return float64 values of shape (n, k); a single column may come as (n,).

    Raises: ShapeMismatch for other shapes, NothingLeft without samples, NotFinite for NaN and infinity.
    """
    result = np.asarray(values, np.float64)
    result = result[:, None] if result.ndim == 1 else result
    if result.ndim != 2:  # noqa: PLR2004 - samples and columns
        raise ShapeMismatch(f"The {what} have the shape {result.shape}, and samples by columns are needed.")
    if not result.size:
        raise NothingLeft(f"There are no {what} to compare.", hint="Give at least one sample that all systems have.")
    if not np.isfinite(result).all():
        row = int(np.argmin(np.isfinite(result).all(axis=1)))
        raise NotFinite(f"The {what} of sample {row} are not finite.", hint="Leave such samples out of all systems alike.")
    return result


def totals(values: Floats) -> Floats:
    """Sum each column of values (n, k) pairwise, by itself: next to others it has the same sum to the last bit."""
    sums: Floats = np.array([np.sum(column) for column in np.ascontiguousarray(values.T)])
    return sums


def units(values: Floats, clusters: ArrayLike | None) -> Floats:
    """Return one row for each unit of chance: the samples themselves, or the sums of each cluster in order of its code.

    `values` has the shape (n, k), `clusters` the shape (n,) of integers. Raises: ShapeMismatch for codes of another length.
    """
    if clusters is None:
        return values
    codes, count = numbered(clusters, len(values))
    return np.stack([np.bincount(codes, column, count) for column in values.T], axis=1)


def numbered(clusters: ArrayLike, samples: int) -> tuple[NDArray[Any], int]:
    """Return the clusters numbered from 0 in order of their codes, and how many there are."""
    codes = np.asarray(clusters)
    if codes.shape != (samples,):
        message = f"There are {samples} samples and cluster codes of the shape {codes.shape}: one for each is needed."
        raise ShapeMismatch(message)
    known, numbers = np.unique(codes, return_inverse=True)
    return numbers, len(known)


RESAMPLES = 9_999
WORDS = np.dtype("<u8")


@dataclass(frozen=True)
class Draws:
    """How much chance is asked for, and which. `jobs` threads share the work of the bootstrap and change no bit."""

    resamples: int = RESAMPLES
    seed: int = 0
    jobs: int = 1

    def words(self, purpose: str, row: int, count: int) -> NDArray[np.uint64]:
        """Draw the first `count` words of 64 random bits of a row; a longer row begins with the same ones."""
        key = hashlib.blake2b(f"{self.seed} {purpose}".encode(), digest_size=16).digest()
        stream = np.random.Philox(key=int.from_bytes(key, "little"), counter=np.array([0, row, 0, 0], np.uint64))
        words: NDArray[np.uint64] = stream.random_raw(count)
        # Bytes of a word are taken from its low end, on any machine.
        return words.astype(WORDS, copy=False)


DEFAULT = Draws()

NORMAL = NormalDist()
# Beyond these degrees of freedom, the expansion of the t quantile in 1/df is exact to the last digits.
MANY = 1_000_000
NODES = 96
TINY = 1e-300
# Products of two roundings cannot come nearer to 1 for certain.
EPS = 4e-16
STEPS = 100_000


def normal_cdf(x: float) -> float:
    """Probability that a standard normal variable is below `x`; accurate in the lower tail too."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def normal_quantile(p: float) -> float:
    """Value that a standard normal variable is below with probability `p`; infinite at 0 and 1.

    The quantiles of p and 1 - p have the same size to the last bit where 1 - p is exact.
    """
    if p in {0.0, 1.0}:
        return math.inf if p else -math.inf
    return NORMAL.inv_cdf(p) if p <= 0.5 else -NORMAL.inv_cdf(1 - p)  # noqa: PLR2004 - the median


def beta_tail(a: float, b: float, x: float, rest: float) -> float:
    """Regularised incomplete beta function I_x(a, b), where `rest` is 1 - x, given apart so that it loses no digits.

    Source: DLMF 8.17.22, evaluated by Lentz' method (Thompson and Barnett 1986, doi:10.1016/0021-9991(86)90046-X).
    """
    if x <= 0 or rest <= 0:
        return float(rest <= 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_tail(b, a, rest, x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    return front / a * _beta_fraction(a, b, x)


def _beta_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < EPS:
            break
    return value


def _nonzero(x: float) -> float:
    return x if abs(x) > TINY else TINY


def t_two_sided(t: float, df: float) -> float:
    """Probability that Student's t with `df` degrees of freedom is at least as far from 0 as `t`."""
    if math.isinf(t):
        return 0.0
    square = t * t
    return beta_tail(df / 2, 0.5, df / (df + square), square / (df + square))


@cache
def t_upper(tail: float, df: float) -> float:
    """Value that Student's t exceeds with probability `tail`, which is in (0, 1/2]."""
    z = -normal_quantile(tail)
    if df > MANY:
        return z + (z**3 + z) / (4 * df)
    t, step = z, math.inf
    # The tail is convex to the right of 0, so Newton's steps from the normal quantile only ever go right.
    while step > EPS * t and step > 0:
        step = (t_two_sided(t, df) / 2 - tail) / _t_density(t, df)
        t += step
    return t


def _t_density(t: float, df: float) -> float:
    front = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    return math.exp(front - (df + 1) / 2 * math.log1p(t * t / df))


def binomial_two_sided(successes: int, trials: int) -> float:
    """Exact two-sided p-value of a count out of `trials` under probability one half; 1 without trials."""
    few = min(successes, trials - successes)
    if 2 * few >= trials:
        return 1.0
    return min(1.0, 2 * beta_tail(trials - few, few + 1, 0.5, 0.5))


def t_power(shift: float, df: float, alpha: float) -> float:
    """Probability that a two-sided t-test rejects at `alpha` when t's noncentrality is `shift`.

    The noncentral t distribution is the normal one averaged over the estimated standard deviation
    (Johnson, Kotz and Balakrishnan 1995, ch. 31, ISBN 978-0-471-58494-0).
    """
    edge = t_upper(alpha / 2, df)
    if df > MANY:
        return normal_cdf(shift - edge) + normal_cdf(-shift - edge)
    return sum(weight * (normal_cdf(shift - edge * s) + normal_cdf(-shift - edge * s)) for s, weight in _deviations(df))


@cache
def _deviations(df: float) -> list[tuple[float, float]]:
    """Nodes and weights of s / sigma: Gauss-Legendre over ten standard deviations, normalised."""
    spread = 10 / math.sqrt(2 * df)
    low, high = max(0.0, 1 - spread), 1 + spread
    nodes, weights = _legendre()
    values = (low + high) / 2 + (high - low) / 2 * nodes
    logs = (df - 1) * np.log(values) - df * (values * values - 1) / 2
    density = weights * np.exp(logs - logs.max())
    return list(zip(values.tolist(), (density / density.sum()).tolist(), strict=True))


@cache
def _legendre() -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(NODES)


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
        raise BadParameter(f"Counts of samples cannot be negative: {worse} worse, {better} better.")
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
    result = test(d)
    return PairedTest(float(d.mean()), math.nan, float(result.statistic), math.nan, float(result.pvalue))
