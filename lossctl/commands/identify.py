"""`identify`: which loss, reduction and parameters give a number that somebody reported."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lossctl import __version__
from lossctl.cli.command import Printed, check_outputs, printed, say, spread, wants_document
from lossctl.cli.program import Sources, app
from lossctl.errors import BadParameter, LossctlError, Undecided, UsageError
from lossctl.report import Report, status
from lossctl.request.arguments import compute_spec
from lossctl.request.options import HOW, INPUT, RESULT, Asking, Options, option
from lossctl.request.spec import LossSpec, Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lossctl.engine.opening import Opened
    from lossctl.guides.identify.job import Subject
    from lossctl.guides.identify.ranking import Candidate, Match, Ranked, Reported
    from lossctl.losses.loss import Loss
    from lossctl.request.lookup import Asked


@dataclass(frozen=True, eq=False, repr=False)
class Identifying(Options, Asking):
    """What `identify` takes."""

    value: str = option("", "--value X", INPUT, "The reported number, with all its digits.")
    rtol: float = option(0.0, "--rtol X", HOW, "Also match what is this close.", min=0)
    top: int = option(10, "--top N", RESULT, "How many candidates to show.", min=1)


@app.command()
@spread
def identify(sources: Sources = [], *, options: Identifying, typed: set[str]) -> Printed:  # noqa: B006
    """Find out which loss, reduction and parameters give a reported number.

    Example: lossctl identify --value 0.3655 pred.npy target.npy
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    check_outputs(options)
    reported = reported_of(options, sources, typed)
    spec = compute_spec(["mse", *sources], options, typed)
    report, error = run(spec, reported, say(options), top=options.top, document=wants_document(options))
    return printed(report, options, error)


EXAMPLE = "lossctl identify --value 0.3655 PRED TARGET"
# What compute has and what would change nothing here.
NOT_HERE = ("by", "strict", "ignore", "min_coverage", "backend", "device")


def reported_of(options: Identifying, sources: Sequence[str], typed: set[str]) -> Reported:
    """Read the number that was reported.

    Raises: UsageError where it or the inputs are missing, or for an option that would change nothing; BadParameter.
    """
    from lossctl.guides.identify.ranking import read_reported

    if not options.value:
        raise UsageError("identify needs the number that was reported.", hint=f"Write: {EXAMPLE}")
    if not (sources or options.input):
        raise UsageError("identify needs the inputs that the number was computed from.", hint=f"Write: {EXAMPLE}")
    for name in NOT_HERE:
        if name in typed:
            raise UsageError(f"--{name.replace('_', '-')} has no meaning for identify.", hint="Leave it out.")
    return read_reported(options.value, options.rtol)


def run(
    spec: Spec, reported: Reported, say: Callable[[str], None], *, top: int, document: bool
) -> tuple[Report, LossctlError | None]:
    """Try everything, and report the `top` that agree; where nothing does, the nearest, and the error to exit with."""
    from lossctl.engine.block import Selection
    from lossctl.engine.opening import Opened, inputs_of
    from lossctl.guides.identify.job import identify
    from lossctl.guides.identify.ranking import rank
    from lossctl.sources.files import Files
    from lossctl.warnings import IDS

    files = Files(folder="", in_format=spec.options.in_format, say=say, header=spec.options.header)
    opened = Opened(files, spec.options, {})
    asked, subjects = _subjects(spec, opened)
    weights = opened.open(spec.options.weights, "weights") if spec.options.weights else None
    mask = opened.open(spec.options.mask, "mask") if spec.options.mask else None
    opened.check_rows(asked)
    for said in opened.unlike:
        say(f"{IDS.code} {said}")
    lenient = replace(spec.options, nan="propagate") if reported.value - reported.value else spec.options
    ranked = rank(identify(subjects, lenient, Selection(weights, mask)), reported)
    opened.say_how(say)
    say(odds(ranked, reported))
    answer = Identified(spec, reported, ranked, {loss.loss.name: loss for loss in asked}, top)
    return report(answer, inputs_of(opened) if document else []), None if ranked.matches else nothing(answer)


def _subjects(spec: Spec, opened: Opened) -> tuple[list[Asked], list[Subject]]:
    """Every loss of the catalogue that takes the inputs, with the parameters that were typed.

    Raises: BadParameter for a parameter that no loss has, and the first error where no loss can open its inputs.
    """
    from lossctl.engine.opening import uses
    from lossctl.losses import catalogue
    from lossctl.request.lookup import resolve

    typed = dict(spec.losses[0].params)
    if spec.options.ignore_index is not None:
        typed["ignore_index"] = str(spec.options.ignore_index)
    named = set(spec.inputs)
    losses = [loss for loss in catalogue().values() if _takes(loss, named, len(spec.positional))]
    if not losses:
        names = f" with the names {', '.join(sorted(named))}" if named else ""
        message = f"No loss of the catalogue takes these {len(spec.positional) + len(named)} inputs{names}."
        raise UsageError(message, hint=f"Write: {EXAMPLE}, and -i NAME=SOURCE for others.")
    known = {loss.name: _parameters(loss) for loss in losses}
    for name in typed:
        if not any(name in parameters for parameters in known.values()):
            raise BadParameter(f"No loss of these inputs has a parameter '{name}'.", hint="Leave it out.")
    wanted = tuple(LossSpec(loss.name, {k: v for k, v in typed.items() if k in known[loss.name]}) for loss in losses)
    asked = resolve(replace(spec, losses=wanted, options=replace(spec.options, ignore_index=None)))
    # A loss calls an input by its own name, and what is left out of a block is the same for all.
    opened.files.uses = uses(asked[:1], spec.options)
    if spec.options.on:
        opened.join(asked)
    _opened(asked, opened, frozenset(typed))
    opened.settle(asked)
    return asked, _opened(asked, opened, frozenset(typed))


def _parameters(loss: Loss) -> set[str]:
    return {number.name for number in loss.signature.parameters} | {tensor.name for tensor in loss.signature.tensors}


def _takes(loss: Loss, named: set[str], count: int) -> bool:
    """Whether a loss has all inputs that are named, and as many others as were given."""
    arrays = {argument.name for argument in loss.signature.arrays}
    free = [argument.name for argument in loss.signature.inputs if argument.name not in named]
    return named <= arrays and len(free) == count


def _opened(asked: Sequence[Asked], opened: Opened, fixed: frozenset[str]) -> list[Subject]:
    from lossctl.guides.identify.job import Subject

    subjects: list[Subject] = []
    errors: list[LossctlError] = []
    for wanted in asked:
        try:
            readers = {name: opened.open(given, name) for name, given in wanted.given.items()}
        except LossctlError as error:
            errors.append(error)
            continue
        subjects.append(Subject(wanted.loss, wanted.params, readers, fixed))
    if not subjects:
        raise errors[0]
    return subjects


COLUMNS = ("loss", "departs", "value", "error", "chance", "command")
# How many that do not agree are shown where none does, and how many other ways to the same number are named.
NEAREST, NAMED = 3, 3
# A command with more class weights than this is no line.
WEIGHTS = 12
# Options that say how inputs are read, as a command has to repeat them.
SAID = (
    "class_dim",
    "label_offset",
    "squeeze",
    "broadcast",
    "nan",
    "domain",
    "dtype",
    "on",
    "row_order",
    "in_format",
    "weights",
    "mask",
)


@dataclass(frozen=True)
class Identified:
    """Everything that was found: what was asked by loss, and at most `top` candidates to show."""

    spec: Spec
    reported: Reported
    ranked: Ranked
    asked: Mapping[str, Asked]
    top: int

    @property
    def shown(self) -> Sequence[Match]:
        """The matches; where there are none, the nearest."""
        return (self.ranked.matches or self.ranked.nearest[:NEAREST])[: self.top]


def report(answer: Identified, inputs: Sequence[Mapping[str, Any]]) -> Report:
    """Put an answer into a report: one row a candidate, with other ways to the same number below."""
    rows = [_row(match, answer) for match in answer.shown]
    ways = [row for match in answer.shown for row in _ways(match)]
    more = [Report(("value", "as", "written"), ways, title="The same numbers otherwise")] if ways else []
    return Report(COLUMNS, rows, _document(answer, inputs), bare="loss", more=more)


def odds(ranked: Ranked, reported: Reported) -> str:
    """How much a match means: few digits agree with much."""
    tried = f"{ranked.tried} candidates with {ranked.distinct} different values"
    if ranked.chance is None:
        return f"tried {tried}"
    digits = f"{reported.digits} digit{'' if reported.digits == 1 else 's'}"
    warning = "; more digits would tell them apart" if ranked.chance > 1 else ""
    return f"tried {tried}; by chance about {ranked.chance:.2g} of them would agree with {digits}{warning}"


def nothing(answer: Identified) -> Undecided:
    """The error of a number that nothing gives."""
    nearest = ", ".join(f"{_title(match.candidate)} {match.candidate.value:.6g}" for match in answer.ranked.nearest[:NEAREST])
    message = f"Nothing in the catalogue gives {answer.reported.text}; nearest: {nearest or 'none that is finite'}."
    return Undecided(message, hint="If the number was cut off, or computed less precisely, widen it: --rtol 1e-3.")


def _title(candidate: Candidate) -> str:
    departs = ", ".join(candidate.says)
    return f"{candidate.trial.bound.loss.name} ({departs})" if departs else candidate.trial.bound.loss.name


def _row(match: Match, answer: Identified) -> dict[str, Any]:
    candidate = match.candidate
    return {
        "loss": candidate.trial.bound.loss.name,
        "departs": ", ".join(candidate.says) or "nothing",
        # All digits, also where people read them.
        "value": repr(candidate.value),
        "error": match.error,
        "chance": match.chance,
        "command": command(candidate, answer),
    }


def _ways(match: Match) -> Iterable[dict[str, Any]]:
    """Lines of other frameworks, and other candidates with the same value."""
    from lossctl.guides.identify.ranking import lines

    value = f"{match.candidate.value:.6g}"
    for line in lines(match.candidate):
        yield {"value": value, "as": "Python", "written": line}
    for candidate in match.same[:NAMED]:
        yield {"value": value, "as": "loss", "written": _title(candidate)}
    if len(match.same) > NAMED:
        yield {"value": value, "as": "", "written": f"and {len(match.same) - NAMED} more"}


def _document(answer: Identified, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    reported, ranked = answer.reported, answer.ranked
    return {
        "schema": "lossctl/identify/1",
        "version": __version__,
        "reported": {
            "text": reported.text,
            "value": reported.value,
            "status": status(reported.value),
            "digits": reported.digits,
            "within": reported.half,
        },
        "inputs": list(inputs),
        "tried": ranked.tried,
        "distinct": ranked.distinct,
        "by_chance": ranked.chance,
        "matches": len(ranked.matches),
        "candidates": [_candidate(match, answer) for match in answer.shown],
    }


def _candidate(match: Match, answer: Identified) -> dict[str, Any]:
    from lossctl.guides.identify.ranking import lines

    candidate = match.candidate
    return {
        "match": bool(answer.ranked.matches),
        "loss": candidate.trial.bound.loss.name,
        "params": dict(candidate.trial.bound.params),
        "tensors": {name: list(values) for name, values in candidate.trial.change.tensors.items()},
        "departs": list(candidate.says),
        "value": candidate.value,
        "status": status(candidate.value),
        "relative_error": match.error,
        "by_chance": match.chance,
        "command": command(candidate, answer) or None,
        "python": lines(candidate),
        "same": [{"loss": same.trial.bound.loss.name, "departs": list(same.says)} for same in match.same],
    }


def command(candidate: Candidate, answer: Identified) -> str:
    """The command that gives a candidate's value; empty where there is none."""
    trial, spec = candidate.trial, answer.spec
    long = any(len(values) > WEIGHTS for values in trial.change.tensors.values())
    swapped = trial.reading.swapped and bool(spec.inputs)
    if candidate.reduced.reduction is None or not trial.reading.told or long or swapped:
        return ""
    sources = [given.text for given in spec.positional]
    named = [f"{name}={given.text}" for name, given in spec.inputs.items()]
    words = ["lossctl", "compute", _loss(candidate, answer), *(sources[::-1] if trial.reading.swapped else sources)]
    words += [word for name in named for word in ("-i", name)]
    words += [word for name in SAID for word in _option_line(name, getattr(trial.reading.options, name))]
    words += ["--reduction", candidate.reduced.reduction] if candidate.reduced.reduction != "mean" else []
    return shlex.join(words)


def _loss(candidate: Candidate, answer: Identified) -> str:
    """The loss with all that differs from its defaults, typed and tried."""
    from lossctl.request.lookup import brief

    trial = candidate.trial
    loss, typed = trial.bound.loss, answer.asked[trial.bound.loss.name]
    own = {**typed.params, **trial.change.params}
    said = [f"{p.name}={brief(own[p.name])}" for p in loss.signature.parameters if own[p.name] != p.default]
    said += [
        f"{tensor.name}={brief(typed.given[tensor.name])}"
        for tensor in loss.signature.tensors
        if tensor.name in typed.given and tensor.name not in answer.spec.inputs
    ]
    said += [f"{name}={brief(list(values))}" for name, values in trial.change.tensors.items()]
    return f"{loss.name}:{','.join(said)}" if said else loss.name


def _option_line(name: str, value: Any) -> list[str]:
    """An option as it is typed, where it is not at its default."""
    if value == getattr(Options, name):
        return []
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return [flag]
    return [f"{flag}={value.text if hasattr(value, 'text') else value}"]
