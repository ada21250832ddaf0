"""`compute`: open the inputs, bind every loss, fold once, and put the answer into a report."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from lossctl.backends import BACKENDS
from lossctl.commands.answer import Answer, report
from lossctl.commands.opening import inputs_of, prepare
from lossctl.commands.sets import without
from lossctl.commands.warn import warnings
from lossctl.engine import evaluate
from lossctl.errors import LossctlError, TooLarge, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.binding import Bound
    from lossctl.block import Selection
    from lossctl.commands.opening import Prepared
    from lossctl.report import Report
    from lossctl.spec import Options, Spec

# What a row of one sample takes until it is printed, in bytes; measured with a million of them.
ROW = 900
# And what a number of an unreduced loss takes; measured with two million.
NUMBER = 160


def run(spec: Spec, say: Callable[[str], None], *, document: bool) -> tuple[Report, LossctlError | None]:
    """Compute what `spec` asks for. `document` adds what only machine-readable results hold: the hashes of the inputs.

    Returns the report, and the error to exit with if a gate failed or could not be decided.
    """
    prepared = prepare(spec, say)
    _check_rows(prepared.bounds, spec.options)
    _check_numbers(prepared.bounds, spec.options)
    selection, groups = grouped(prepared)
    outcomes = evaluate(prepared.bounds, BACKENDS.get(spec.options.backend)(), spec.options, selection)
    (prepared,), (outcomes,) = without([prepared], [outcomes], say)
    answer = Answer(spec, prepared.asked, prepared.bounds, outcomes, groups, prepared.opened.ids, selection.groups)
    _say_skipped(answer, say)
    if answer.wants_samples and spec.options.stats and not document:
        say("--stats is not shown beside single samples; --format json holds both")
    inputs = inputs_of(prepared.opened) if document or spec.against else []
    found = warnings(answer, say, prepared.opened.unlike)
    coverage = min(outcome.coverage for outcome in outcomes)
    told = report(answer, (), inputs, found)
    if not (spec.gates or spec.options.strict or spec.options.min_coverage):
        return told, None
    from lossctl.commands.judging import judged

    return judged(told, spec, answer.values(), coverage, found)


def grouped(prepared: Prepared) -> tuple[Selection, Sequence[str]]:
    """The selection with its groups.

    Raises: UsageError for a loss that couples samples.
    """
    if prepared.groups is None:
        return prepared.selection, ()
    whole = [bound.loss.name for bound in prepared.bounds if bound.loss.whole]
    if whole:
        message = f"{whole[0]} couples all samples, so that its groups cannot be told apart in one pass."
        raise UsageError(message, hint="Leave out --by, or give it one group's samples.")
    return replace(prepared.selection, groups=prepared.groups.codes), prepared.groups.names


def _check_rows(bounds: Sequence[Bound], options: Options) -> None:
    """Refuse more rows of single samples than there is memory for.

    Raises: TooLarge.
    """
    most = options.worst or options.best
    rows = sum(min(bound.n, most) if most else bound.n for bound in bounds) if options.per_sample or most else 0
    if rows * ROW > options.max_memory:
        need = rows * ROW / 2**20
        name = "worst" if options.worst else "best" if options.best else "per-sample"
        message = f"--{name} would make {rows:,} rows and need about {need:,.0f} MiB."
        raise TooLarge(message, hint=f"Use --worst 100 or --stats, or allow it with --max-memory {need * 1.1:.0f}.")


def _check_numbers(bounds: Sequence[Bound], options: Options) -> None:
    """Refuse more unreduced values than there is memory for: at most as many as the smallest input has numbers.

    Raises: TooLarge.
    """
    sizes = [[prod(slot.reader.shape) for slot in bound.slots if slot.axis is not None] for bound in bounds]
    numbers = sum(min(size, default=0) for size in sizes) if options.reduction == "none" else 0
    if numbers * NUMBER > options.max_memory:
        need = numbers * NUMBER / 2**20
        message = f"--reduction none would give up to {numbers:,} numbers and need about {need:,.0f} MiB."
        raise TooLarge(message, hint=f"Use --worst 100 or --stats, or allow it with --max-memory {need * 1.1:.0f}.")


def _say_skipped(answer: Answer, say: Callable[[str], None]) -> None:
    """Skipping always says how many; losses on the same inputs skip alike, and say it once."""
    said = set()
    for one, outcome in zip(answer.asked, answer.outcomes, strict=True):
        count = f"skipped {outcome.skipped} of {outcome.n + outcome.skipped} samples that hold NaN or infinity"
        if answer.spec.options.nan == "skip" and count not in said:
            said.add(count)
            say(f"{one.label}: {count}")
