"""How often each label occurs, as far as the target holds labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lossctl.blocks import cuts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lossctl.blocks import NumPyArray, Reader

# Where a block holds more different numbers than this, they are no labels.
MOST = 4096
# Labels beyond this are codes of nothing.
LARGEST = 2**31
TWO = (0, 1)


@dataclass(frozen=True)
class Labels:
    """The labels that occur, with their counts, of `classes` classes; 0 where there are no scores by class."""

    counts: Mapping[int, int] = field(default_factory=dict)
    classes: int = 0

    @property
    def present(self) -> list[int]:
        """The labels that occur, in order."""
        return sorted(self.counts)

    @property
    def are_classes(self) -> bool:
        """Whether there are at least two classes, and every label but one that marks nothing is one of them."""
        known = [label for label in self.present if 0 <= label < self.classes]
        return self.classes > 1 and 0 < len(known) >= len(self.present) - 1

    @property
    def balanced(self) -> list[float]:
        """The weights n / (C n_c) that scikit-learn calls balanced; none where a class does not occur."""
        own = [self.counts.get(label, 0) for label in range(self.classes)]
        return [sum(own) / (self.classes * count) for count in own] if own and all(own) and len(set(own)) > 1 else []

    @property
    def odds(self) -> float:
        """Negatives over positives of labels 0 and 1; 0 for others."""
        two = tuple(self.present) == TWO
        return self.counts[0] / self.counts[1] if two and self.counts[0] != self.counts[1] else 0.0


def count_labels(target: Reader, classes: int) -> Labels:
    """Count labels block by block; a target of anything else has none."""
    counts: Counter[int] = Counter()
    length = target.shape[0] if target.shape else 0
    for start, stop in cuts(length, max(1, int(np.prod(target.shape[1:])))):
        found = _counted(target.read(start, stop)) if length else None
        if found is None or len(counts | found) > MOST:
            return Labels({}, classes)
        counts += found
    return Labels(dict(counts), classes)


def _counted(array: NumPyArray) -> Counter[int] | None:
    if array.dtype.kind not in "biuf" or not array.size:
        return None
    whole = np.isfinite(array).all() and (np.abs(array.astype(np.float64)) < LARGEST).all()
    if not whole or (array != np.floor(array)).any():
        return None
    labels, times = np.unique(array, return_counts=True)
    return Counter(dict(zip(labels.astype(np.int64).tolist(), times.tolist(), strict=True)))
