"""`merge`: sums that `compute --partial` wrote, added up without rounding: the same bits as one run over all samples."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from lossctl.cli.command import Printed, check_outputs, printed, say, spread
from lossctl.cli.program import app
from lossctl.errors import InputError, LossctlError, UnreadableFile
from lossctl.request.arguments import gates_of
from lossctl.request.options import Gating, Options, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from lossctl.commands.partial import LossSums, Partial, Totals
    from lossctl.engine.totals import LossTotals
    from lossctl.report import Report
    from lossctl.report.answer import Answer
    from lossctl.request.lookup import Asked
    from lossctl.request.spec import Spec
    from lossctl.statistics.sums import Sums


@dataclass(frozen=True, eq=False, repr=False)
class Merging(Gating, Options):
    """What `merge` takes."""

    takes: ClassVar = ("min_coverage", "allow_code")


@app.command()
@spread
def merge(
    partials: Annotated[list[str], typer.Argument(metavar="PARTIAL.json…", help="What compute --partial wrote.")],
    *,
    options: Merging,
    typed: set[str],
) -> Printed:
    """Add up partial results: the same bits as one run over all samples.

    Example: lossctl merge part1.json part2.json
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    check_outputs(options)
    report, error = run(partials, options, say(options), typed)
    return printed(report, options, error)


LISTED = 8


def run(
    paths: Sequence[str], options: Merging, say: Callable[[str], None], typed: Collection[str] = ()
) -> tuple[Report, LossctlError | None]:
    """Add up partial results; `typed` are the names of options that were given.

    Returns the report, and the error to exit with if a gate failed.

    Raises: MissingFile, UnreadableFile; InputError where parts are missing, doubled, or of different requests.
    """
    from lossctl.checking.judging import judged
    from lossctl.commands.partial import load
    from lossctl.request.lookup import resolve
    from lossctl.request.models import spec_of

    gates = tuple(gates_of(options))
    twice = [path for at, path in enumerate(paths) if path in paths[:at]]
    if twice:
        raise _doubled(twice[0])
    partials = {path: load(path) for path in paths}
    every = list(partials.values())
    spec, *_ = [spec_of(partial.request, path, allow_code=options.allow_code) for path, partial in partials.items()]
    alpha = options.alpha if "alpha" in typed else spec.alpha
    chosen = replace(spec.options, min_coverage=options.min_coverage)
    spec = replace(spec, options=chosen, gates=gates, against=options.against, alpha=alpha)
    _check_alike(partials)
    asked = resolve(spec)
    for partial in every:
        if len(partial.losses) != len(asked):
            message = f"A partial result holds sums of {len(partial.losses)} losses, but asks for {len(asked)}."
            raise UnreadableFile(message, hint="Compute the parts anew.")
    _check_contents(partials)
    for same in _sets(partials):
        _check_parts(same)
        _check_counts(same)
        _say_unsure(same, say)
    answer = _answer(spec, asked, every)
    warned = _unique([warning for partial in every for warning in partial.warnings])
    for item in warned:
        say(f"{item['code']} {item['message']}")
    result = _report(answer, every, warned)
    coverage = min(outcome.coverage for outcome in answer.outcomes)
    return judged(result, spec, answer.values(), coverage)


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
    from lossctl.request.models import now_called

    options = partial.request.get("options", {})
    backend = now_called(options.get("backend", "numpy"))
    options = {**{name: rows(Options)[name].source or value for name, value in options.items()}, "backend": backend}
    terms = [{name: item for name, item in term.items() if name != "inputs"} for term in partial.request.get("terms", ())]
    return partial.version, partial.request.get("losses"), terms, options


def _check_contents(partials: Mapping[str, Partial]) -> None:
    """Refuse sums that are not as they were written, or that contradict themselves.

    Raises: UnreadableFile.
    """
    names: dict[int, tuple[str, set[str]]] = {}
    for path, partial in partials.items():
        wrong = "" if partial.intact else "its contents are not what its checksum says"
        for at, loss in enumerate(partial.losses):
            wrong = wrong or _contradiction(loss)
            if loss.sums:
                first, known = names.setdefault(at, (path, set(loss.sums)))
                other = f"it has sums of {', '.join(sorted(loss.sums))}, and {first} of {', '.join(sorted(known))}"
                wrong = wrong or (other if set(loss.sums) != known else "")
        if wrong:
            message = f"'{path}' was changed, or cut off: {wrong}."
            raise UnreadableFile(message, hint=f"Compute it anew: --part {partial.part[0]}/{partial.part[1]} --partial {path}.")


def _contradiction(loss: LossSums) -> str:
    """What the sums of one loss say that cannot be."""
    for where, share in {"": loss, **{f" in group {name}": part for name, part in loss.groups.items()}}.items():
        if share.n and not share.sums.get("weight"):
            return f"there are {share.n} samples{where}, and no sums of them"
        if not share.n and any(totals and any(totals) for totals in share.sums.values()):
            return f"there are no samples{where}, and sums of some"
        totals = {name: sum(map(float, parts)) for name, parts in share.sums.items()}
        if totals.get("weight") == 0 and any(math.isfinite(total) and total for total in totals.values()):
            return f"the samples{where} weigh nothing, and have sums"
        if any(isinstance(total, float) and total < 0 for total in share.sums.get("weight", ())[-1:]):
            return f"the weights{where} are negative"
    if loss.groups and sum(part.n for part in loss.groups.values()) != loss.n:
        return f"its groups have {sum(part.n for part in loss.groups.values())} samples of {loss.n}"
    return ""


def _sets(partials: Mapping[str, Partial]) -> Iterable[dict[str, Partial]]:
    """The parts that were computed from the same samples, by their contents; copies on other machines have other names.

    Raises: InputError where the parts of one input were computed from different contents.
    """
    alike: dict[str, dict[str, Partial]] = defaultdict(dict)
    for path, partial in partials.items():
        alike[partial.content][path] = partial
    named: dict[tuple[str, ...], tuple[str, Partial, bool]] = {}
    for same in alike.values():
        path, first = next(iter(same.items()))
        complete = len({item.part[0] for item in same.values()}) == first.part[1]
        other, was, whole = named.setdefault(first.names, (path, first, complete))
        if was is not first and not (complete and whole):
            raise _apart(path, first, other, was)
    return alike.values()


def _apart(path: str, partial: Partial, other: str, first: Partial) -> InputError:
    """The error for two parts of one input that changed between them."""
    pairs = zip(partial.inputs, first.inputs, strict=True)
    changed = next((f"the {one.role} {one.source}" for one, was in pairs if one.content != was.content), "the groups")
    message = f"{path} and {other} are parts of the same request, but {changed} was another one when they were computed."
    return InputError(message, hint="Compute all parts anew from files that stay as they are.")


def _check_counts(same: Mapping[str, Partial]) -> None:
    """Refuse parts that hold more samples together than there are, or fewer.

    Raises: UnreadableFile.
    """
    for losses in zip(*(partial.losses for partial in same.values()), strict=True):
        seen, samples = sum(loss.n + loss.skipped for loss in losses), {loss.samples for loss in losses}
        if samples != {seen}:
            message = f"{', '.join(same)} hold {seen} samples together, of {' or '.join(map(str, sorted(samples)))}."
            raise UnreadableFile(message, hint="Compute the parts anew.")


def _say_unsure(same: Mapping[str, Partial], say: Callable[[str], None]) -> None:
    """Say where only stretches of large files were compared, and they were written at different times."""
    times: dict[str, set[int | None]] = defaultdict(set)
    for partial in same.values():
        for argument in partial.inputs:
            times[argument.source].add(argument.seen.modified)
    for source in (source for source, result in times.items() if len(result) > 1):
        say(f"{source} was written at different times for different parts; its size and what was compared of it agree")


def _check_parts(same: Mapping[str, Partial]) -> None:
    """Refuse parts that are missing or doubled.

    Raises: InputError.
    """
    result: dict[int, str] = {}
    counts = {partial.part[1] for partial in same.values()}
    names = [partial.names for partial in same.values()]
    if counts == {1} and len(set(names)) == len(names):
        # Shards under names of their own may hold the same numbers.
        return
    for path, partial in same.items():
        if partial.part[0] in result or len(counts) > 1:
            raise _doubled(path)
        result[partial.part[0]] = path
    parts = counts.pop()
    # A file may say that there are more parts than memory holds.
    lacking = (number for number in count(1) if number not in result)
    missing = [f"{number}/{parts}" for number in islice(lacking, min(parts - len(result), LISTED))]
    if missing:
        rest = parts - len(result) - len(missing)
        more = f" and {rest} more" if rest else ""
        sources = ", ".join(argument.source for argument in next(iter(same.values())).inputs)
        message = f"Of {sources} these parts are missing: {', '.join(missing)}{more}."
        raise InputError(message, hint=f"Compute them: --part {missing[0]} --partial FILE.")


def _doubled(path: str) -> InputError:
    message = f"{path} holds samples that another part holds too: they would count twice."
    return InputError(message, hint="Give each part once, all cut into the same number of parts.")


def _answer(spec: Spec, asked: Sequence[Asked], partials: Sequence[Partial]) -> Answer:
    from lossctl.engine.binding import Bound
    from lossctl.engine.reduce import outcome_of
    from lossctl.report.answer import Answer

    groups = sorted({name for partial in partials for loss in partial.losses for name in loss.groups})
    tallies = [_tally([partial.losses[at] for partial in partials], groups) for at in range(len(asked))]
    # Losses without their arrays, which are elsewhere.
    bounds = [
        Bound(loss.loss, loss.params, (), {}, tally.n, single=False, shape=())
        for loss, tally in zip(asked, tallies, strict=True)
    ]
    outcomes = [outcome_of(bound, tally, spec.options) for bound, tally in zip(bounds, tallies, strict=True)]
    return Answer(spec, asked, bounds, outcomes, groups, None)


def _tally(losses: Sequence[LossSums], groups: Sequence[str]) -> LossTotals:
    from lossctl.engine.totals import LossTotals

    codes = {name: code for code, name in enumerate(groups)}
    whole = LossTotals()
    for loss in losses:
        sums = {codes[name]: _sums(part.sums) for name, part in loss.groups.items()}
        counts = {codes[name]: part.n for name, part in loss.groups.items()}
        whole.merge(LossTotals(_sums(loss.sums), sums, counts, loss.n, loss.skipped))
    return whole


def _sums(numbers: Totals) -> Sums:
    from lossctl.statistics.sums import Sums

    result = Sums()
    for name, totals in numbers.items():
        for total in totals:
            result.add(name, float(total))
    return result


def _unique(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({json.dumps(item, sort_keys=True): item for item in items}.values())


def _report(answer: Answer, partials: Iterable[Partial], warned: Sequence[dict[str, Any]]) -> Report:
    """The report of the same request in one run. What it was computed from is named as typed; nothing was read again."""
    from lossctl.report.answer import report

    named = _unique([argument.model_dump() for partial in partials for argument in partial.inputs])
    inputs = [
        {
            "role": item["role"],
            "path": item["source"],
            "key": None,
            "shape": item["shape"],
            "dtype": item["dtype"],
            "sha256": None,
        }
        for item in named
    ]
    result = report(answer, (), inputs)
    document = {**result.document, "command": "merge", "warnings": warned}
    return replace(result, document={name: item for name, item in document.items() if name != "request"})
