"""What `compare` says on request: the slices that carry a difference, and the noise of reruns."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lossctl.commands.compare_answer import known
from lossctl.comparison.explaining import column_of, explain
from lossctl.comparison.noise import FEW, noise
from lossctl.errors import UsageError
from lossctl.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.commands.opening import Prepared
    from lossctl.comparison.explaining import Column, Example, Explained, Slice
    from lossctl.comparison.noise import Noise
    from lossctl.comparison.result import Comparison
    from lossctl.comparison.testing import Pair, Rules

Rows = list[dict[str, Any]]


def explanations(
    names: Sequence[str], prepared: Prepared, pairs: Sequence[Pair], rules: Rules, rows: Any
) -> tuple[Rows, list[Report]]:
    """Explain every difference by columns: what the document says, and the tables below.

    Raises: UnknownKey for a column that there is not; UsageError where no loss can be told apart by sample.
    """
    if rows is None:
        message = f"--explain needs losses by sample, and {prepared.asked[0].label} couples samples."
        raise UsageError(message, hint="Name a loss that is a mean, such as mse.")
    groups = [(name, prepared.codes(name)) for item in names for name in item.split(",")]
    columns = [column_of(name, [found.names[code] for code in found.codes[rows]]) for name, found in groups]
    told = explain(pairs, columns, rules)
    samples = _Samples(rows, prepared.opened.ids, columns)
    return [_entry(one, samples) for one in told], [*_tables(told, columns, samples)]


class _Samples:
    """What the compared samples are called, and what the columns say of them."""

    def __init__(self, rows: Any, ids: Sequence[str] | None, columns: Sequence[Column]) -> None:
        self.rows, self.ids, self.columns = rows, ids, columns

    def named(self, place: int) -> dict[str, Any]:
        index = int(self.rows[place])
        return {"index": index} | ({} if self.ids is None else {"id": self.ids[index]})

    def entries(self, place: int) -> dict[str, str]:
        return {column.name: column.entries[place] for column in self.columns}


def _head(told: Explained) -> dict[str, Any]:
    return {"loss": told.pair.estimate.loss, "system": told.pair.estimate.system}


def _entry(told: Explained, samples: _Samples) -> dict[str, Any]:
    examples = {
        word: [
            {**samples.named(one.place), "base": one.base, "value": one.value, "columns": samples.entries(one.place)}
            for one in found
        ]
        for word, found in (("better", told.better), ("worse", told.worse))
    }
    slices = [{**asdict(one), "p_adjusted": one.adjusted} for one in told.slices]
    for one in slices:
        del one["adjusted"]
    return {**_head(told), "baseline": told.pair.estimate.baseline, "slices": slices, **examples}


def _tables(told: Sequence[Explained], columns: Sequence[Column], samples: _Samples) -> list[Report]:
    """One table of slices a column, and one of examples."""
    found = []
    for column in columns:
        rows = [_head(each) | _shown(one) for each in told for one in each.slices if one.column == column.name]
        found.append((f"slices of {column.name}", rows))
    examples = [
        _head(each) | _example(word, one, samples)
        for each in told
        for word, ones in (("better", each.better), ("worse", each.worse))
        for one in ones
    ]
    return [Report(tuple(rows[0]), rows, title=title) for title, rows in (*found, ("what changed most", examples)) if rows]


def _shown(one: Slice) -> dict[str, Any]:
    notes = [word for word, holds in (("significant", one.significant), ("against the whole", one.opposite)) if holds]
    figures = {"n": one.n, "difference": known(one.difference), "share": one.share, "p": one.adjusted}
    return {"slice": one.name, **figures, "note": ", ".join(notes)}


def _example(word: str, one: Example, samples: _Samples) -> dict[str, Any]:
    entries = {name: entry for name, entry in samples.entries(one.place).items() if name not in {"base", "value"}}
    return {**samples.named(one.place), "changed": word, "base": one.base, "value": one.value, **entries}


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


def _tolerance_entries(found: Sequence[tuple[str, Noise]], alpha: float) -> Rows:
    """The machine-readable tolerances."""
    return [
        {"loss": label, **asdict(one), "relative": one.relative, "alpha": alpha, "few": one.few, "gates": [*one.gates(label)]}
        for label, one in found
    ]


def _tolerance_rows(found: Sequence[tuple[str, Noise]]) -> Rows:
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
