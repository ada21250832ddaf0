"""Logged values put into order: steps that rise, one value each. Runs that were resumed log some steps twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.diagnosis.history import History, Series

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.diagnosis.history import Flags, Floats

# Steps of which so many repeat the one before are epochs, and their rows are the steps.
REPEATED = 0.5


def settle(logged: Mapping[str, Series], columns: Mapping[str, str], name: str, floor: float | None) -> History:
    """Make a history of what was logged for each role, in the order of the file."""
    notes = tuple(_notes(logged["loss"].steps))
    ordered = {role: _ordered(series) for role, series in logged.items()}
    return History(**ordered, floor=floor, name=name, columns=columns, notes=notes)


def numbered(steps: Floats, loss: Flags) -> bool:
    """Whether rows should be counted in place of `steps`: where the loss is, most repeat and none goes back."""
    changes = np.diff(steps[loss])
    return bool(len(changes) and (changes >= 0).all() and np.mean(changes == 0) > REPEATED)


def _ordered(series: Series) -> Series:
    """Sort by step; of values at one step the last that was logged stays."""
    order = np.argsort(series.steps, kind="stable")
    steps, values = series.steps[order], series.values[order]
    last = np.append(steps[1:] != steps[:-1], True) if len(steps) else np.empty(0, bool)
    return Series(steps[last], values[last])


def _notes(steps: Floats) -> list[str]:
    back = int(np.count_nonzero(np.diff(steps) < 0))
    twice = len(steps) - len(np.unique(steps))
    notes = [f"steps go back {back} time{'s' * (back > 1)}, as in a resumed run; they are sorted"] if back else []
    return [*notes, f"{twice} losses are at a step that has another; the last of a step counts"] if twice else notes
