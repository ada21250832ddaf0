"""What every test asks of its arrays: finite numbers in rows of samples, and one row for each cluster if there are any.

Random numbers that depend on what they are for, and on nothing else.

Philox counts (Salmon et al. 2011, doi:10.1145/2063384.2063405): its key is a hash of seed and purpose, and each row of
samples or resamples has a counter of its own. So the numbers of one sample in one resample are the same for any number of
systems, threads, chunks and resamples, and only raw bits are drawn, which NumPy promises not to change.

Distributions: Student's t, the noncentral t, the binomial and the normal, from `math` alone.

SciPy has them all, but costs a second to import.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lossctl.errors import NotFinite, NothingLeft, ShapeMismatch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


Floats: TypeAlias = "NDArray[np.float64]"


def columns(values: ArrayLike, what: str = "differences") -> Floats:
    """Return float64 values of shape (n, k); a single column may come as (n,).

    Raises: ShapeMismatch for other shapes, NothingLeft without samples, NotFinite for NaN and infinity.
    """
    found = np.asarray(values, np.float64)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2:  # noqa: PLR2004 - samples and columns
        message = f"The {what} have the shape {found.shape}, and samples by columns are needed."
        raise ShapeMismatch(message)
    if not found.size:
        message = f"There are no {what} to compare."
        raise NothingLeft(message, hint="Give at least one sample that all systems have.")
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found).all(axis=1)))
        message = f"The {what} of sample {row} are not finite."
        raise NotFinite(message, hint="Leave such samples out of all systems alike.")
    return found


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


def t_cdf(t: float, df: float) -> float:
    """Probability that Student's t with `df` degrees of freedom is below `t`."""
    tail = t_two_sided(t, df) / 2
    return tail if t < 0 else 1 - tail


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
