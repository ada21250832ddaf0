"""`compare`: several predictions under one loss or several, or several losses on one prediction, in one pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.commands.answer import Answer
from lossctl.commands.compare_answer import Compared, report
from lossctl.commands.opening import inputs_of, prepare_all
from lossctl.commands.warn import strict_error, warnings
from lossctl.comparison.judging import judge
from lossctl.comparison.measured import measure
from lossctl.comparison.testing import TESTS, Pair, Rules
from lossctl.engine import Outcome
from lossctl.errors import BadParameter, NoSuchReduction, UsageError, near
from lossctl.gates import check_coverage, check_gates, verdict
from lossctl.spec import Given
from lossctl.statistics.draws import Draws
from lossctl.statistics.multiple import CORRECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.commands.opening import Prepared
    from lossctl.comparison.measured import Measured
    from lossctl.errors import LossctlError
    from lossctl.options import Comparing
    from lossctl.report import Report
    from lossctl.spec import Spec

FOOTER = "this covers the sampling of these rows, not of training seeds"


@dataclass(frozen=True)
class Wanted:
    """Which predictions, against which target and baseline, and how to test."""

    systems: tuple[str, ...]
    target: str
    rules: Rules
    cluster_by: str = ""
    order: str = ""
    grad: bool = False
    explain: tuple[str, ...] = ()
    suggest_tol: bool = False


def wanted_of(options: Comparing, sources: Sequence[str]) -> Wanted:
    """What the command line asks for. The baseline comes first among the systems.

    Raises: UsageError where there is no prediction or no target; BadParameter for a test, correction or alpha.
    """
    _check_words(options)
    preds = [*sources] if options.target else [*sources[:-1]]
    target = options.target or (sources[-1] if sources else "")
    if not preds or not target:
        message = "compare needs predictions and a target."
        raise UsageError(message, hint="Write: lossctl compare mse base.npy new.npy -t target.npy")
    if options.baseline:
        preds = [options.baseline, *(pred for pred in preds if pred != options.baseline)]
    twice = next((pred for pred in preds if preds.count(pred) > 1), None)
    if twice:
        message = f"{twice} is given twice."
        raise UsageError(message, hint="Name each prediction once.")
    draws = Draws(options.resamples, options.seed)
    test = "dm" if options.test == "auto" and (options.order or options.horizon > 1) else options.test
    rules = Rules(draws, options.alpha, test, options.correction, options.reduction, options.horizon)
    extra = (options.cluster_by, options.order, options.grad, tuple(options.explain), options.suggest_tol)
    return Wanted(tuple(preds), target, rules, *extra)


def _check_words(options: Comparing) -> None:
    for name, given, known in (("test", options.test, TESTS), ("correction", options.correction, CORRECTIONS)):
        if given not in known:
            message = f"--{name} knows no '{given}'."
            raise BadParameter(message, hint=near(given, known, "words"))
    if not 0 < options.alpha < 0.5:  # noqa: PLR2004 - at one half, twice alpha is certain
        message = f"--alpha is {options.alpha}, and must lie between 0 and 0.5."
        raise BadParameter(message, hint="The usual level is 0.05.")


def run(spec: Spec, wanted: Wanted, say: Callable[[str], None], *, document: bool) -> tuple[Report, LossctlError | None]:
    """Compare what `spec` and `wanted` ask for.

    Returns the report, and the error to exit with if a gate failed or could not be decided.
    """
    if spec.terms:
        raise UsageError("compare takes losses, not a weighted sum of terms.", hint="Name the losses on the command line.")
    if spec.options.reduction == "none":
        raise NoSuchReduction("compare compares numbers, and --reduction none has none.", hint="Use mean or sum.")
    systems = [replace(spec, positional=(Given(text=pred), Given(text=wanted.target))) for pred in wanted.systems]
    prepared = prepare_all(systems, say)
    measured = _measured(spec, prepared)
    answers = [_answer(spec, one, row) for one, row in zip(prepared, measured, strict=True)]
    compared = _compared(wanted, prepared, measured)
    checks = check_gates(spec.gates, compared.values()) + check_coverage(_coverage(measured), spec.options.min_coverage)
    warned = list(dict.fromkeys(one for answer in answers for one in warnings(answer, say)))
    if compared.judged:
        say(FOOTER)
    inputs = inputs_of(prepared[0].opened) if document else []
    return report(answers, compared, checks, inputs, warned), verdict(checks) or strict_error(answers[0], warned)


def _measured(spec: Spec, prepared: Sequence[Prepared]) -> list[list[Measured]]:
    """One row of losses a system, from one pass over everything."""
    bounds = [bound for one in prepared for bound in one.bounds]
    backend = BACKENDS.get(spec.options.backend)()
    found = measure(bounds, backend, spec.options, prepared[0].selection, within=spec.options.max_memory)
    width = len(prepared[0].bounds)
    return [found[start : start + width] for start in range(0, len(found), width)]


def _answer(spec: Spec, prepared: Prepared, row: Sequence[Measured]) -> Answer:
    outcomes = [Outcome(one.value, one.n, one.skipped) for one in row]
    return Answer(spec, prepared.asked, prepared.bounds, outcomes, (), prepared.opened.ids)


def _coverage(measured: Sequence[Sequence[Measured]]) -> float:
    return min(Outcome(one.value, one.n, one.skipped).coverage for row in measured for one in row)


def _compared(wanted: Wanted, prepared: Sequence[Prepared], measured: Sequence[Sequence[Measured]]) -> Compared:
    """Judge every system against the first under every loss, over all samples and by group."""
    first = prepared[0]
    rows = measured[0][0].rows
    rules = wanted.rules
    if rows is not None and wanted.cluster_by:
        rules = replace(rules, clusters=first.codes(wanted.cluster_by).codes[rows])
    if rows is not None and wanted.order:
        rules, measured = _in_order(first.times(wanted.order)[rows], rules, measured)
    judged = {"": judge(_pairs(measured), rules)}
    for name, chosen in _slices(first, rows):
        part = [[one.subset(chosen, rules.reduction) for one in row] for row in measured]
        judged[name] = judge(_pairs(part), rules.subset(chosen))
    labels = [one.label for one in first.asked]
    return Compared(_names(wanted.systems), labels, measured, judged, rules)


def _pairs(measured: Sequence[Sequence[Measured]]) -> list[Pair]:
    base, *others = measured
    return [Pair(j, i, base[j], row[j]) for j in range(len(base)) for i, row in enumerate(others, 1)]


def _in_order(times: Any, rules: Rules, measured: Sequence[Sequence[Measured]]) -> tuple[Rules, list[list[Measured]]]:
    """Put samples in the order of time."""
    order = np.argsort(times, kind="stable")
    return rules.subset(order), [[one.subset(order, rules.reduction) for one in row] for row in measured]


def _slices(prepared: Prepared, rows: Any) -> list[tuple[str, Any]]:
    """Which samples are in each group of `--by`.

    Raises: UsageError for a loss that couples samples.
    """
    if prepared.groups is None:
        return []
    if rows is None:
        name = prepared.bounds[0].loss.name
        message = f"{name} couples all samples, so that its groups cannot be told apart in one pass."
        raise UsageError(message, hint="Leave out --by, or give it one group's samples.")
    codes = prepared.groups.codes[rows]
    return [(name, codes == code) for code, name in enumerate(prepared.groups.names) if (codes == code).any()]


def _names(systems: Sequence[str]) -> list[str]:
    """What each system is called: as little of its source as tells it from the others."""
    for short in (_stem, _last, str):
        names = [short(system) for system in systems]
        if len(set(names)) == len(names):
            return names
    return list(systems)


def _stem(system: str) -> str:
    return Path(_last(system)).stem


def _last(system: str) -> str:
    path, _, key = system.rpartition(":")
    return key if path and "/" not in key else Path(system).name
