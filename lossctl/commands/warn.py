"""The warnings of an answer: every loss is looked at once its value is known, and the value stays what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lossctl.advice import ORDER, advise, check_codes, check_ids, check_shares, has_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.advice import Warned
    from lossctl.commands.answer import Answer
    from lossctl.spec import Given


def warnings(answer: Answer, say: Callable[[str], None], unlike: Sequence[str] = ()) -> list[Warned]:
    """Find and say every warning once; `unlike` says where rows that are paired have other ids.

    Raises: UnknownName for a code to ignore that no warning has.
    """
    options = answer.spec.options
    check_codes(options.ignore)
    found: dict[Warned, None] = {}
    paired: set[tuple[str, ...]] = set()
    for one, bound, outcome in zip(answer.asked, answer.bounds, answer.outcomes, strict=True):
        typed = {name: _typed(given) for name, given in one.given.items()}
        rows = tuple(typed[argument.name] for argument in bound.loss.signature.inputs)
        # The order of rows belongs to inputs, not to losses: one loss looks at it, and the others say nothing again.
        own = replace(options, ignore=(*options.ignore, ORDER)) if rows in paired else options
        found |= dict.fromkeys(advise(bound, outcome, own, typed))
        paired |= {rows} if has_order(bound, options) else set()
    if answer.total is not None:
        found |= dict.fromkeys(check_shares(answer.shares(), options))
    found |= dict.fromkeys(check_ids(unlike, options))
    for warned in found:
        say(f"{warned.code} {warned.message}")
    return list(found)


def _typed(given: Given) -> str:
    if not given.inline:
        return given.text
    import json

    return json.dumps(given.value)
