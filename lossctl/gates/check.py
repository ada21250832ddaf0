"""What came of a gate, and the error to exit with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lossctl.errors import GateFailed, LossctlError, Undecided

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIELDS = ("key", "kind", "bound", "value", "passed", "message")
WORDS = {True: "passed", False: "failed", None: "undecided"}


@dataclass(frozen=True)
class Check:
    """A gate that was looked at; `passed` is None where the data cannot decide it.

    `more` is what it was decided on besides the value; `hint` is the command that would decide it.
    """

    key: str
    kind: str
    bound: float
    value: float
    passed: bool | None
    message: str
    more: Mapping[str, Any] = field(default_factory=dict)
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the result's `checks`."""
        hint = {"hint": self.hint} if self.hint else {}
        return {**{name: getattr(self, name) for name in FIELDS}, **self.more, **hint}


def verdict(checks: Sequence[Check]) -> LossctlError | None:
    """The error to exit with: a failed gate before one that is undecided, and None when all passed."""
    failed = [check for check in checks if check.passed is False]
    undecided = [check for check in checks if check.passed is None]
    if not failed and not undecided:
        return None
    kind, said = (GateFailed, failed) if failed else (Undecided, undecided)
    hint = next((check.hint for check in said if check.hint), "")
    return kind("; ".join(check.message for check in said) + ".", hint=hint)
