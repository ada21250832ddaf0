"""Sets of losses, `@regression`: those of a task that the inputs fit. The others are left out, and said.

Shapes and options are asked before anything is read. Whether values fit shows in the pass that computes: a member of a set that
refuses them ends alone there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lossctl.backends import BACKENDS
from lossctl.binding import bind
from lossctl.cutting import elements_of
from lossctl.engine import check_asked, evaluate, keep_of
from lossctl.errors import LossctlError, UsageError
from lossctl.spec import LossSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.block import Selection
    from lossctl.blocks import Reader
    from lossctl.commands.asked import Asked
    from lossctl.commands.opening import Prepared
    from lossctl.engine import Outcome
    from lossctl.spec import Options, Spec

Readers = dict[str, "Reader"]


def fitting(
    asked: Sequence[Asked], readers: Sequence[Readers], options: Options, selection: Selection
) -> tuple[list[Asked], list[Readers]]:
    """Leave out the members of sets whose signatures the inputs do not fit; what was asked for by name stays, and may fail.

    Raises: UsageError where nothing is left.
    """
    pairs = [(one, own) for one, own in zip(asked, readers, strict=True) if not one.of or _fits(one, own, options, selection)]
    if not pairs:
        raise _nothing(asked[0].of)
    return [one for one, _ in pairs], [own for _, own in pairs]


def _fits(one: Asked, readers: Mapping[str, Reader], options: Options, selection: Selection) -> bool:
    """Whether a loss takes these shapes under these options; no value is looked at."""
    try:
        bound = bind(one.loss, readers, one.params, options)
        check_asked([bound], options, selection, keep_of(options))
        elements_of(bound, options)
    except LossctlError:
        return False
    return True


def without_unfit(every: Sequence[Prepared], options: Options, say: Callable[[str], None]) -> list[Prepared]:
    """Leave out what does not fit the values of some request, found out by a pass of its own over them."""
    bounds = [bound for one in every for bound in one.bounds]
    if not any(bound.optional for bound in bounds):
        return [*every]
    plain = replace(options, per_sample=False, worst=0, best=0, stats=False)
    outcomes = iter(evaluate(bounds, BACKENDS.get(options.backend)(), plain, every[0].selection))
    found = [[next(outcomes) for _ in one.bounds] for one in every]
    unfit = [any(row[at].unfit for row in found) for at in range(len(found[0]))]
    _say(every[0], unfit, [outcome for row in found for outcome in row], say)
    return [_kept(one, unfit) for one in every]


def without(prepared: Prepared, outcomes: Sequence[Outcome], say: Callable[[str], None]) -> tuple[Prepared, list[Outcome]]:
    """Leave out the losses that have no outcome, since the values do not fit them."""
    unfit = [outcome.unfit is not None for outcome in outcomes]
    _say(prepared, unfit, outcomes, say)
    return _kept(prepared, unfit), [one for one in outcomes if one.unfit is None]


def spelt_out(spec: Spec, prepared: Prepared, say: Callable[[str], None]) -> tuple[Spec, Prepared]:
    """A request with the losses of sets by their names, as every part of it has to compute the same ones.

    Which these are is decided by shapes alone, and none of them couples samples; values that one refuses are an error.
    """
    if not prepared.members:
        return spec, prepared
    coupled = [bound.optional and bound.loss.whole for bound in prepared.bounds]
    _say(prepared, coupled, (), say)
    prepared = _kept(prepared, coupled)
    members = {one.name: [LossSpec(asked.loss.name) for asked in prepared.asked if asked.of == one.name] for one in spec.losses}
    losses = tuple(loss for one in spec.losses for loss in (members[one.name] if one.name.startswith("@") else [one]))
    return replace(spec, losses=losses), prepared


def _kept(prepared: Prepared, unfit: Sequence[bool]) -> Prepared:
    places = [at for at, out in enumerate(unfit) if not out]
    bounds = [replace(prepared.bounds[at], optional=False) for at in places]
    return replace(prepared, asked=[prepared.asked[at] for at in places], bounds=bounds)


def _say(prepared: Prepared, unfit: Sequence[bool], outcomes: Sequence[Outcome], say: Callable[[str], None]) -> None:
    """Say what is left out, whatever the reason.

    Raises: the error that all losses have in common where none is left, or UsageError.
    """
    kept = {one.loss.name for one, out in zip(prepared.asked, unfit, strict=True) if not out}
    if not kept:
        errors = {outcome.unfit.message: outcome.unfit for outcome in outcomes if outcome.unfit}
        raise next(iter(errors.values())) if len(errors) == 1 else _nothing(prepared.asked[0].of)
    if left := [name for name in prepared.members if name not in kept]:
        say(f"left out, since the inputs do not fit them: {', '.join(left)}")


def _nothing(name: str) -> UsageError:
    return UsageError(f"The inputs fit no loss of {name}.", hint="Name one loss to see why.")
