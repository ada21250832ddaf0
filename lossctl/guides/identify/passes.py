"""The pass over the data: every trial adds its terms to its own sums, and to those of the batches that code may have made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from lossctl.engine.block import Block
from lossctl.engine.fold import counted, elements_of, unreduced
from lossctl.engine.reduce import reduced
from lossctl.engine.threads import in_turn
from lossctl.errors import LossctlError
from lossctl.losses.backends import BACKENDS
from lossctl.sources.readers import BLOCK, cuts, keep_memory
from lossctl.statistics.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.engine.binding import Bound
    from lossctl.engine.block import Selection
    from lossctl.guides.identify.grids import Variation
    from lossctl.guides.identify.readings import InputReading
    from lossctl.losses.backends import Backend
    from lossctl.sources.readers import NumPyArray

# Batch sizes that people use.
BATCHES = (8, 16, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1000, 1024)

# Sums of whole numbers below this are exact in any block.
LARGEST = 2**30


@dataclass(frozen=True)
class Trial:
    """One loss with parameters, on one reading of the inputs."""

    bound: Bound
    reading: InputReading
    change: Variation


@dataclass
class Batches:
    """Means of batches of one size: the sum of those that are full, how many, the smaller last one, and the last of all."""

    total: float = 0.0
    full: int = 0
    rest: float = math.nan
    last: float = math.nan

    def merge(self, other: Batches) -> None:
        """Take in what a later block has gathered."""
        self.total += other.total
        self.full += other.full
        self.rest, self.last = other.rest, other.last


@dataclass
class TrialSums:
    """What one trial came to: sums of its terms, samples, elements, batches by size, or why there is nothing."""

    sums: Sums = field(default_factory=Sums)
    n: int = 0
    elements: int = 0
    batches: dict[int, Batches] = field(default_factory=dict)
    failed: LossctlError | None = None

    def merge(self, other: TrialSums) -> None:
        """Take in what a later block has gathered."""
        self.failed = self.failed or other.failed
        self.sums.merge(other.sums)
        self.n += other.n
        self.elements += other.elements
        for size, batches in other.batches.items():
            self.batches.setdefault(size, Batches()).merge(batches)


def gather(trials: Sequence[Trial], selection: Selection, jobs: int) -> list[TrialSums]:
    """Fold every trial over its arrays; what cannot be computed says why and stops none of the others.

    Trials that read alike and are cut alike share blocks. Raises: ShapeMismatch for weights or a mask of another length.
    """
    keep_memory()
    sums = [TrialSums() for _ in trials]
    for (_, n, step), members in _together(trials, sums).items():
        selection.check(n)
        own = [trials[member] for member in members]
        sizes = _sizes(n, step, own[0].reading, selection)
        work = partial(_work, own, BACKENDS.get("numpy")(), selection, sizes)
        # A block of exactly `step` elements of one element each is `step` samples.
        spans = list(cuts(n, 1 if step else 0, block=step or BLOCK))
        in_turn(work, spans, jobs, partial(_take, [sums[member] for member in members]))
    return sums


def _take(totals: Sequence[TrialSums], parts: Sequence[TrialSums]) -> None:
    for total, part in zip(totals, parts, strict=True):
        total.merge(part)


def _together(trials: Sequence[Trial], sums: Sequence[TrialSums]) -> dict[tuple[int, int, int], list[int]]:
    """Trials by reading, number of samples, and samples to a block: a power of two, so that batches are not cut."""
    passes: dict[tuple[int, int, int], list[int]] = {}
    for number, trial in enumerate(trials):
        try:
            elements = elements_of(trial.bound, trial.reading.options)
        except LossctlError as error:
            sums[number].failed = error
            continue
        step = 1 << (max(1, BLOCK // elements).bit_length() - 1) if elements else 0
        passes.setdefault((id(trial.reading), trial.bound.n, step), []).append(number)
    return passes


def _sizes(n: int, step: int, reading: InputReading, selection: Selection) -> tuple[int, ...]:
    """The batch sizes that blocks do not cut; where samples are left out, nobody knows the batches."""
    if selection.mask is not None or reading.options.nan == "skip" or not step:
        return ()
    return tuple(size for size in BATCHES if size < n and (step >= n or step % size == 0))


def _work(
    trials: Sequence[Trial], backend: Backend, selection: Selection, sizes: tuple[int, ...], span: tuple[int, int]
) -> list[TrialSums]:
    block = Block(*span, trials[0].reading.options, selection, backend)
    block.select([trial.bound for trial in trials])
    return [_one(trial.bound, block, sizes) for trial in trials]


def _one(bound: Bound, block: Block, sizes: tuple[int, ...]) -> TrialSums:
    """One block of one trial."""
    xp = block.backend.xp
    try:
        arrays = {slot.input.name: block.ready(slot, bound) for slot in bound.slots}
        terms = unreduced(bound, arrays, xp, lambda: block.index)
        terms.setdefault("weight", xp.ones_like(next(iter(terms.values()))))
        terms = counted(terms, block)
    except LossctlError as error:
        return TrialSums(failed=error)
    sums = TrialSums(n=block.kept, elements=prod(next(iter(terms.values())).shape))
    with np.errstate(all="ignore"):
        for name, term in terms.items():
            sums.sums.add(name, block.backend.total(term))
        if sizes and not bound.loss.whole:
            rows = {name: np.reshape(term, (len(term), -1)) for name, term in terms.items()}
            samples = {name: row.sum(axis=1, dtype=np.float64) for name, row in rows.items()}
            sums.batches = _batches(bound, samples, sizes)
    return sums


def _batches(bound: Bound, samples: Mapping[str, NumPyArray], sizes: tuple[int, ...]) -> dict[int, Batches]:
    count = len(next(iter(samples.values())))
    # Weights that are all alike, as they nearly always are, need not be added up.
    alike = {name: float(term[0]) for name, term in samples.items() if count and _is_level(term)}
    by_size = {}
    for size in sizes if count else ():
        starts = np.arange(0, count, size)
        sums = {name: _added(term, starts, alike.get(name)) for name, term in samples.items()}
        means = reduced(bound, sums, 1, "mean")
        full = count // size
        rest = float(means[full]) if count % size else math.nan
        by_size[size] = Batches(float(means[:full].sum()), full, rest, float(means[-1]))
    return by_size


def _is_level(term: NumPyArray) -> bool:
    """Whether all numbers are one whole number, so that their sums are exact products."""
    return bool(term[0] == np.floor(term[0])) and abs(term[0]) < LARGEST and bool((term == term[0]).all())


def _added(term: NumPyArray, starts: NumPyArray, level: float | None) -> NumPyArray:
    if level is None:
        return np.add.reduceat(term, starts)
    return np.diff(starts, append=len(term)) * level
