"""Sets of losses, `@regression`: those of a task that the inputs fit. The others are left out, and said.

Which shapes and options fit is seen where inputs are opened. Whether values fit shows in the pass that computes: a member of a
set that refuses them ends alone there.

`compute`: open the inputs, bind every loss, fold once, and put the answer into a report.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from lossctl.engine.opening import fits_none
from lossctl.errors import UsageError
from lossctl.request.spec import LossSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.engine.block import Selection
    from lossctl.engine.opening import Prepared
    from lossctl.errors import LossctlError
    from lossctl.request.spec import Spec


class Fitting(Protocol):
    """What a loss came to, or why it refuses the values."""

    @property
    def unfit(self) -> LossctlError | None:
        """The error of a member of a set that does not fit; the rest then means nothing."""


Computed = TypeVar("Computed", bound=Fitting)


def without(
    every: Sequence[Prepared], rows: Sequence[Sequence[Computed]], say: Callable[[str], None]
) -> tuple[list[Prepared], list[list[Computed]]]:
    """Leave out the members of sets that refused the values of some request; `rows` hold what each request came to.

    Raises: as `_say` where nothing is left.
    """
    if not any(bound.optional for one in every for bound in one.bounds):
        return [*every], [[*row] for row in rows]
    unfit = [any(row[at].unfit for row in rows) for at in range(len(rows[0]))]
    _say(every[0], unfit, [one.unfit for row in rows for one in row if one.unfit], say)
    return [_kept(one, unfit) for one in every], [[one for one, out in zip(row, unfit, strict=True) if not out] for row in rows]


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


def _say(prepared: Prepared, unfit: Sequence[bool], errors: Sequence[LossctlError], say: Callable[[str], None]) -> None:
    """Say what is left out, whatever the reason.

    Raises: the error that all losses have in common where none is left, or UsageError.
    """
    kept = {one.loss.name for one, out in zip(prepared.asked, unfit, strict=True) if not out}
    if not kept:
        known = {error.message: error for error in errors}
        raise next(iter(known.values())) if len(known) == 1 else fits_none(prepared.asked[0].of)
    if left := [name for name in prepared.members if name not in kept]:
        say(f"left out, since the inputs do not fit them: {', '.join(left)}")


def grouped(prepared: Prepared) -> tuple[Selection, Sequence[str]]:
    """The selection with its groups.

    Raises: UsageError for a loss that couples samples.
    """
    if prepared.groups is None:
        return prepared.selection, ()
    whole = [bound.loss.name for bound in prepared.bounds if bound.loss.whole]
    if whole:
        message = f"{whole[0]} couples all samples, so that its groups cannot be told apart in one pass."
        raise UsageError(message, hint="Leave out --by, or give it one group's samples.")
    return replace(prepared.selection, groups=prepared.groups.codes), prepared.groups.names
