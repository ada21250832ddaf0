"""`grad`: compute the loss, differentiate it block by block, and say what the gradient looks like.

Rows for people, one document for machines, and for TensorBoard the tags `loss/…`, `grad/…` and `grad_norm/…` with the loss's
name.
"""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lossctl.cli.command import Printed, check_outputs, printed, say, spread, wants_document
from lossctl.cli.program import Sources, app
from lossctl.errors import LossctlError, MissingExtra, UnknownName, UsageError, near
from lossctl.report import Report, with_request
from lossctl.request.arguments import compute_spec
from lossctl.request.options import GATES, INPUT, RESULT, Gated, Typed, option, replayed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.engine.opening import Prepared
    from lossctl.engine.reduce import Outcome
    from lossctl.gates import Check
    from lossctl.gradient.gathering import Gradient, Job
    from lossctl.gradient.verdicts import GradientVerdict
    from lossctl.report.answer import Answer
    from lossctl.request.lookup import Asked
    from lossctl.request.spec import Spec
    from lossctl.sources.readers import NumPyArray
    from lossctl.warnings import Warned


Loss = Annotated[str, typer.Argument(metavar="LOSS|SPEC.yaml", help="LOSS[:param=value…], or a spec.")]


def _names(words: Sequence[str]) -> list[str]:
    """Names that are given one by one or with commas."""
    return [name for word in words for name in word.split(",")]


NAMES = Typed("list[str]", [], _names)


@dataclass(frozen=True, eq=False, repr=False)
class Grading(Gated):
    """What `grad` takes."""

    wrt: list[str] = option(
        [], "--wrt NAME", INPUT, "By which input, or param:NAME; all for every input. Repeatable.", typed=NAMES, replayed=True
    )
    precision: list[str] = option(
        [], "--precision TYPE", RESULT, "What fp16, bf16 or fp32 would lose. Repeatable.", typed=NAMES, replayed=True
    )
    check: bool = option(False, "--check", GATES, "Compare with central differences; exit 1 if wrong.", replayed=True)
    eps: float = option(1e-06, "--eps X", RESULT, "Slopes of single losses below X count as saturated.", min=0, replayed=True)
    clip_norm: float | None = option(
        None, "--clip-norm X", RESULT, "What clipping to this norm would do.", min=0, replayed=True
    )
    clip_value: float | None = option(
        None, "--clip-value X", RESULT, "What clipping each element would do.", min=0, replayed=True
    )
    tensorboard: str = option("", "--tensorboard DIR", RESULT, "Write histogram and scalars for TensorBoard.", writes=True)
    step: int = option(0, "--step N", RESULT, "The step that TensorBoard shows.", min=0)


@app.command()
@spread
def grad(losses: Loss, sources: Sources = [], *, options: Grading, typed: set[str]) -> Printed:  # noqa: B006
    """Differentiate a loss: a summary of the gradient, and with -o the array.

    Example: lossctl grad mse pred.npy target.npy -o grad.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lossctl.gradient.writing import SUFFIXES, is_array

    reports = replace(options, output=[path for path in options.output if not is_array(path)])
    check_outputs(reports, SUFFIXES)
    spec = compute_spec([losses, *sources], options, typed)
    report, error = run(spec, options, say(options), document=wants_document(reports))
    return printed(report, reports, error)


# Gradients of more elements are written to files, and not printed.
SMALL = 10_000


def run(spec: Spec, options: Grading, say: Callable[[str], None], *, document: bool) -> tuple[Report, LossctlError | None]:
    """Differentiate what `spec` asks for. `document` adds what only machine-readable results hold: the hashes of the inputs.

    Returns the report, and the error to exit with if a gate failed or could not be decided.
    """
    from lossctl.checking.judging import judged
    from lossctl.engine.opening import inputs_of, prepare
    from lossctl.engine.reduce import evaluate
    from lossctl.gradient.passes import chosen
    from lossctl.gradient.profile import check_board
    from lossctl.gradient.verdicts import settle
    from lossctl.losses.backends import BACKENDS
    from lossctl.report.answer import Answer, warnings

    _check(spec, options)
    if options.tensorboard:
        check_board(options.tensorboard)
    spec = _summed(spec, say)
    prepared = prepare(spec, say)
    picks = [chosen(bound, options.wrt) for bound in prepared.bounds]
    torch = _torch()
    outcomes = evaluate(prepared.bounds, BACKENDS.get(spec.options.backend)(), spec.options, prepared.selection)
    answer = Answer(spec, prepared.asked, prepared.bounds, outcomes, (), prepared.opened.ids)
    result = _found(_job(spec, options, prepared, picks, outcomes, torch), options, prepared)
    settle(result.job, outcomes, [asked_loss.weight for asked_loss in prepared.asked], say)
    result = _compared(result, outcomes, say) if options.check else result
    warned = warnings(answer, say, prepared.opened.unlike)
    inputs = inputs_of(prepared.opened) if document or spec.against else []
    if options.tensorboard:
        show(options.tensorboard, options.step, answer, result)
    values = answer.values() | result.values(prepared.asked)
    coverage = min(outcome.coverage for outcome in outcomes)
    made = with_request(report(answer, result, (), inputs, warned), "grad", replayed(options))
    return judged(made, spec, values, coverage, warned, [verdict.check() for verdict in result.verdicts.values()])


def _compared(found: FoundGradients, outcomes: Sequence[Outcome], say: Callable[[str], None]) -> FoundGradients:
    """Compare every gradient with central differences."""
    from lossctl.gradient.verdicts import check

    verdicts = check(found.job, outcomes, found.gradients)
    for note in (note for verdict in verdicts.values() for note in verdict.notes()):
        say(note)
    return replace(found, verdicts=verdicts)


def _check(spec: Spec, options: Grading) -> None:
    """Refuse what has no single gradient, and number formats that are not known."""
    from lossctl.gradient.profile import FORMATS

    if not spec.terms and (len(spec.losses) != 1 or spec.losses[0].name.startswith("@")):
        raise UsageError("grad differentiates one loss, or the weighted sum of a spec with terms.", hint="Name one loss.")
    for name in options.precision:
        if name not in FORMATS:
            raise UnknownName(f"--precision knows no '{name}'.", hint=near(name, FORMATS, "formats"))


def _torch() -> Any:
    """What differentiates.

    Raises: MissingExtra, in the words of those who have asked for no backend.
    """
    from lossctl.losses.backends import BACKENDS

    try:
        return BACKENDS.get("torch")()
    except MissingExtra as error:
        error.message = error.message.replace("--backend torch", "grad", 1)
        raise


def _summed(spec: Spec, say: Callable[[str], None]) -> Spec:
    """Unreduced values have no single gradient; `backward(ones)` gives that of their sum."""
    if spec.options.reduction != "none":
        return spec
    say("--reduction none has no gradient of its own; this is that of the sum, as backward(torch.ones_like(loss)) gives it")
    return replace(spec, options=replace(spec.options, reduction="sum"))


def _job(  # noqa: PLR0913, PLR0917 - everything that a derivative depends on
    spec: Spec,
    options: Grading,
    prepared: Prepared,
    picks: Sequence[tuple[tuple[str, ...], tuple[str, ...]]],
    outcomes: Sequence[Outcome],
    torch: Any,
) -> Job:
    from lossctl.gradient.gathering import Clipped, Job
    from lossctl.gradient.passes import Differentiated, slopes

    terms = []
    for one, bound, outcome, (inputs, params) in zip(prepared.asked, prepared.bounds, outcomes, picks, strict=True):
        result = slopes(bound, outcome.sums, outcome.n, spec.options.reduction, params, torch)
        peers = tuple(other for other in prepared.bounds if other.n == bound.n)
        terms.append(Differentiated(bound, inputs, params, result.times(one.weight), peers))
    names = [asked_loss.term or asked_loss.label for asked_loss in prepared.asked]
    groups = None if prepared.groups is None else (prepared.groups.names, prepared.groups.codes)
    return Job(
        terms,
        names,
        spec.options,
        prepared.selection,
        torch,
        options.eps,
        Clipped(options.clip_norm, options.clip_value),
        groups,
    )


def _found(job: Job, options: Grading, prepared: Prepared) -> FoundGradients:
    """Run the second pass, and write what `-o` asks for: files appear when all of it has gone well."""
    import numpy as np

    from lossctl.gradient.profile import Span
    from lossctl.gradient.sinks import Field, MemorySink
    from lossctl.gradient.writing import is_array, opened

    sources = job.sources()
    gradients = {source.name: job.gradient(source) for source in sources}
    outputs = [path for path in options.output if is_array(path)]
    if outputs and not sources:
        raise UsageError("-o writes gradients by inputs, and there is none.", hint="Add --wrt with an input.")
    fields = [Field(gradient.name, gradient.shape, gradient.dtype) for gradient in gradients.values()]
    memory = {
        item.name: MemorySink(replace(item, dtype=np.dtype(np.float64))) for item in fields if math.prod(item.shape) <= SMALL
    }
    ids, id_name = prepared.opened.ids, job.options.on or "id"
    with ExitStack() as stack:
        files = [stack.enter_context(opened(path, fields, ids, id_name)) for path in outputs]
        for name, gradient in gradients.items():
            gradient.sinks = [*(file[name] for file in files), *([memory[name]] if name in memory else [])]
            gradient.sinks += [Span()] if options.tensorboard else []
        job.run(sources, gradients)
    arrays = {name: sink.array for name, sink in memory.items()}
    return FoundGradients(gradients, arrays, job, options.precision, outputs)


COLUMNS = ("norm", "mean", "max", "at", "zeros", "saturated", "top_1_percent", "not_finite")
FORMAT_COLUMNS = ("format", "underflow", "subnormal", "overflow", "scale", "scale_limit")
CHECK_COLUMNS = ("verdict", "checked", "of", "worst_relative_error", "at", "analytic", "numeric", "kinks_count", "steep_count")
# Rows of a histogram, at most; and the signs of its longest bar.
BARS, LONGEST = 16, 32


@dataclass(frozen=True)
class FoundGradients:
    """What was found: gradients by name, small ones as arrays, and what terms have to do with one another."""

    gradients: Mapping[str, Gradient]
    arrays: Mapping[str, NumPyArray]
    job: Job
    precision: Sequence[str] = ()
    files: Sequence[str] = ()
    verdicts: Mapping[str, GradientVerdict] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, float]:
        """Derivatives by scalar parameters."""
        from lossctl.statistics.sums import exact_sum

        alone = len(self.job.terms) == 1
        return {
            f"param:{name}" if alone else f"{self.job.names[term]}.param:{name}": exact_sum(parts)
            for (term, name), parts in self.job.numbers.items()
        }

    def values(self, asked: Sequence[Asked]) -> dict[str, float]:
        """Every number that a gate may bound: `loss.norm` and so on, `input.norm` where there are several."""
        result: dict[str, float] = {}
        for name, gradient in self.gradients.items():
            figures = {key: value for key, value in facts(gradient).items() if isinstance(value, float | int)}
            heads = [name, *(asked[0].typed, asked[0].label, asked[0].loss.name) * (len(self.gradients) == len(asked) == 1)]
            result |= {f"{head}.{key}": float(value) for head in heads for key, value in figures.items()}
        return result | self.numbers


def facts(gradient: Gradient) -> dict[str, Any]:
    """The figures of one gradient; shares are of all its elements, or of its samples' lengths."""
    result = gradient.profile
    count = max(1, result.n)
    return {
        "norm": result.norm,
        "mean": result.mean,
        "max": result.largest,
        "at": list(result.at),
        "zeros": result.zeros / count,
        "saturated": result.small / count,
        "top_1_percent": result.share_of_top(),
        "not_finite": result.missing,
    }


def report(
    answer: Answer,
    found: FoundGradients,
    checks: Sequence[Check],
    inputs: Sequence[Mapping[str, Any]],
    warnings: Sequence[Warned],
) -> Report:
    """Put an answer and its gradients into a report."""
    from lossctl.report.answer import document_of

    document = document_of("grad", answer, checks, inputs, warnings)
    document |= {"gradient": _values(found), "gradients": [_entry(found, name) for name in found.gradients]}
    value = answer.total if answer.total is not None else answer.outcomes[0].value
    arrays = {name: array.tolist() for name, array in found.arrays.items()}
    rows: list[dict[str, Any]] = [
        {"wrt": name, "value": value, **facts(one), "gradient": arrays.get(name)} for name, one in found.gradients.items()
    ]
    rows += [{"wrt": name, "value": value, "gradient": number} for name, number in found.numbers.items()]
    columns = ("wrt", "value", *COLUMNS, "gradient")
    title = "d " + " + ".join(f"{loss.weight:g} {loss.label}" if loss.term else loss.label for loss in answer.asked)
    more = [part for name in found.gradients for part in _details(found, name)]
    return Report(columns, rows, document, bare="gradient", title=title, heads="wrt", more=more)


def _values(found: FoundGradients) -> Any:
    """The nested list of a small gradient, or where a large one was written; by name if there are several."""
    every: dict[str, Any] = {
        name: found.arrays[name].tolist()
        if name in found.arrays
        else {"files": list(found.files), "shape": list(gradient.shape)}
        for name, gradient in found.gradients.items()
    } | found.numbers
    return next(iter(every.values())) if len(every) == 1 else every


def _entry(found: FoundGradients, name: str) -> dict[str, Any]:
    """The machine-readable summary of one gradient."""
    from lossctl.gradient.profile import precision

    gradient = found.gradients[name]
    entry: dict[str, Any] = {"wrt": name, "shape": list(gradient.shape), "dtype": gradient.dtype.name, **facts(gradient)}
    entry["not_finite_at"] = [list(place) for place in gradient.profile.places]
    entry["histogram"] = [
        {"low": low, "high": high, "positive": above, "negative": below}
        for low, high, above, below in gradient.profile.octaves()
    ]
    if gradient.classes is not None:
        entry["classes"] = [{"class": row.pop("group"), **row} for row in gradient.classes[0].rows()]
    if gradient.groups is not None:
        entry |= {"groups": gradient.groups[0].rows(), "conflicts": gradient.groups[0].cosines()}
    if name in found.job.together:
        entry |= {"terms": found.job.together[name].terms(), "conflicts": found.job.together[name].cosines()}
    clipped = gradient.clipped.facts(gradient.profile)
    if clipped:
        entry["clip"] = clipped
    if found.precision:
        entry["precision"] = [precision(kind, gradient.profile) for kind in found.precision]
    if name in found.verdicts:
        entry["check"] = found.verdicts[name].facts()
    return entry


def _details(found: FoundGradients, name: str) -> list[Report]:
    """The tables below the first: histogram, classes, groups, terms, conflicts, clipping, formats."""
    entry = _entry(found, name)
    tables = {
        "by class": entry.get("classes"),
        "by group": entry.get("groups"),
        "by term": entry.get("terms"),
        "cosine between their pulls": entry.get("conflicts"),
        "number formats": [{key: row[key] for key in FORMAT_COLUMNS} for row in entry.get("precision", ())],
        "clipping": [{"clip": kind, **row} for kind, row in entry.get("clip", {}).items()],
        "central differences": [{key: entry["check"][key] for key in CHECK_COLUMNS}] if "check" in entry else None,
        "kinks": entry.get("check", {}).get("kinks"),
        "sizes": _bars(entry["histogram"]),
    }
    parts = [(f"{name}: {title}", rows) for title, rows in tables.items() if rows]
    return [Report(tuple(dict.fromkeys(key for row in rows for key in row)), rows, title=title) for title, rows in parts]


def _bars(octaves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A histogram of sizes: octaves put together until there are few enough."""
    if not octaves:
        return []
    wide = -(-len(octaves) // BARS)
    parts = [octaves[start : start + wide] for start in range(0, len(octaves), wide)]
    counts = [sum(row["positive"] + row["negative"] for row in part) for part in parts]
    return [
        {"above": part[0]["low"], "up to": part[-1]["high"], "elements": count, "": "█" * -(-count * LONGEST // max(counts))}
        for part, count in zip(parts, counts, strict=True)
    ]


TOTAL = "total"


def show(folder: str, step: int, answer: Answer, found: FoundGradients) -> None:
    """Write the loss, each gradient's figures and histogram, and derivatives by parameters to a folder of TensorBoard's.

    Raises: MissingExtra, InputError.
    """
    from lossctl.gradient.profile import Span, histogram, write_board

    head = answer.asked[0].label if answer.total is None else TOTAL
    histograms = {
        f"grad/{head}/{name}": histogram(gradient.profile, sink)
        for name, gradient in found.gradients.items()
        for sink in gradient.sinks
        if isinstance(sink, Span)
    }
    # Of a weighted sum, the total and the value of each term before its weight.
    values = {f"loss/{loss.label}": float(outcome.value) for loss, outcome in zip(answer.asked, answer.outcomes, strict=True)}
    values |= {} if answer.total is None else {f"loss/{TOTAL}": answer.total}
    write_board(folder, step, values | _figures(head, found), histograms)


def _figures(head: str, found: FoundGradients) -> dict[str, float]:
    figures = {
        f"grad_{key}/{head}/{name}": float(value)
        for name, gradient in found.gradients.items()
        for key, value in facts(gradient).items()
        if isinstance(value, float | int)
    }
    return figures | {f"derivative/{head}/{name}": number for name, number in found.numbers.items()}
