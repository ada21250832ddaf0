"""`merge`: sums that `compute --partial` wrote, added up without rounding: the same bits as one run over all samples."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lossctl.binding import Bound
from lossctl.commands.again import spec_of
from lossctl.commands.answer import Answer, report
from lossctl.commands.asked import resolve
from lossctl.commands.judging import judged
from lossctl.commands.partial_file import load
from lossctl.engine import outcome_of
from lossctl.errors import InputError, UnreadableFile
from lossctl.sums import Sums
from lossctl.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lossctl.commands.asked import Asked
    from lossctl.commands.partial_file import LossSums, Partial, Totals
    from lossctl.errors import LossctlError
    from lossctl.report import Report
    from lossctl.spec import Gate, Spec

LISTED = 8
# Options that name files, of which every part may have its own.
SOURCES = {"by", "weights", "mask"}


@dataclass(frozen=True)
class Wanted:
    """Gates for the merged result, and what they are judged by."""

    gates: Sequence[Gate] = ()
    against: str = ""
    alpha: float | None = None
    min_coverage: float = 0.0
    allow_code: bool = False


def run(paths: Sequence[str], wanted: Wanted, say: Callable[[str], None]) -> tuple[Report, LossctlError | None]:
    """Add up partial results. Returns the report, and the error to exit with if a gate failed.

    Raises: MissingFile, UnreadableFile; InputError where parts are missing, doubled, or of different requests.
    """
    twice = [path for at, path in enumerate(paths) if path in paths[:at]]
    if twice:
        raise _doubled(twice[0])
    partials = {path: load(path) for path in paths}
    _check_alike(partials)
    _check_complete(partials)
    every = list(partials.values())
    spec = _spec(paths[0], every[0], wanted)
    answer = _answer(spec, every)
    warned = _unique([one for partial in every for one in partial.warnings])
    for one in warned:
        say(f"{one['code']} {one['message']}")
    found = _report(answer, every, warned)
    coverage = min(outcome.coverage for outcome in answer.outcomes)
    return judged(found, spec, answer.values(), coverage)


def _spec(name: str, first: Partial, wanted: Wanted) -> Spec:
    """The request that the parts share, with gates.

    Raises: UnreadableFile if it is none.
    """
    spec = spec_of(first.request, name, allow_code=wanted.allow_code)
    options = replace(spec.options, min_coverage=wanted.min_coverage)
    alpha = spec.alpha if wanted.alpha is None else wanted.alpha
    return replace(spec, options=options, gates=tuple(wanted.gates), against=wanted.against, alpha=alpha)


def _check_alike(partials: Mapping[str, Partial]) -> None:
    """Refuse sums of different losses, options or versions.

    Raises: InputError.
    """
    (path, first), *others = partials.items()
    for other, partial in others:
        if _computed(partial) != _computed(first):
            message = f"{other} was computed as {partial.signature}, but {path} as {first.signature}."
            raise InputError(message, hint="Compute all parts with the same command and the same version.")


def _computed(partial: Partial) -> Any:
    """What was computed, wherever the samples, their weights and their groups come from."""
    options = partial.request.get("options", {})
    options = {name: name in SOURCES or value for name, value in options.items()}
    terms = [{name: item for name, item in term.items() if name != "inputs"} for term in partial.request.get("terms", ())]
    return partial.version, partial.request.get("losses"), terms, options


def _check_complete(partials: Mapping[str, Partial]) -> None:
    """Refuse parts that are missing or doubled.

    Raises: InputError.
    """
    alike: dict[str, dict[str, Partial]] = defaultdict(dict)
    for path, partial in partials.items():
        alike[partial.samples][path] = partial
    for same in alike.values():
        _check_parts(same)


def _check_parts(same: Mapping[str, Partial]) -> None:
    found: dict[int, str] = {}
    counts = {partial.part[1] for partial in same.values()}
    for path, partial in same.items():
        if partial.part[0] in found or len(counts) > 1:
            raise _doubled(path)
        found[partial.part[0]] = path
    parts = counts.pop()
    missing = [f"{number}/{parts}" for number in range(1, parts + 1) if number not in found]
    if missing:
        more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
        sources = ", ".join(one.source for one in next(iter(same.values())).inputs)
        message = f"Of {sources} these parts are missing: {', '.join(missing[:LISTED])}{more}."
        raise InputError(message, hint=f"Compute them: --part {missing[0]} --partial FILE.")


def _doubled(path: str) -> InputError:
    message = f"{path} holds samples that another part holds too: they would count twice."
    return InputError(message, hint="Give each part once, all cut into the same number of parts.")


def _answer(spec: Spec, partials: Sequence[Partial]) -> Answer:
    asked = resolve(spec)
    _check_losses(asked, partials)
    groups = sorted({name for one in partials for loss in one.losses for name in loss.groups})
    tallies = [_tally([one.losses[at] for one in partials], groups) for at in range(len(asked))]
    bounds = [_unbound(one, tally) for one, tally in zip(asked, tallies, strict=True)]
    outcomes = [outcome_of(bound, tally, spec.options) for bound, tally in zip(bounds, tallies, strict=True)]
    return Answer(spec, asked, bounds, outcomes, groups, None)


def _unbound(one: Asked, tally: Tally) -> Bound:
    """The loss without its arrays, which are elsewhere."""
    return Bound(one.loss, one.params, (), {}, tally.n, single=False, shape=())


def _check_losses(asked: Sequence[Asked], partials: Iterable[Partial]) -> None:
    for partial in partials:
        if len(partial.losses) != len(asked):
            message = f"A partial result holds sums of {len(partial.losses)} losses, but asks for {len(asked)}."
            raise UnreadableFile(message, hint="Compute the parts anew.")


def _tally(losses: Sequence[LossSums], groups: Sequence[str]) -> Tally:
    codes = {name: code for code, name in enumerate(groups)}
    whole = Tally()
    for loss in losses:
        sums = {codes[name]: _sums(part.sums) for name, part in loss.groups.items()}
        counts = {codes[name]: part.n for name, part in loss.groups.items()}
        whole.merge(Tally(_sums(loss.sums), sums, counts, loss.n, loss.skipped))
    return whole


def _sums(numbers: Totals) -> Sums:
    found = Sums()
    for name, totals in numbers.items():
        for total in totals:
            found.add(name, float(total))
    return found


def _unique(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({json.dumps(one, sort_keys=True): one for one in items}.values())


def _report(answer: Answer, partials: Iterable[Partial], warned: Sequence[dict[str, Any]]) -> Report:
    """The report of the same request in one run. What it was computed from is named as typed; nothing was read again."""
    named = _unique([one.model_dump() for partial in partials for one in partial.inputs])
    inputs = [
        {"role": one["role"], "path": one["source"], "key": None, "shape": one["shape"], "dtype": one["dtype"], "sha256": None}
        for one in named
    ]
    found = report(answer, (), inputs)
    document = {**found.document, "command": "merge", "warnings": warned}
    return replace(found, document={name: item for name, item in document.items() if name != "request"})
