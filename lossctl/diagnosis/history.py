"""What a training run wrote down, as series of numbers over steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
Flags: TypeAlias = "NDArray[np.bool_]"


@dataclass(frozen=True)
class Series:
    """One quantity: `steps` of shape (n,) rise, `values` of shape (n,) are what was logged there, NaN and infinity too."""

    steps: Floats = field(default_factory=lambda: np.empty(0))
    values: Floats = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.values)

    def finite(self) -> Series:
        """The part that is neither NaN nor infinite."""
        kept = np.isfinite(self.values)
        return Series(self.steps[kept], self.values[kept])

    def before(self, step: float) -> Series:
        """The part below a step."""
        kept = self.steps < step
        return Series(self.steps[kept], self.values[kept])

    def since(self, step: float) -> Series:
        """The part from a step on."""
        kept = self.steps >= step
        return Series(self.steps[kept], self.values[kept])


@dataclass(frozen=True)
class History:
    """A training run: the loss, and what else was logged. `floor` is the loss that could be reached, where it is known.

    `columns` says which column each series came from, `notes` what a reader should know of how it was read.
    """

    loss: Series
    val: Series = field(default_factory=Series)
    lr: Series = field(default_factory=Series)
    grad_norm: Series = field(default_factory=Series)
    floor: float | None = None
    name: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
