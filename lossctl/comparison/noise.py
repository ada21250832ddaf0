"""The noise floor of reruns: how far two runs of the same thing differ by chance, and the gate that allows as much."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from lossctl.comparison.reported import known
from lossctl.errors import UsageError
from lossctl.report.report import Report
from lossctl.statistics.arrays import t_upper
from lossctl.statistics.sums import exact_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.comparison.result import Comparison

# The spread of fewer runs is hardly known: of two, the tolerance is more than six times that of many.
FEW = 5
# Digits of a tolerance that is pasted; it is rounded up.
DIGITS = 2


@dataclass(frozen=True)
class Noise:
    """The values of one loss over reruns.

    `tolerance` is what the size of the difference of two further runs exceeds with probability alpha; `relative` is the same in
    parts of the mean's size, NaN where the mean is 0.
    """

    runs: int
    mean: float
    std: float
    low: float
    high: float
    tolerance: float

    @property
    def relative(self) -> float:
        """The tolerance in parts of the mean's size."""
        return self.tolerance / abs(self.mean) if self.mean else math.nan

    @property
    def few(self) -> bool:
        """Whether there are too few runs for their spread to be known."""
        return self.runs < FEW

    def gates(self, key: str) -> tuple[str, ...]:
        """The options to paste, relative first; a tolerance is rounded up."""
        absolute = f"--max-abs {key}={_rounded(self.tolerance)}"
        return (absolute,) if math.isnan(self.relative) else (f"--max-rel {key}={_rounded(100 * self.relative)}%", absolute)


def noise(values: Sequence[float], alpha: float) -> Noise:
    """Say how far reruns differ; the difference of two normal values has sqrt(2) times the deviation of one.

    `values` are at least two. Source: the prediction interval of Student 1908, doi:10.1093/biomet/6.1.1.
    """
    runs = len(values)
    mean = exact_sum([*values]) / runs
    std = math.sqrt(exact_sum([(value - mean) ** 2 for value in values]) / (runs - 1))
    same = min(values) == max(values)
    spread = 0.0 if same else std
    return Noise(
        runs,
        values[0] if same else mean,
        spread,
        min(values),
        max(values),
        t_upper(alpha / 2, runs - 1) * math.sqrt(2) * spread,
    )


def _rounded(number: float) -> str:
    """A number rounded up to two digits, as one would type it."""
    if not number or not math.isfinite(number):
        return f"{number:g}"
    exact = Decimal(number)
    step = Decimal(1).scaleb(exact.adjusted() - DIGITS + 1)
    return f"{exact.quantize(step, rounding=ROUND_CEILING).normalize():f}"


def with_tolerances(report: Report, compared: Comparison, alpha: float, say: Callable[[str], None]) -> Report:
    """The report with the noise of reruns in place of comparisons."""
    found = tolerances(compared, alpha)
    if any(one.few for _, one in found):
        say(f"{found[0][1].runs} runs hardly show how far runs differ, and {FEW} or more would give smaller tolerances")
    say(f"two further runs differ by more than the tolerance {alpha:.0%} of the time, if chance acts on them as on these")
    document = {name: item for name, item in report.document.items() if name != "comparisons"}
    rows = _tolerance_rows(found)
    return Report(tuple(rows[0]), rows, document | {"tolerances": _tolerance_entries(found, alpha)}, bare="tolerance")


def tolerances(compared: Comparison, alpha: float) -> list[tuple[str, Noise]]:
    """How far reruns differ under each loss.

    Raises: UsageError for values that are not finite.
    """
    columns = [[row[place].value for row in compared.outcomes] for place in range(len(compared.losses))]
    for label, column in zip(compared.losses, columns, strict=True):
        if not all(abs(value) < float("inf") for value in column):
            message = f"{label} is not finite in every run, so that no spread can be taken of it."
            raise UsageError(message, hint="Leave out the run, or the loss.")
    return [(label, noise(column, alpha)) for label, column in zip(compared.losses, columns, strict=True)]


def _tolerance_entries(found: Sequence[tuple[str, Noise]], alpha: float) -> list[dict[str, Any]]:
    """The machine-readable tolerances."""
    return [
        {"loss": label, **asdict(one), "relative": one.relative, "alpha": alpha, "few": one.few, "gates": [*one.gates(label)]}
        for label, one in found
    ]


def _tolerance_rows(found: Sequence[tuple[str, Noise]]) -> list[dict[str, Any]]:
    """One row a loss, with the gate to paste."""
    return [
        {
            "loss": label,
            "runs": one.runs,
            "mean": one.mean,
            "std": one.std,
            "lowest": one.low,
            "highest": one.high,
            "tolerance": one.tolerance,
            "relative": known(one.relative),
            "gate": one.gates(label)[0],
        }
        for label, one in found
    ]
