"""The default test of a mean difference: the paired sign-flip test, studentised and two-sided.

If two systems were the same but for chance, each sample's difference could as well have had the other sign. The test asks
how often random signs give a mean at least as far from 0, in units of its own standard error. It is exact where differences
are symmetric under the null, which they are where the systems are exchangeable, however skewed their losses.

Flips change no square, so t = mean / sqrt((S2/n - mean^2) / (n - 1)), with S2 the sum of squares, only ever grows with the
size of score = sum / sqrt(S2). The score has variance 1 under flips in every column, and columns are compared by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import ShapeMismatch
from lossctl.statistics.arrays import Floats, columns, totals, units
from lossctl.statistics.draws import DEFAULT, Draws
from lossctl.statistics.multiple import step_down, tail_p
from lossctl.statistics.signs import flipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

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
