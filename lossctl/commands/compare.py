"""`compare`: several predictions under one loss or several, or several losses on one prediction, in one pass."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from lossctl.cli.command import Printed, check_outputs, printed, say, spread, wants_document
from lossctl.cli.program import Losses, Sources, app
from lossctl.errors import BadParameter, LossctlError, NoSuchReduction, UsageError
from lossctl.report import Report, with_request
from lossctl.request.arguments import compute_spec
from lossctl.request.options import HOW, INPUT, RESULT, Gated, option, own_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.comparison.comparing import ComparisonWanted
    from lossctl.request.spec import Spec


@dataclass(frozen=True, eq=False, repr=False)
class Comparing(Gated):
    """What `compare` takes."""

    target: str = option(
        "", "-t --target SOURCE", INPUT, "The target; without it the last input is.", replayed=True, unsigned=True
    )
    baseline: str = option("", "--baseline SOURCE", INPUT, "What the others are compared with; else the first.")
    cluster_by: str = option(
        "", "--cluster-by COLUMN|SOURCE", HOW, "Rows that belong together, such as a user's.", replayed=True
    )
    order: str = option("", "--order COLUMN|SOURCE", HOW, "The order in time; tests by Diebold-Mariano.", replayed=True)
    horizon: int = option(1, "--horizon H", HOW, "Steps that forecasts look ahead.", min=1, replayed=True)
    test: str = option(
        "auto", "--test TEST", HOW, "{}.", choices="auto flip t mcnemar wilcoxon dm", replayed=True, unsigned=True
    )
    correction: str = option(
        "maxt", "--correction HOW", HOW, "For several tests: {}.", choices="maxt holm bh none", replayed=True, unsigned=True
    )
    alpha: float = option(0.05, "--alpha X", HOW, "The level of tests and intervals.", replayed=True, unsigned=True)
    resamples: int = option(9999, "--resamples N", HOW, "Random flips of a test.", min=99, replayed=True, unsigned=True)
    seed: int = option(
        0, "--seed N", HOW, "Of flips and resamples.", min=0, envvar="LOSSCTL_SEED", replayed=True, unsigned=True
    )
    grad: bool = option(
        False, "--grad", RESULT, "The norm of each gradient too, of one prediction.", replayed=True, unsigned=True
    )
    explain: list[str] = option(
        [], "--explain COLUMN|SOURCE", RESULT, "Which slices carry the difference. Repeatable.", replayed=True, unsigned=True
    )
    suggest_tol: bool = option(
        False, "--suggest-tol", RESULT, "Predictions are reruns: which difference is mere noise?", replayed=True, unsigned=True
    )


@app.command()
@spread
def compare(losses: Losses, sources: Sources = [], *, options: Comparing, typed: set[str]) -> Printed:  # noqa: B006
    """Compare predictions under one loss or several, or several losses on one prediction.

    Example: lossctl compare mse,l1 base.npy new.npy -t target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    check_outputs(options)
    wanted = wanted_of(options, sources)
    spec = compute_spec([losses], options, typed)
    report, error = run(spec, wanted, say(options), document=wants_document(options))
    return printed(report, options, error)


FOOTER = "this covers the sampling of these rows, not of training seeds"


def wanted_of(options: Comparing, sources: Sequence[str]) -> ComparisonWanted:
    """What the command line asks for. The baseline comes first among the systems.

    Raises: UsageError where there is no prediction or no target; BadParameter for an alpha.
    """
    from lossctl.comparison.comparing import ComparisonWanted
    from lossctl.comparison.judging import check_rules
    from lossctl.comparison.result import ComparisonRules
    from lossctl.statistics.arrays import Draws

    if not 0 < options.alpha < 0.5:  # noqa: PLR2004 - at one half, twice alpha is certain
        raise BadParameter(f"--alpha is {options.alpha}, and must lie between 0 and 0.5.", hint="The usual level is 0.05.")
    preds = [*sources] if options.target else [*sources[:-1]]
    target = options.target or (sources[-1] if sources else "")
    if not preds or not target:
        message = "compare needs predictions and a target."
        raise UsageError(message, hint="Write: lossctl compare mse base.npy new.npy -t target.npy")
    if options.baseline:
        preds = [options.baseline, *(pred for pred in preds if _place(pred) != _place(options.baseline))]
    places = [*map(_place, preds)]
    twice = next((pred for pred, place in zip(preds, places, strict=True) if places.count(place) > 1), None)
    if twice:
        raise UsageError(f"{twice} is given twice.", hint="Name each prediction once.")
    draws = Draws(options.resamples, options.seed)
    test = "dm" if options.test == "auto" and (options.order or options.horizon > 1) else options.test
    rules = ComparisonRules(draws, options.alpha, test, options.correction, options.reduction, options.horizon)
    check_rules(rules, clustered=bool(options.cluster_by), ordered=bool(options.order))
    _check_reruns(options, preds)
    if options.grad and len(preds) > 1:
        raise UsageError("--grad is for losses on one prediction.", hint="Use lossctl grad, or name one prediction.")
    extra = (options.cluster_by, options.order, options.grad, tuple(options.explain), options.suggest_tol)
    return ComparisonWanted(tuple(preds), target, rules, *extra)


def _place(source: str) -> str:
    """A source however it was typed: `./a.npy` is `a.npy`."""
    return source if source.startswith("[") or "://" in source else str(Path(source))


def _check_reruns(options: Comparing, preds: Sequence[str]) -> None:
    """Reruns have no baseline, and no tests.

    Raises: UsageError.
    """
    asked = [name for name in ("baseline", "explain", "by", "order", "cluster_by") if getattr(options, name)]
    if options.suggest_tol and asked:
        message = f"--suggest-tol takes all predictions as reruns of one, and --{asked[0].replace('_', '-')} compares them."
        raise UsageError(message, hint="Leave out one of the two.")
    if options.suggest_tol and len(preds) == 1:
        raise UsageError("--suggest-tol needs at least two runs.", hint="Write: lossctl compare mse run*.npy -t target.npy")


def _asked(wanted: ComparisonWanted) -> dict[str, Any]:
    """What a result needs besides its spec to be made again."""
    rules, draws = wanted.rules, wanted.rules.draws
    words = {name: getattr(wanted, name) for name in ("target", "cluster_by", "order", "grad", "suggest_tol")}
    lists = {"systems": [*wanted.systems], "explain": [*wanted.explain]}
    numbers = {"test": rules.test, "correction": rules.correction, "alpha": rules.alpha, "horizon": rules.horizon}
    return {**lists, **words, **numbers, "resamples": draws.resamples, "seed": draws.seed}


def wanted_again(request: Mapping[str, Any], name: str, reduction: str) -> ComparisonWanted:
    """What the request in the file `name` asks for.

    Raises: UnreadableFile.
    """
    from pydantic import Field

    from lossctl.comparison.comparing import ComparisonWanted
    from lossctl.comparison.result import ComparisonRules
    from lossctl.request.models import Finite, Word, own_options
    from lossctl.statistics.arrays import Draws

    level, flips = Annotated[Finite, Field(gt=0, lt=0.5)], Annotated[int, Field(ge=99, le=10_000_000)]
    others = {"systems": Annotated[list[Word], Field(min_length=1)], "target": Word, "alpha": level, "resamples": flips}
    asked = own_options(request, name, "compare", Comparing, **others)
    draws = Draws(asked.pop("resamples"), asked.pop("seed"))
    rules = {item: asked.pop(item) for item in ("alpha", "test", "correction", "horizon")}
    lists: dict[str, Any] = {item: tuple(asked.pop(item)) for item in ("systems", "explain")}
    return ComparisonWanted(**lists, **asked, rules=ComparisonRules(draws=draws, reduction=reduction, **rules))


def run(
    spec: Spec, wanted: ComparisonWanted, say: Callable[[str], None], *, document: bool
) -> tuple[Report, LossctlError | None]:
    """Compare what `spec` and `wanted` ask for.

    Returns the report, and the error to exit with if a gate failed or could not be decided.
    """
    result, error = _run(spec, wanted, say, document=document)
    asked, rows = _asked(wanted), own_rows(Comparing)
    signed = [name for name, row in rows.items() if row.replayed and not row.unsigned]
    told = [f"|{name}:{asked[name]}" for name in signed if asked[name] != rows[name].default]
    told_all = {**result.document, "signature": result.document["signature"] + "".join(told)}
    return with_request(replace(result, document=told_all), "compare", asked), error


def _run(
    spec: Spec, wanted: ComparisonWanted, say: Callable[[str], None], *, document: bool
) -> tuple[Report, LossctlError | None]:
    from lossctl.checking.judging import judged
    from lossctl.comparison.comparing import compared_of, reruns
    from lossctl.comparison.judging import with_tolerances
    from lossctl.comparison.reported import report
    from lossctl.engine.opening import inputs_of, prepare_all
    from lossctl.report.answer import Answer, document_of, results, warnings
    from lossctl.sources.source import Given

    if spec.terms:
        raise UsageError("compare takes losses, not a weighted sum of terms.", hint="Name the losses on the command line.")
    if spec.options.reduction == "none":
        raise NoSuchReduction("compare compares numbers, and --reduction none has none.", hint="Use mean or sum.")
    if len(wanted.systems) == 1:
        return _run_losses(spec, wanted, say, document=document)
    systems = [replace(spec, positional=(Given(text=pred), Given(text=wanted.target))) for pred in wanted.systems]
    columns = [("--cluster-by", wanted.cluster_by), ("--order", wanted.order)]
    columns += [("--explain", word) for word in wanted.explain]
    prepared = prepare_all(systems, say, columns)
    judge = reruns if wanted.suggest_tol else compared_of
    prepared, compared = judge(spec, wanted, prepared, say)
    pairs = zip(prepared, compared.outcomes, strict=True)
    answers = [Answer(spec, each.asked, each.bounds, row, (), each.opened.ids) for each, row in pairs]
    # What is said of ids is said of all inputs, and once.
    unlike = [prepared[0].opened.unlike, *([] for _ in answers[1:])]
    said = (warning for answer, ids in zip(answers, unlike, strict=True) for warning in warnings(answer, say, ids))
    warned = list(dict.fromkeys(said))
    inputs = inputs_of(prepared[0].opened) if document or spec.against else []
    result = report(compared, document_of("compare", answers[0], (), inputs, warned), [*map(results, answers)])
    if wanted.suggest_tol:
        result = with_tolerances(result, compared, wanted.rules.alpha, say)
    else:
        say(FOOTER)
    return judged(result, spec, compared.values(), compared.coverage(), warned)


def _run_losses(
    spec: Spec, wanted: ComparisonWanted, say: Callable[[str], None], *, document: bool
) -> tuple[Report, LossctlError | None]:
    """Put the losses of `spec` side by side on one prediction."""
    from lossctl.checking.judging import judged
    from lossctl.comparison.side_by_side import losses_of, report
    from lossctl.engine.opening import inputs_of, prepare
    from lossctl.report.answer import Answer, document_of, warnings
    from lossctl.sources.source import Given

    several = {"--cluster-by": wanted.cluster_by, "--order": wanted.order, "--explain": wanted.explain}
    asked = next((name for name, given in several.items() if given), "")
    if asked:
        message = f"{asked} compares predictions, and there is only {wanted.systems[0]}."
        raise UsageError(message, hint="Give two predictions or more, and the target with -t.")
    spec = replace(spec, positional=(Given(text=wanted.systems[0]), Given(text=wanted.target)))
    seed = wanted.rules.draws.seed
    prepared, losses = losses_of(prepare(spec, say), spec.options, seed, say, grad=wanted.grad)
    outcomes = [loss.outcome for loss in losses]
    groups = prepared.groups.names if prepared.groups else ()
    answer = Answer(spec, prepared.asked, prepared.bounds, outcomes, groups, prepared.opened.ids)
    # Skipping always says how many.
    for skipped, n in dict.fromkeys((outcome.skipped, outcome.n) for outcome in outcomes):
        if spec.options.nan == "skip":
            say(f"skipped {skipped} of {n + skipped} samples that hold NaN or infinity")
    warned = warnings(answer, say, prepared.opened.unlike)
    inputs = inputs_of(prepared.opened) if document or spec.against else []
    made = document_of("compare", answer, (), inputs, warned)
    made["signature"] += f"|seed:{seed}"
    table = report([each.label for each in answer.asked], losses, made, groups, grad=wanted.grad)
    return judged(table, spec, answer.values(), min(outcome.coverage for outcome in outcomes), warned)
