"""`compare` with one prediction: several losses side by side, what each sees in it, and what distinguishes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lossctl.backends import BACKENDS
from lossctl.commands.answer import Answer, document_of
from lossctl.commands.judging import judged
from lossctl.commands.opening import inputs_of, prepare
from lossctl.commands.sets import without
from lossctl.commands.warn import warnings
from lossctl.comparison.side_by_side import held, side_by_side
from lossctl.errors import UsageError
from lossctl.report import Report
from lossctl.spec import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.block import Selection
    from lossctl.commands.compare import Wanted
    from lossctl.commands.opening import Prepared
    from lossctl.comparison.side_by_side import Beside
    from lossctl.errors import LossctlError
    from lossctl.spec import Options, Spec

FIGURES = ("top_1_percent", "skill", "rank_correlation")
TRAITS = ("best_constant", "robust", "convex", "estimates")
# More classes than these are in JSON only.
SHOWN = 4


@dataclass(frozen=True)
class Wide(Report):
    """A table that people see in two: figures first, then the columns `apart`."""

    apart: tuple[str, ...] = field(default=())

    def parts(self) -> list[Report]:
        """The tables that people see."""
        figures = tuple(column for column in self.columns if column not in self.apart)
        rows = [row for row in self.rows if "skill" in row]
        return [Report(figures, self.rows), Report(("loss", *self.apart), rows, title="what distinguishes them")]


def run_losses(spec: Spec, wanted: Wanted, say: Callable[[str], None], *, document: bool) -> tuple[Report, LossctlError | None]:
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
    outcomes = [one.outcome for one in found]
    groups = prepared.groups.names if prepared.groups else ()
    answer = Answer(spec, prepared.asked, prepared.bounds, outcomes, groups, prepared.opened.ids)
    _say_skipped(answer, say)
    warned = warnings(answer, say, prepared.opened.unlike)
    inputs = inputs_of(prepared.opened) if document or spec.against else []
    made = document_of("compare", answer, (), inputs, warned)
    made["results"] = _entries(made["results"], found, norms)
    made["signature"] += f"|seed:{seed}"
    report = _report(answer, found, norms, made)
    return judged(report, spec, answer.values(), min(one.coverage for one in outcomes), warned)


def _check(wanted: Wanted) -> None:
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
    need = held(prepared.bounds)
    if need > options.max_memory:
        text = "left out top_1_percent and rank_correlation, which need every sample's losses"
        say(f"{text}: about {need / 2**20:,.0f} MiB; --max-memory {need / 2**20 * 1.1:.0f} allows them")


def _say_skipped(answer: Answer, say: Callable[[str], None]) -> None:
    """Skipping always says how many."""
    for skipped, n in dict.fromkeys((one.skipped, one.n) for one in answer.outcomes):
        if answer.spec.options.nan == "skip":
            say(f"skipped {skipped} of {n + skipped} samples that hold NaN or infinity")


def _norms(prepared: Prepared, found: Sequence[Beside], options: Options) -> list[float | None]:
    from lossctl.comparison.norms import norms

    return norms(prepared.bounds, [one.outcome for one in found], options, prepared.selection)


def _entries(
    results: Sequence[dict[str, Any]], found: Sequence[Beside], norms: Sequence[float | None] | None
) -> list[dict[str, Any]]:
    """The results with what a comparison adds to those of all samples."""
    whole = iter(range(len(found)))
    entries = []
    for entry in results:
        added = {}
        if "group" not in entry:
            place = next(whole)
            added = ({} if norms is None else {"norm": norms[place]}) | _figures(found[place]) | _traits(found[place])
        entries.append({**entry, **added})
    return entries


def _figures(one: Beside) -> dict[str, Any]:
    return dict(zip(FIGURES, (one.top_share, one.skill, one.correlation), strict=True))


def _traits(one: Beside) -> dict[str, Any]:
    prediction = None if one.constant is None else one.constant.prediction.tolist()
    return {
        "best_constant": prediction[0] if prediction and len(prediction) == 1 else prediction,
        "best_constant_value": None if one.constant is None else one.constant.loss,
        "robust": one.character.robust,
        "redescending": one.character.redescending,
        "convex": one.character.convex,
        "estimates": one.character.estimates or None,
    }


def _report(answer: Answer, found: Sequence[Beside], norms: Sequence[float | None] | None, made: dict[str, Any]) -> Report:
    """One row a loss, after those of its groups."""
    rows: list[dict[str, Any]] = []
    for place, (asked, one) in enumerate(zip(answer.asked, found, strict=True)):
        for code, (value, n) in one.outcome.groups.items():
            rows.append({"loss": asked.label, "group": answer.groups[code], "value": value, "n": n})
        head = {"loss": asked.label, "group": "(all)", "value": one.outcome.value, "n": one.outcome.n}
        norm = {} if norms is None else {"norm": norms[place]}
        rows.append(head | norm | _figures(one) | _shown(one))
    grouped = ("group",) if answer.spec.options.by else ()
    norm_column = () if norms is None else ("norm",)
    return Wide(("loss", *grouped, "value", "n", *norm_column, *FIGURES, *TRAITS), rows, made, apart=TRAITS)


def _shown(one: Beside) -> dict[str, Any]:
    """Traits in words."""
    constant = _traits(one)["best_constant"]
    if isinstance(constant, list):
        constant = ", ".join(f"{number:.4g}" for number in constant) if len(constant) <= SHOWN else f"{len(constant)} numbers"
    words = (constant, one.character.says, one.character.says_convex, one.character.estimates or None)
    return dict(zip(TRAITS, words, strict=True))
