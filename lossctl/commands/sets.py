"""Sets of losses, `@regression`: those of a task that the inputs fit. The others are left out, and said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.backends import BACKENDS
from lossctl.binding import bind
from lossctl.block import Selection
from lossctl.engine import evaluate
from lossctl.errors import LossctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.blocks import Reader
    from lossctl.commands.asked import Asked
    from lossctl.spec import Options

Readers = dict[str, "Reader"]


def fitting(
    asked: Sequence[Asked], readers: Sequence[Readers], options: Options, say: Callable[[str], None]
) -> tuple[list[Asked], list[Readers]]:
    """Leave out the members of sets that the inputs do not fit; what was asked for by name stays, and may fail.

    Raises: UsageError where nothing is left.
    """
    pairs = list(zip(asked, readers, strict=True))
    kept = [(one, own) for one, own in pairs if not one.of or _fits(one, own, options)]
    names = {id(one) for one, _ in kept}
    left = [one.loss.name for one in asked if id(one) not in names]
    if not kept:
        message = f"The inputs fit no loss of {asked[0].of}."
        raise UsageError(message, hint="Name one loss to see why.")
    if left:
        say(f"left out, since the inputs do not fit them: {', '.join(left)}")
    return [one for one, _ in kept], [own for _, own in kept]


def _fits(one: Asked, readers: Mapping[str, Reader], options: Options) -> bool:
    try:
        evaluate([bind(one.loss, readers, one.params, options)], BACKENDS.get("numpy")(), options, Selection())
    except LossctlError:
        return False
    return True
