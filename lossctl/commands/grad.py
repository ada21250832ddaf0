"""`grad`: compute the loss, differentiate it block by block, and say what the gradient looks like."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.commands.again import with_request
from lossctl.commands.answer import Answer
from lossctl.commands.grad_answer import Found, report
from lossctl.commands.grad_board import show
from lossctl.commands.judging import judged
from lossctl.commands.opening import inputs_of, prepare
from lossctl.commands.warn import warnings
from lossctl.engine import evaluate
from lossctl.errors import MissingExtra, UnknownName, UsageError, near
from lossctl.gradient.allowed import chosen
from lossctl.gradient.clipping import Clipped
from lossctl.gradient.formats import FORMATS
from lossctl.gradient.job import Job
from lossctl.gradient.numbers import settle
from lossctl.gradient.passes import Differentiated
from lossctl.gradient.slopes import slopes
from lossctl.gradient.verdicts import check
from lossctl.sinks import Field, MemorySink, opened
from lossctl.tensorboard import Span, check_board

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.cli.grading import Grading
    from lossctl.commands.opening import Prepared
    from lossctl.engine import Outcome
    from lossctl.errors import LossctlError
    from lossctl.report import Report
    from lossctl.spec import Spec

# Gradients of more elements are written to files, and not printed.
SMALL = 10_000


@dataclass(frozen=True)
class Wanted:
    """What to differentiate by, what to find out, and where to write it."""

    wrt: tuple[str, ...] = ()
    eps: float = 1e-6
    precision: tuple[str, ...] = ()
    clip: Clipped = field(default_factory=Clipped)
    outputs: tuple[str, ...] = ()
    check: bool = False
    board: str = ""
    step: int = 0


def wanted_of(options: Grading, outputs: Sequence[str]) -> Wanted:
    """What the options of the command line ask for; names may be given one by one or with commas."""
    return Wanted(
        wrt=tuple(name for item in options.wrt for name in item.split(",")),
        eps=options.eps,
        precision=tuple(name for item in options.precision for name in item.split(",")),
        clip=Clipped(options.clip_norm, options.clip_value),
        outputs=tuple(outputs),
        check=options.check,
        board=options.tensorboard,
        step=options.step,
    )


def wanted_again(asked: Mapping[str, Any]) -> Wanted:
    """The reverse of what a result holds."""
    lists: dict[str, Any] = {name: tuple(asked.get(name, ())) for name in ("wrt", "precision")}
    clip = Clipped(asked.get("clip_norm"), asked.get("clip_value"))
    return Wanted(**lists, eps=asked.get("eps", Wanted.eps), clip=clip, check=asked.get("check", False))


def run(spec: Spec, wanted: Wanted, say: Callable[[str], None], *, document: bool) -> tuple[Report, LossctlError | None]:
    """Differentiate what `spec` asks for. `document` adds what only machine-readable results hold: the hashes of the inputs.

    Returns the report, and the error to exit with if a gate failed or could not be decided.
    """
    _check(spec, wanted)
    if wanted.board:
        check_board(wanted.board)
    spec = _summed(spec, say)
    prepared = prepare(spec, say)
    picks = [chosen(bound, wanted.wrt) for bound in prepared.bounds]
    torch = _torch()
    outcomes = evaluate(prepared.bounds, BACKENDS.get(spec.options.backend)(), spec.options, prepared.selection)
    answer = Answer(spec, prepared.asked, prepared.bounds, outcomes, (), prepared.opened.ids)
    found = _found(_job(spec, wanted, prepared, picks, outcomes, torch), wanted, prepared)
    settle(found.job, outcomes, [one.weight for one in prepared.asked], say)
    found = _compared(found, outcomes, say) if wanted.check else found
    warned = warnings(answer, say, prepared.opened.unlike)
    inputs = inputs_of(prepared.opened) if document or spec.against else []
    if wanted.board:
        show(wanted.board, wanted.step, answer, found)
    values = answer.values() | found.values(prepared.asked)
    coverage = min(outcome.coverage for outcome in outcomes)
    made = with_request(report(answer, found, (), inputs, warned), "grad", _asked(wanted))
    return judged(made, spec, values, coverage, warned, [one.check() for one in found.verdicts.values()])


def _asked(wanted: Wanted) -> dict[str, Any]:
    """What a result needs besides its spec to be made again."""
    lists = {"wrt": [*wanted.wrt], "precision": [*wanted.precision]}
    return {**lists, "check": wanted.check, "eps": wanted.eps, "clip_norm": wanted.clip.norm, "clip_value": wanted.clip.value}


def _compared(found: Found, outcomes: Sequence[Outcome], say: Callable[[str], None]) -> Found:
    """Compare every gradient with central differences."""
    verdicts = check(found.job, outcomes, found.gradients)
    for note in (note for one in verdicts.values() for note in one.notes()):
        say(note)
    return replace(found, verdicts=verdicts)


def _check(spec: Spec, wanted: Wanted) -> None:
    """Refuse what has no single gradient, and number formats that are not known."""
    if not spec.terms and (len(spec.losses) != 1 or spec.losses[0].name.startswith("@")):
        message = "grad differentiates one loss, or the weighted sum of a spec with terms."
        raise UsageError(message, hint="Name one loss.")
    for name in wanted.precision:
        if name not in FORMATS:
            message = f"--precision knows no '{name}'."
            raise UnknownName(message, hint=near(name, FORMATS, "formats"))


def _torch() -> Any:
    """What differentiates.

    Raises: MissingExtra, in the words of those who have asked for no backend.
    """
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
    wanted: Wanted,
    prepared: Prepared,
    picks: Sequence[tuple[tuple[str, ...], tuple[str, ...]]],
    outcomes: Sequence[Outcome],
    torch: Any,
) -> Job:
    terms = []
    for one, bound, outcome, (inputs, params) in zip(prepared.asked, prepared.bounds, outcomes, picks, strict=True):
        found = slopes(bound, outcome.sums, outcome.n, spec.options.reduction, params, torch)
        peers = tuple(other for other in prepared.bounds if other.n == bound.n)
        terms.append(Differentiated(bound, inputs, params, found.times(one.weight), peers))
    names = [one.term or one.label for one in prepared.asked]
    groups = None if prepared.groups is None else (prepared.groups.names, prepared.groups.codes)
    return Job(terms, names, spec.options, prepared.selection, torch, wanted.eps, wanted.clip, groups)


def _found(job: Job, wanted: Wanted, prepared: Prepared) -> Found:
    """Run the second pass, and write what `-o` asks for: files appear when all of it has gone well."""
    sources = job.sources()
    gradients = {source.name: job.gradient(source) for source in sources}
    if wanted.outputs and not sources:
        raise UsageError("-o writes gradients by inputs, and there is none.", hint="Add --wrt with an input.")
    fields = [Field(one.name, one.shape, one.dtype) for one in gradients.values()]
    memory = {one.name: MemorySink(replace(one, dtype=np.dtype(np.float64))) for one in fields if math.prod(one.shape) <= SMALL}
    ids, id_name = prepared.opened.ids, job.options.on or "id"
    with ExitStack() as stack:
        files = [stack.enter_context(opened(path, fields, ids, id_name)) for path in wanted.outputs]
        for name, gradient in gradients.items():
            gradient.sinks = [*(file[name] for file in files), *([memory[name]] if name in memory else [])]
            gradient.sinks += [Span()] if wanted.board else []
        job.run(sources, gradients)
    arrays = {name: sink.array for name, sink in memory.items()}
    return Found(gradients, arrays, job, wanted.precision, wanted.outputs)
