"""`compute`: open the inputs, bind every loss, fold once, and put the answer into a report."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from lossctl.cli.command import Printed, check_outputs, printed, say, spread, wants_document
from lossctl.cli.program import Losses, Sources, app
from lossctl.errors import LossctlError, TooLarge, UsageError
from lossctl.request.arguments import compute_spec
from lossctl.request.options import RESULT, Gated, Options, option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.report import Report
    from lossctl.report.answer import Answer
    from lossctl.request.spec import Spec


@dataclass(frozen=True, eq=False, repr=False)
class Computing(Gated):
    """What `compute` takes."""

    partial: str = option("", "--partial FILE", RESULT, "Write exact sums, for lossctl merge to add up.", writes=True)


@app.command()
@spread
def compute(losses: Losses, sources: Sources = [], *, options: Computing, typed: set[str]) -> Printed:  # noqa: B006
    """Compute the value of one loss or several.

    Example: lossctl compute mse pred.npy target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    check_outputs(options)
    if options.part[1] > 1 and not options.partial:
        raise UsageError("--part computes a share of the samples.", hint="Name a file for its sums: --partial FILE.")
    spec = compute_spec([losses, *sources], options, typed)
    if options.partial:
        from lossctl.commands.partial import run as run_partial

        return printed(run_partial(spec, options.partial, say(options)), options)
    report, error = run(spec, say(options), document=wants_document(options))
    return printed(report, options, error)


# What a row of one sample takes until it is printed, in bytes; measured with a million of them.
ROW = 900
# And what a number of an unreduced loss takes; measured with two million.
NUMBER = 160


def run(spec: Spec, say: Callable[[str], None], *, document: bool) -> tuple[Report, LossctlError | None]:
    """Compute what `spec` asks for. `document` adds what only machine-readable results hold: the hashes of the inputs.

    Returns the report, and the error to exit with if a gate failed or could not be decided.
    """
    from lossctl.engine.opening import grouped, inputs_of, prepare, without
    from lossctl.engine.reduce import evaluate
    from lossctl.losses.backends import BACKENDS
    from lossctl.report.answer import Answer, report, warnings

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
    result = warnings(answer, say, prepared.opened.unlike)
    coverage = min(outcome.coverage for outcome in outcomes)
    told = report(answer, (), inputs, result)
    if not (spec.gates or spec.options.strict or spec.options.min_coverage):
        return told, None
    from lossctl.checking.judging import judged

    return judged(told, spec, answer.values(), coverage, result)


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
        raise TooLarge(
            message, hint=f"Use --worst 100 or --stats in its place, or allow it with --max-memory {need * 1.1:.0f}."
        )


def _say_skipped(answer: Answer, say: Callable[[str], None]) -> None:
    """Skipping always says how many; losses on the same inputs skip alike, and say it once."""
    said = set()
    for one, outcome in zip(answer.asked, answer.outcomes, strict=True):
        count = f"skipped {outcome.skipped} of {outcome.n + outcome.skipped} samples that hold NaN or infinity"
        if answer.spec.options.nan == "skip" and count not in said:
            said.add(count)
            say(f"{one.label}: {count}")
