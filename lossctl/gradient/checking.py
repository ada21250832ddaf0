"""The gradient of a loss against differences of its values, on a part of the data that fits into memory.

The gradient at an element is the sum over terms of c dterm, with c = dL/dS for the sum S of a term. Both factors are checked:
the terms on samples, the slopes c on the reduction. Everything is calculated in float64.

torch's gradient of ctc by log-probabilities is the derivative plus e^pred. Both are compared by the raw scores instead, of
which this difference has no part: g - softmax(pred) sum(g).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.backends import BACKENDS
from lossctl.block import Block
from lossctl.gradient.differences import KINK, OK, RTOL, STEEP, WRONG, Line, judge
from lossctl.gradient.passes import differentiate
from lossctl.gradient.probing import probe
from lossctl.gradient.sampling import POSITIONS, SINGLE, cost_of, positions, sample_of, sampled, source_place
from lossctl.signature import ANY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lossctl.binding import Bound, Slot
    from lossctl.block import Selection
    from lossctl.blocks import NumPyArray
    from lossctl.gradient.differences import Judged
    from lossctl.gradient.passes import Differentiated
    from lossctl.gradient.probing import Probe
    from lossctl.signature import Domain
    from lossctl.spec import Options

# Kinks that are listed.
LISTED = 10
# Sizes below this part of the largest of the sample, or of all samples, count as that large.
OF_SAMPLE, OF_ALL = 1e-3, 1e-6
# So near to the edge of a domain losses have conventions of torch's in place of a derivative.
EDGE = 1e-12


@dataclass
class Checked:
    """What came of a check: how many elements were looked at, the worst of them, the kinks, and what was too steep to say."""

    checked: int = 0
    wrong: int = 0
    steep: int = 0
    kinks: int = 0
    worst: float = 0.0
    at: list[int] = field(default_factory=list)
    analytic: float | None = None
    numeric: float | None = None
    listed: list[dict[str, Any]] = field(default_factory=list)
    by_scores: bool = False

    def add(self, judged: Judged, gradient: NumPyArray, places: Iterator[list[int]]) -> None:
        """Take in some elements; `places` gives the place of each in the source, in order of their numbers."""
        for name, kind in (("wrong", WRONG), ("steep", STEEP), ("kinks", KINK)):
            setattr(self, name, getattr(self, name) + int((judged.kinds == kind).sum()))
        self.checked += len(gradient)
        ranks = np.where(np.isin(judged.kinds, (OK, WRONG)), judged.relative + (judged.kinds == WRONG), -1.0)
        worst = int(np.argmax(ranks)) if len(ranks) else -1
        shown = set(np.nonzero(judged.kinds == KINK)[0][: LISTED - len(self.listed)].tolist())
        if worst >= 0 and ranks[worst] > self._rank or (not self.at and worst >= 0 and ranks[worst] >= 0):
            shown.add(worst)
        else:
            worst = -1
        for number in sorted(shown):
            self._show(number, judged, float(gradient[number]), next(places), worst=number == worst)
