"""All looks at a history, and which findings another one explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.diagnosis.curve import Curve
from lossctl.diagnosis.falling import not_falling, plateau
from lossctl.diagnosis.gradients import dead, exploding
from lossctl.diagnosis.rates import spiking
from lossctl.diagnosis.rising import diverging, jumping, not_finite, oscillating
from lossctl.diagnosis.validation import overfitting
from lossctl.errors import Undecided

if TYPE_CHECKING:
    from lossctl.diagnosis.finding import Finding
    from lossctl.diagnosis.history import History

# Fewer losses than this are no curve.
SHORTEST = 10
LOOKS = (not_falling, oscillating, jumping, diverging, overfitting, plateau, spiking, dead, exploding)
# A divergence is no oscillation, no plateau and a fall that was lost again; what swings has no jumps of its own.
EXPLAINS = {
    "D001": frozenset({"D006", "D007"}),
    "D003": frozenset({"D004", "D007"}),
    "D004": frozenset({"D007"}),
    "D005": frozenset({"D001", "D003", "D004", "D006", "D007"}),
}


def diagnose(history: History) -> list[Finding]:
    """Return what is wrong with a training run, in order of codes; nothing where nothing is.

    Raises: Undecided for fewer than 10 finite losses, unless it is NaN or infinity that makes them so few.
    """
    curve = Curve(history.loss.finite())
    broken = list(not_finite(history, curve))
    if len(curve) < SHORTEST:
        if broken:
            return broken
        message = f"{history.name or 'The history'} has {len(curve)} losses, too few to judge a curve."
        raise Undecided(message, hint=f"Log at least {SHORTEST}; about 30 tell noise from a fault.")
    with np.errstate(all="ignore"):
        found = [*broken, *(finding for look in LOOKS for finding in look(history, curve))]
    explained = {code for finding in found for code in EXPLAINS.get(finding.code, ())}
    return sorted((one for one in found if one.code not in explained), key=lambda one: (one.code, one.first))
