"""What number formats of fewer bits do to a gradient: what becomes zero, what overflows, and which scale saves it.

A loss scale multiplies the loss, and so every gradient, before the backward pass, and is divided out before the step
(Micikevicius 2018, arXiv:1710.03740; torch.amp.GradScaler). Thresholds are powers of two, for which a profile counts exactly;
only the share that overflows may be off by the elements within 1/64 of an octave of the limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.gradient.profile import bins

if TYPE_CHECKING:
    from lossctl.gradient.profile import Profile

# What a scale should save of the elements that are not zero.
SAVED = 0.999
# torch.amp.GradScaler begins here.
INITIAL = 65536.0
# Exponents of doubles: what is added to them in their bits, and their range.
BIAS, LEAST, MOST = 1023, -1074, 1023


@dataclass(frozen=True)
class Format:
    """A binary format: exponents of its smallest and smallest normal number, and from where on it rounds to infinity."""

    least: int
    normal: int
    overflow: float


FORMATS = {
    "fp16": Format(-24, -14, 65520.0),
    "bf16": Format(-133, -126, float(np.ldexp(2 - 2.0**-8, 127))),
    "fp32": Format(-149, -126, float(np.ldexp(2 - 2.0**-24, 127))),
}


def precision(name: str, found: Profile) -> dict[str, Any]:
    """Shares, of elements that are not zero, that the format loses; and the smallest scale that saves 99.9 % of them.

    `scale` is 1 where nothing needs saving, and None where a scale that saves enough makes the largest element overflow;
    `scale_limit` is the largest power of two that does not. A number between half of the smallest and the smallest normal
    one counts as subnormal.
    """
    form = FORMATS[name]
    sizes = found.sizes.sum(axis=0)
    total = int(sizes.sum())
    below = np.cumsum(sizes)
    underflow = _up_to(below, form.least - 1)
    subnormal = _up_to(below, form.normal) - int(found.powers[form.normal + BIAS]) - underflow
    overflow = total - int(below[_place(form.overflow) - 1]) if found.largest >= form.overflow else 0
    needed, limit = _needed(below, total, form), _limit(found.largest, form)
    return {
        "format": name,
        "underflow": _share(underflow, total),
        "subnormal": _share(subnormal, total),
        "overflow": _share(overflow, total),
        "scale": needed if needed <= limit else None,
        "scale_needed": needed,
        "scale_limit": limit,
        "initial_scale_saves": needed <= INITIAL <= limit,
    }


def _place(size: float) -> int:
    return int(bins(np.asarray([size]))[0])


def _up_to(below: Any, exponent: int) -> int:
    """How many sizes are at most 2^exponent."""
    return int(below[_place(math.ldexp(1.0, exponent))])


def _share(part: int, total: int) -> float:
    return part / total if total else 0.0


def _needed(below: Any, total: int, form: Format) -> float:
    """The smallest power of two, at least 1, under which enough elements are more than half of the least number."""
    lost = math.floor(total * (1 - SAVED) + 1e-9)
    scales = range(form.least - LEAST)
    return next((_power(k) for k in scales if _up_to(below, form.least - 1 - k) <= lost), math.inf)


def _power(exponent: int) -> float:
    return math.ldexp(1.0, exponent) if exponent <= MOST else math.inf


def _limit(largest: float, form: Format) -> float:
    """The largest power of two that keeps the largest element finite."""
    if not largest:
        return math.inf
    k = math.floor(math.log2(form.overflow) - math.log2(largest)) + 1
    while math.ldexp(largest, k) >= form.overflow:
        k -= 1
    return _power(k)
