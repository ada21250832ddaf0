"""`identify`: which loss, reduction and parameters give a number that somebody reported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lossctl.advice import IDS
from lossctl.block import Selection
from lossctl.commands.asked import resolve
from lossctl.commands.identify_answer import Answer, nothing, odds, report
from lossctl.commands.opening import Opened, inputs_of, uses
from lossctl.errors import BadParameter, LossctlError, UsageError
from lossctl.files import Files
from lossctl.identification.job import Subject, identify
from lossctl.identification.ranking import rank
from lossctl.identification.reported import read_reported
from lossctl.losses import catalogue
from lossctl.spec import LossSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.commands.asked import Asked
    from lossctl.identification.reported import Reported
    from lossctl.loss import Loss
    from lossctl.report import Report
    from lossctl.spec import Spec

EXAMPLE = "lossctl identify --value 0.3655 PRED TARGET"
# What compute has and what would change nothing here.
NOT_HERE = ("by", "strict", "ignore", "min_coverage", "backend", "device")


@dataclass(frozen=True)
class Wanted:
    """The number that was reported, and how many candidates to show."""

    reported: Reported
    top: int

    @staticmethod
    def of(options: Any, sources: Sequence[str], typed: set[str]) -> Wanted:
        """Read the number.

        Raises: UsageError where it or the inputs are missing, or for an option that would change nothing; BadParameter.
        """
        if not options.value:
            raise UsageError("identify needs the number that was reported.", hint=f"Write: {EXAMPLE}")
        if not (sources or options.input):
            raise UsageError("identify needs the inputs that the number was computed from.", hint=f"Write: {EXAMPLE}")
        for name in NOT_HERE:
            if name in typed:
                message = f"--{name.replace('_', '-')} has no meaning for identify."
                raise UsageError(message, hint="Leave it out.")
        return Wanted(read_reported(options.value, options.rtol), options.top)


def run(spec: Spec, wanted: Wanted, say: Callable[[str], None], *, document: bool) -> tuple[Report, LossctlError | None]:
    """Try everything, and report what agrees; where nothing does, the nearest, and the error to exit with."""
    reported = wanted.reported
    files = Files(folder="", in_format=spec.options.in_format, say=say, header=spec.options.header)
    opened = Opened(files, spec.options, {})
    asked, subjects = _subjects(spec, opened)
    weights = opened.open(spec.options.weights, "weights") if spec.options.weights else None
    mask = opened.open(spec.options.mask, "mask") if spec.options.mask else None
    opened.check_rows(asked)
    for said in opened.unlike:
        say(f"{IDS.code} {said}")
    lenient = replace(spec.options, nan="propagate") if reported.value - reported.value else spec.options
    found = rank(identify(subjects, lenient, Selection(weights, mask)), reported)
    opened.say_how(say)
    say(odds(found, reported))
    answer = Answer(spec, reported, found, {one.loss.name: one for one in asked}, wanted.top)
    return report(answer, inputs_of(opened) if document else []), None if found.matches else nothing(answer)


def _subjects(spec: Spec, opened: Opened) -> tuple[list[Asked], list[Subject]]:
    """Every loss of the catalogue that takes the inputs, with the parameters that were typed.

    Raises: BadParameter for a parameter that no loss has, and the first error where no loss can open its inputs.
    """
    typed = dict(spec.losses[0].params)
    if spec.options.ignore_index is not None:
        typed["ignore_index"] = str(spec.options.ignore_index)
    named = set(spec.inputs)
    losses = [loss for loss in catalogue().values() if _takes(loss, named, len(spec.positional))]
    if not losses:
        count = len(spec.positional) + len(named)
        message = f"No loss of the catalogue takes these {count} inputs{_named(named)}."
        raise UsageError(message, hint=f"Write: {EXAMPLE}, and -i NAME=SOURCE for others.")
    known = {one.name: _parameters(one) for one in losses}
    for name in typed:
        if not any(name in names for names in known.values()):
            message = f"No loss of these inputs has a parameter '{name}'."
            raise BadParameter(message, hint="Leave it out.")
    wanted = tuple(LossSpec(one.name, {k: v for k, v in typed.items() if k in known[one.name]}) for one in losses)
    asked = resolve(replace(spec, losses=wanted, options=replace(spec.options, ignore_index=None)))
    # A loss calls an input by its own name, and what is left out of a block is the same for all.
    opened.files.uses = uses(asked[:1], spec.options)
    if spec.options.on:
        opened.join(asked)
    _opened(asked, opened, frozenset(typed))
    opened.settle(asked)
    return asked, _opened(asked, opened, frozenset(typed))


def _parameters(loss: Loss) -> set[str]:
    return {one.name for one in loss.signature.parameters} | {one.name for one in loss.signature.tensors}


def _named(names: set[str]) -> str:
    return f" with the names {', '.join(sorted(names))}" if names else ""


def _takes(loss: Loss, named: set[str], count: int) -> bool:
    """Whether a loss has all inputs that are named, and as many others as were given."""
    arrays = {one.name for one in loss.signature.arrays}
    free = [one.name for one in loss.signature.inputs if one.name not in named]
    return named <= arrays and len(free) == count


def _opened(asked: Sequence[Asked], opened: Opened, fixed: frozenset[str]) -> list[Subject]:
    found: list[Subject] = []
    errors: list[LossctlError] = []
    for one in asked:
        try:
            readers = {name: opened.open(given, name) for name, given in one.given.items()}
        except LossctlError as error:
            errors.append(error)
            continue
        found.append(Subject(one.loss, one.params, readers, fixed))
    if not found:
        raise errors[0]
    return found
