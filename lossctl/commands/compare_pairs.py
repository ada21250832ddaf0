"""The middle of `compare`: what is held or streamed, and what is said of each pair of systems."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.commands.compare_answer import Compared
from lossctl.commands.compare_extras import explanations
from lossctl.commands.sets import without
from lossctl.comparison.judging import judge
from lossctl.comparison.measured import Measured, measure
from lossctl.comparison.naming import names
from lossctl.comparison.streaming import stream, streams
from lossctl.comparison.testing import Pair
from lossctl.comparison.totals import ALL
from lossctl.engine import evaluate
from lossctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.commands.compare import Wanted
    from lossctl.commands.opening import Prepared
    from lossctl.spec import Spec

STREAMED = "so many samples are not held: the top 1 %, trimming and rank correlations are left out"


def reruns(
    spec: Spec, wanted: Wanted, prepared: Sequence[Prepared], say: Callable[[str], None]
) -> tuple[list[Prepared], Compared]:
    """Values of reruns, of which none is tested against another; with the requests for what their values fit."""
    bounds = [bound for one in prepared for bound in one.bounds]
    outcomes = evaluate(bounds, BACKENDS.get(spec.options.backend)(), spec.options, prepared[0].selection)
    found = [
        Measured(bound, one.value, one.n, one.skipped, unfit=one.unfit) for bound, one in zip(bounds, outcomes, strict=True)
    ]
    width = len(prepared[0].bounds)
    fit, measured = without(prepared, [found[start : start + width] for start in range(0, len(found), width)], say)
    return fit, Compared(names(wanted.systems), [one.label for one in fit[0].asked], measured, {}, wanted.rules)


def compared_of(
    spec: Spec, wanted: Wanted, prepared: Sequence[Prepared], say: Callable[[str], None]
) -> tuple[list[Prepared], Compared]:
    """Judge every system against the first under every loss, over all samples and by group.

    Returns the requests for what their values fit, too.
    """
    held = bool(wanted.order or wanted.cluster_by)
    if streams([bound for one in prepared for bound in one.bounds], wanted.rules, ordered=held, explained=bool(wanted.explain)):
        say(STREAMED)
        return _streamed(spec, wanted, prepared, say)
    systems, options = [one.bounds for one in prepared], spec.options
    found = measure(systems, BACKENDS.get(options.backend)(), options, prepared[0].selection, within=options.max_memory)
    fit, measured = without(prepared, found, say)
    return fit, _held(wanted, fit, measured)


def _streamed(
    spec: Spec, wanted: Wanted, prepared: Sequence[Prepared], say: Callable[[str], None]
) -> tuple[list[Prepared], Compared]:
    """Judge without holding a sample."""
    first = prepared[0]
    _check_groups(first)
    backend, codes = BACKENDS.get(spec.options.backend)(), None if first.groups is None else first.groups.codes
    systems = [one.bounds for one in prepared]
    found = stream(systems, backend, spec.options, first.selection, wanted.rules, codes)
    fit, measured = without(prepared, found.measured, say)
    judged = {first.groups.names[code] if first.groups and code != ALL else "": one for code, one in found.judged.items()}
    return fit, Compared(names(wanted.systems), [one.label for one in fit[0].asked], measured, judged, wanted.rules)


def _held(wanted: Wanted, prepared: Sequence[Prepared], measured: Sequence[Sequence[Measured]]) -> Compared:
    """Judge with every sample in memory."""
    first, rules = prepared[0], wanted.rules
    rows = _rows(measured)
    if rows is not None and wanted.order:
        order = np.argsort(first.times(wanted.order)[rows], kind="stable")
        measured, rows = [[one.ordered(order) for one in row] for row in measured], rows[order]
    if rows is not None and wanted.cluster_by:
        rules = replace(rules, clusters=first.codes(wanted.cluster_by).codes[rows])
    judged = {"": judge(_pairs(measured), rules)}
    for name, chosen in _slices(first, rows):
        part = [[one.subset(chosen, rules.reduction) for one in row] for row in measured]
        judged[name] = judge(_pairs(part), rules.subset(chosen))
    labels = [one.label for one in first.asked]
    compared = Compared(names(wanted.systems), labels, measured, judged, rules)
    return replace(compared, explained=explanations(wanted.explain, first, compared, rows)) if wanted.explain else compared


def _rows(measured: Sequence[Sequence[Measured]]) -> Any:
    """The numbers of the samples that are tested; None where no loss can be told apart by sample."""
    return next((one.rows for row in measured for one in row if one.terms is not None), None)


def _pairs(measured: Sequence[Sequence[Measured]]) -> list[Pair]:
    base, *others = measured
    return [Pair(j, i, base[j], row[j]) for j in range(len(base)) for i, row in enumerate(others, 1)]


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
