"""The warnings of an answer: every loss is looked at once its value is known, and the value stays what it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lossctl.advice import advise, check_codes, check_shares
from lossctl.errors import GateFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.advice import Warned
    from lossctl.commands.answer import Answer
    from lossctl.spec import Given


def warnings(answer: Answer, say: Callable[[str], None]) -> list[Warned]:
    """Find and say every warning once.

    Raises: UnknownName for a code to ignore that no warning has.
    """
    options = answer.spec.options
    check_codes(options.ignore)
    found: dict[Warned, None] = {}
    for one, bound, outcome in zip(answer.asked, answer.bounds, answer.outcomes, strict=True):
        typed = {name: _typed(given) for name, given in one.given.items()}
        found |= dict.fromkeys(advise(bound, outcome.value, options, typed))
    if answer.total is not None:
        found |= dict.fromkeys(check_shares(answer.shares(), options))
    for warned in found:
        say(f"{warned.code} {warned.message}")
    return list(found)


def _typed(given: Given) -> str:
    return json.dumps(given.value) if given.inline else given.text


def strict_error(answer: Answer, found: Sequence[Warned]) -> GateFailed | None:
    """The error that `--strict` makes of warnings."""
    if not answer.spec.options.strict or not found:
        return None
    codes = ", ".join(dict.fromkeys(warned.code for warned in found))
    return GateFailed(f"--strict turns warnings into failures: {codes}.", hint=f"lossctl info {found[0].code} explains it.")
