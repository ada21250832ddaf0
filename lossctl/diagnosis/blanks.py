"""Losses that are blank where one was due: pandas writes NaN as nothing, and Python's JSON writers as null."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.diagnosis.finding import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.diagnosis.history import Flags, Floats

# Fewer blanks are a summary at the end of a log, or a row about something else.
FEWEST = 3
# Logs that write a loss only now and then end in as many blanks as lie between two losses.
LONGER = 2


def blank_losses(gaps: Flags, due: Flags, others: Sequence[Flags]) -> Flags:
    """Which gaps of the loss (n,) stand for NaN, of those that are `due` (n,); `others` are the gaps of other columns.

    They are at the end, more than twice as long as any gap between two losses; or the only gap of a log that has a loss in
    every other row. A row that holds what no row with a loss holds, such as a validation, is about that and is not counted.
    """
    found = np.zeros(len(gaps), bool)
    logged = np.flatnonzero(~gaps)
    if not len(logged):
        return found
    missing = due.copy()
    for other in others:
        if other[logged].mean() >= 0.5:  # noqa: PLR2004 - in most rows with a loss there is nothing of this
            missing &= other
    between = np.add.reduceat(missing, logged)
    # The last of these sums is of the rows behind the last loss.
    between, tail = np.sort(between[:-1]), int(between[-1])
    longest, next_to = (int(between[-place]) if len(between) >= place else 0 for place in (1, 2))
    if longest >= FEWEST and next_to == 0:
        inside = np.arange(len(gaps)) > logged[0]
        found |= missing & inside & (np.arange(len(gaps)) < logged[-1])
        longest = 0
    if tail >= FEWEST and tail > LONGER * longest:
        found |= missing & (np.arange(len(gaps)) > logged[-1])
    return found


def said_of(steps: Floats) -> list[str]:
    """The note about blank losses at these steps."""
    if not len(steps):
        return []
    where = f"from step {whole(float(steps[0]))} to {whole(float(steps[-1]))}"
    return [f"{len(steps)} losses {where} are blank while the log goes on: taken as NaN, which pandas writes so"]
