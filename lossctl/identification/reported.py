"""A number that somebody reported: what rounds to it, as it was typed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from lossctl.errors import BadParameter

# Sums taken in another order differ by this much; no number was ever typed with more digits on purpose.
NOISE = 1e-9
# How far apart two calculations in float32 may be.
SINGLE = 2e-6


@dataclass(frozen=True)
class Reported:
    """A reported number: all within `half` of `value` round to it."""

    text: str
    value: float
    half: float
    digits: int

    def agrees(self, value: float) -> bool:
        """Whether a value would be written so; infinities agree by their sign, and nan with nan."""
        if not math.isfinite(self.value):
            return value == self.value or (math.isnan(value) and math.isnan(self.value))
        return abs(value - self.value) <= max(self.half * (1 + NOISE), NOISE * abs(self.value))

    def agrees_singly(self, value: float) -> bool:
        """Whether a value agrees as far as float32 carries, although more digits were typed."""
        return math.isfinite(self.value) and abs(value - self.value) <= SINGLE * abs(self.value)

    def error(self, value: float) -> float:
        """How far off a value is as a share of the number; absolute where that is 0."""
        if self.agrees(value) and not math.isfinite(self.value):
            return 0.0
        return abs(value - self.value) / (abs(self.value) or 1.0)


def read_reported(text: str, rtol: float = 0.0) -> Reported:
    """Read a number with the digits that it was typed with; `rtol` widens what agrees.

    A whole 0 is exactly 0, since it would else agree with everything below a half.

    Raises: BadParameter for what is no number.
    """
    try:
        typed = Decimal(text.strip())
    except InvalidOperation:
        message = f"--value takes a number, not '{text}'."
        raise BadParameter(message, hint="For example: --value 0.3655") from None
    if not math.isfinite(rtol):
        message = f"--rtol is {rtol}, with which everything agrees."
        raise BadParameter(message, hint="Give a number such as 1e-3.")
    if not typed.is_finite():
        return Reported(text, float(typed), 0.0, 0)
    exponent = int(typed.as_tuple().exponent)
    exact = typed == 0 and exponent >= 0
    half = 0.0 if exact else float(Decimal((0, (5,), exponent - 1)))
    digits = 0 if exact else len(typed.as_tuple().digits)
    return Reported(text, float(typed), max(half, rtol * abs(float(typed))), digits)
