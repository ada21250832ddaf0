"""Several predictions compared: every sample in memory or two passes over the data, and what is said of each pair of systems.

All that is asked for is in a `ComparisonWanted`, and all that comes of it in a `Comparison`, whichever way is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.comparison.explaining import column_of, explain
from lossctl.comparison.judging import Pair, judge
from lossctl.comparison.measured import Measured, measure
from lossctl.comparison.result import Comparison, ComparisonRules, Names, names
from lossctl.comparison.statistics import left_out
from lossctl.comparison.streaming import stream, streams
from lossctl.engine.opening import Prepared, without
from lossctl.engine.reduce import Outcome, evaluate
from lossctl.errors import UsageError
from lossctl.losses.backends import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.report import Report
    from lossctl.request.spec import Spec


@dataclass(frozen=True)
class ComparisonWanted:
    """Which predictions, the baseline first, against which target, and how to test."""

    systems: tuple[str, ...]
    target: str
    rules: ComparisonRules
    cluster_by: str = ""
    order: str = ""
    grad: bool = False
    explain: tuple[str, ...] = ()
    suggest_tol: bool = False


def reruns(
    spec: Spec, wanted: ComparisonWanted, prepared: Sequence[Prepared], say: Callable[[str], None]
) -> tuple[list[Prepared], Comparison]:
    """Values of reruns, of which none is tested against another; with the requests for what their values fit."""
    bounds, width = [bound for each in prepared for bound in each.bounds], len(prepared[0].bounds)
    outcomes = evaluate(bounds, BACKENDS.get(spec.options.backend)(), spec.options, prepared[0].selection)
    rows = [outcomes[start : start + width] for start in range(0, len(outcomes), width)]
    fit, kept = without(prepared, rows, say)
    return fit, Comparison(names(wanted.systems), _labels(fit), kept, wanted.rules)


def compared_of(
    spec: Spec, wanted: ComparisonWanted, prepared: Sequence[Prepared], say: Callable[[str], None]
) -> tuple[list[Prepared], Comparison]:
    """Judge every system against the first under every loss, over all samples and by group.

    Returns the requests for what their values fit, too.
    """
    needs_rows = bool(wanted.order or wanted.cluster_by)
    systems, options, selection = [each.bounds for each in prepared], spec.options, prepared[0].selection
    backend, bounds = BACKENDS.get(options.backend)(), [bound for row in systems for bound in row]
    if streams(bounds, wanted.rules, ordered=needs_rows, explained=bool(wanted.explain)):
        say(left_out())
        _check_groups(prepared[0])
        labels = Names(names(wanted.systems), _labels(prepared))
        compared = stream(systems, labels, backend, options, selection, wanted.rules, prepared[0].groups)
        fit, outcomes = without(prepared, compared.outcomes, say)
        return fit, replace(compared, losses=_labels(fit), outcomes=outcomes)
    fit, measured = without(prepared, measure(systems, backend, options, selection, within=options.max_memory), say)
    return fit, _in_memory(wanted, fit, measured)


def _labels(prepared: Sequence[Prepared]) -> list[str]:
    return [asked.label for asked in prepared[0].asked]


def _in_memory(wanted: ComparisonWanted, prepared: Sequence[Prepared], measured: Sequence[Sequence[Measured]]) -> Comparison:
    """Judge with every sample in memory."""
    first, rules, labels = prepared[0], wanted.rules, Names(names(wanted.systems), _labels(prepared))
    rows = _rows(measured)
    if rows is not None and wanted.order:
        order = np.argsort(first.times(wanted.order)[rows], kind="stable")
        measured, rows = [[item.ordered(order) for item in row] for row in measured], rows[order]
    if rows is not None and wanted.cluster_by:
        rules = replace(rules, clusters=first.codes(wanted.cluster_by).codes[rows])
    pairs = _pairs(measured, labels, None)
    estimates = judge(pairs, rules)
    for name, chosen in _slices(first, rows):
        part = [[item.subset(chosen, rules.reduction) for item in row] for row in measured]
        estimates += judge(_pairs(part, labels, name), rules.subset(chosen))
    outcomes = [[Outcome(item.value, item.n, item.skipped) for item in row] for row in measured]
    explained = _explained(wanted.explain, first, pairs, rules, rows) if wanted.explain else ((), ())
    return Comparison(labels.systems, labels.losses, outcomes, rules, estimates, explained)


def _explained(
    names: Sequence[str], prepared: Prepared, pairs: Sequence[Pair], rules: ComparisonRules, rows: Any
) -> tuple[list[dict[str, Any]], list[Report]]:
    """Explain every difference by columns.

    Raises: UnknownKey for a column that there is not; UsageError where no loss can be told apart by sample.
    """
    if rows is None:
        message = f"--explain needs losses by sample, and {prepared.asked[0].label} couples samples."
        raise UsageError(message, hint="Name a loss that is a mean, such as mse.")
    groups = [(name, prepared.codes(name)) for item in names for name in item.split(",")]
    columns = [column_of(name, [group.names[code] for code in group.codes[rows]]) for name, group in groups]
    return explain(pairs, columns, rules, rows, prepared.opened.ids)


def _rows(measured: Sequence[Sequence[Measured]]) -> Any:
    """The numbers of the samples that are tested; None where no loss can be told apart by sample."""
    return next((item.rows for row in measured for item in row if item.terms is not None), None)


def _pairs(measured: Sequence[Sequence[Measured]], labels: Names, group: str | None) -> list[Pair]:
    return [
        Pair(estimate, measured[0][loss], measured[system][loss])
        for (loss, system), estimate in labels.estimates(measured, group).items()
    ]


def _check_groups(prepared: Prepared, *, told: bool = True) -> None:
    """Refuse groups of samples that cannot be told apart.

    Raises: UsageError.
    """
    whole = [bound.loss.name for bound in prepared.bounds if bound.loss.whole]
    if prepared.groups is not None and (whole or not told):
        message = f"{(whole or [prepared.bounds[0].loss.name])[0]} couples all samples, so that it has no value by group."
        raise UsageError(message, hint="Leave out --by, or give it one group's samples.")


def _slices(prepared: Prepared, rows: Any) -> list[tuple[str, Any]]:
    """Which samples are in each group of `--by`.

    Raises: UsageError for a loss that couples samples.
    """
    _check_groups(prepared, told=rows is not None)
    if prepared.groups is None:
        return []
    codes = prepared.groups.codes[rows]
    return [(name, codes == code) for code, name in enumerate(prepared.groups.names) if (codes == code).any()]
