"""Warnings of the trade: the mistakes that data alone can show, found after the value and never changing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.errors import UnknownName, near
from lossctl.warnings import order, values
from lossctl.warnings.order import has_order
from lossctl.warnings.sight import Sight, Trap, Warned, look_at, warned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.reduce import Outcome
    from lossctl.request.options import Options

__all__ = ["ORDER", "TRAPS", "Sight", "Warned", "advise", "check_codes", "explain", "has_order"]

# A part of a weighted sum with more than this share leaves nothing to the others.
DOMINATES = 0.95
SHARES = Trap(
    "L041",
    "one term that is nearly all of a weighted sum",
    "The terms of a weighted sum live on different scales. One that makes more than 95 % of it is all that is trained. "
    "Weigh each term by the inverse of its usual size, or learn the weights (Kendall 2018, arXiv:1705.07115).",
    lambda _: "",
)
IDS = Trap(
    "L053",
    "rows with different ids are paired",
    "Two files have a column of ids of the same name, most ids are in both, and the same row holds different ones. Rows are "
    "paired by their order, so that predictions meet the targets of others: one row that is missing in one file moves all that "
    "follow. Leave out what only one file has, and join them by the column with --on.",
    lambda _: "",
)
ORDER = order.misaligned.code
# Those that are found by looking at one loss, and all.
LOOKS = [trap for module in (values, order) for trap in vars(module).values() if isinstance(trap, Trap)]
TRAPS = {trap.code: trap for trap in (*LOOKS, SHARES, IDS)}


def advise(bound: Bound, outcome: Outcome, options: Options, typed: Mapping[str, str]) -> list[Warned]:
    """Look for every trap that is not ignored. A look that fails finds nothing: it must not spoil a value."""
    sight = look_at(bound, outcome, options, typed)
    return warned([trap for trap in LOOKS if trap.code not in options.ignore], sight)


def check_shares(shares: Mapping[str, float | None], options: Options) -> list[Warned]:
    """Warn of a term that dominates a weighted sum of several."""
    if SHARES.code in options.ignore or len(shares) < 2:  # noqa: PLR2004 - one term is always all
        return []
    large = [(name, share) for name, share in shares.items() if share is not None and share > DOMINATES]
    return [Warned(SHARES.code, f"term {name} makes {share:.1%} of the sum") for name, share in large]


def check_ids(unlike: Sequence[str], options: Options) -> list[Warned]:
    """Warn of rows that are paired and have other ids; `unlike` says which."""
    return [] if IDS.code in options.ignore else [Warned(IDS.code, said) for said in unlike]


def check_codes(codes: tuple[str, ...]) -> None:
    """Refuse a code that no warning has.

    Raises: UnknownName.
    """
    for code in codes:
        explain(code)


def explain(code: str) -> Trap:
    """Return what a code stands for.

    Raises: UnknownName.
    """
    if code.upper() not in TRAPS:
        raise UnknownName(f"There is no warning '{code}'.", hint=near(code.upper(), TRAPS, "warnings"))
    return TRAPS[code.upper()]
