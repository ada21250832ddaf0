"""`compare` with one prediction: several losses side by side, what each sees in it, and what distinguishes them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lossctl.checking.judging import judged
from lossctl.comparison.side_by_side import bytes_by_sample, report, side_by_side
from lossctl.engine.opening import inputs_of, prepare
from lossctl.engine.sets import without
from lossctl.errors import UsageError
from lossctl.losses.backends import BACKENDS
from lossctl.report.answer import Answer, document_of, warnings
from lossctl.sources.address import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.commands.compare import ComparisonWanted
    from lossctl.comparison.side_by_side import Beside
    from lossctl.engine.block import Selection
    from lossctl.engine.opening import Prepared
    from lossctl.errors import LossctlError
    from lossctl.report.report import Report
    from lossctl.request.spec import Options, Spec


def run_losses(
    spec: Spec, wanted: ComparisonWanted, say: Callable[[str], None], *, document: bool
) -> tuple[Report, LossctlError | None]:
    """Put the losses of `spec` side by side on one prediction.

    Returns the report, and the error to exit with if a gate failed or could not be decided.
    """
    _check(wanted)
    spec = replace(spec, positional=(Given(text=wanted.systems[0]), Given(text=wanted.target)))
    prepared = prepare(spec, say)
    _say_limits(prepared, spec.options, say)
    selection = _selection(prepared)
    seed = wanted.rules.draws.seed
    found = side_by_side(prepared.bounds, BACKENDS.get(spec.options.backend)(), spec.options, selection, seed)
    (prepared,), (found,) = without([prepared], [found], say)
    norms = _norms(prepared, found, spec.options) if wanted.grad else None
    outcomes = [beside.outcome for beside in found]
    groups = prepared.groups.names if prepared.groups else ()
    answer = Answer(spec, prepared.asked, prepared.bounds, outcomes, groups, prepared.opened.ids)
    _say_skipped(answer, say)
    warned = warnings(answer, say, prepared.opened.unlike)
    inputs = inputs_of(prepared.opened) if document or spec.against else []
    made = document_of("compare", answer, (), inputs, warned)
    made["signature"] += f"|seed:{seed}"
    table = report([asked.label for asked in answer.asked], found, made, groups, norms)
    return judged(table, spec, answer.values(), min(outcome.coverage for outcome in outcomes), warned)


def _check(wanted: ComparisonWanted) -> None:
    """Refuse what only several predictions have."""
    several = {"--cluster-by": wanted.cluster_by, "--order": wanted.order, "--explain": wanted.explain}
    for name, given in several.items():
        if given:
            message = f"{name} compares predictions, and there is only {wanted.systems[0]}."
            raise UsageError(message, hint="Give two predictions or more, and the target with -t.")


def _selection(prepared: Prepared) -> Selection:
    """The selection with its groups.

    Raises: UsageError for a loss that couples samples.
    """
    if prepared.groups is None:
        return prepared.selection
    name = next((bound.loss.name for bound in prepared.bounds if bound.loss.whole), "")
    if name:
        message = f"{name} couples all samples, so that its groups cannot be told apart in one pass."
        raise UsageError(message, hint="Leave out --by, or give it one group's samples.")
    return replace(prepared.selection, groups=prepared.groups.codes)


def _say_limits(prepared: Prepared, options: Options, say: Callable[[str], None]) -> None:
    need = bytes_by_sample(prepared.bounds)
    if need > options.max_memory:
        text = "left out top_1_percent and rank_correlation, which need every sample's losses"
        say(f"{text}: about {need / 2**20:,.0f} MiB; --max-memory {need / 2**20 * 1.1:.0f} allows them")


def _say_skipped(answer: Answer, say: Callable[[str], None]) -> None:
    """Skipping always says how many."""
    for skipped, n in dict.fromkeys((outcome.skipped, outcome.n) for outcome in answer.outcomes):
        if answer.spec.options.nan == "skip":
            say(f"skipped {skipped} of {n + skipped} samples that hold NaN or infinity")


def _norms(prepared: Prepared, found: Sequence[Beside], options: Options) -> list[float | None]:
    from lossctl.comparison.norms import norms

    return norms(prepared.bounds, [beside.outcome for beside in found], options, prepared.selection)
