"""What clipping would do to a gradient: by its norm as torch.nn.utils.clip_grad_norm_ has it, by value as clip_grad_value_."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.gradient.profile import lengths

if TYPE_CHECKING:
    from lossctl.blocks import NumPyArray
    from lossctl.gradient.profile import Profile

# torch adds this to the norm before it divides by it.
EPSILON = 1e-6


@dataclass
class Clipped:
    """Counts of what a bound on each sample's length, and one on each element, would touch."""

    norm: float | None = None
    value: float | None = None
    long: int = 0
    large: int = 0
    touched: int = 0
    square: float = 0.0
    product: float = 0.0

    def fresh(self) -> Clipped:
        """The same bounds, with nothing counted."""
        return Clipped(self.norm, self.value)

    def look(self, array: NumPyArray, axis: int) -> Clipped:
        """Look at a part whose samples lie along `axis`."""
        found = self.fresh()
        if not array.size:
            return found
        values = np.asarray(array, np.float64)
        if self.norm is not None:
            found.long = int(np.count_nonzero(lengths(values, axis) > self.norm))
        if self.value is not None:
            over = np.abs(values) > self.value
            found.large = int(np.count_nonzero(over))
            others = tuple(place for place in range(over.ndim) if place != axis)
            found.touched = int(np.count_nonzero(over.any(axis=others))) if over.ndim else int(over)
            cut = np.clip(values, -self.value, self.value)
            found.square, found.product = float(np.vdot(cut, cut)), float(np.vdot(cut, values))
        return found

    def add(self, part: Clipped) -> None:
        """Take in a later part."""
        for name in ("long", "large", "touched", "square", "product"):
            setattr(self, name, getattr(self, name) + getattr(part, name))

    def facts(self, found: Profile) -> dict[str, Any]:
        """The norm before and after, and shares of samples and elements touched."""
        facts: dict[str, Any] = {}
        samples = max(1, found.samples)
        if self.norm is not None:
            factor = min(1.0, self.norm / (found.norm + EPSILON))
            alive = int(found.crowd.sum())
            touched = alive / samples if factor < 1 else 0.0
            facts["by_norm"] = {
                "bound": self.norm,
                "before": found.norm,
                "after": found.norm * factor,
                "factor": factor,
                "samples_touched": touched,
                "samples_longer_than_bound": self.long / samples,
            }
        if self.value is not None:
            after = math.sqrt(self.square)
            facts["by_value"] = {
                "bound": self.value,
                "before": found.norm,
                "after": after,
                "elements_touched": self.large / max(1, found.n),
                "samples_touched": self.touched / samples,
                "cosine": self.product / (after * found.norm) if after * found.norm else math.nan,
            }
        return facts
