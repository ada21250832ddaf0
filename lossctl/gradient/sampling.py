"""The part of the data that a gradient is checked on: a few samples that are read into memory, and the elements to move.

Choices are drawn with a fixed seed, so that a check can be repeated. The samples with the largest gradient, and the first
whose gradient is not finite, are always among them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from lossctl.block import Selection
from lossctl.blocks import Memory
from lossctl.cutting import elements_of
from lossctl.gradient.adjoint import back

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lossctl.binding import Slot
    from lossctl.blocks import NumPyArray, Reader
    from lossctl.gradient.passes import Differentiated
    from lossctl.spec import Options

# Samples, and numbers in them, that are looked at: each is calculated some hundred times.
SAMPLES, NUMBERS = 1000, 1 << 18
# Samples are read in runs, since a read of one costs as much as one of many.
RUN = 20
# Elements of each sample that are moved, and of data that cannot be cut; fewer where each calculation goes through so many
# numbers that all of them would be more than WORK.
TOGETHER, SINGLE, FEWEST = 64, 200, 4
WORK_TOGETHER, WORK_SINGLE = 1 << 24, 1 << 22
SEED = 0


@dataclass(frozen=True)
class Sampled:
    """A loss on some of its samples, whose numbers in the file are `rows`."""

    one: Differentiated
    selection: Selection
    rows: NumPyArray


def sampled(one: Differentiated, options: Options, selection: Selection, wanted: Iterable[int]) -> Sampled:
    """Read a part of the samples, the wanted ones among them; all of them where the loss couples them.

    Raises: TooLarge.
    """
    bound = one.bound
    loss = replace(bound.loss, guard=None)
    if bound.loss.whole:
        elements_of(bound, options)
        return Sampled(replace(one, bound=replace(bound, loss=loss)), selection, np.arange(bound.n))
    rows = _rows(bound.n, min(SAMPLES, max(1, NUMBERS // max(1, bound.elements))), wanted)
    slots = tuple(_part(slot, rows) for slot in bound.slots)
    weights, mask = (None if reader is None else _picked(reader, rows, 0) for reader in (selection.weights, selection.mask))
    peers = tuple(replace(peer, slots=tuple(_part(slot, rows) for slot in peer.slots), n=len(rows)) for peer in one.peers)
    part = replace(one, bound=replace(bound, loss=loss, slots=slots, n=len(rows)), peers=peers)
    return Sampled(part, Selection(weights, mask), rows)


def _rows(n: int, most: int, wanted: Iterable[int]) -> NumPyArray:
    """Which samples: all if there are few, else short runs spread over the file."""
    if n <= most:
        return np.arange(n)
    first = list(dict.fromkeys(wanted))[:most]
    run = min(RUN, most)
    edges = np.linspace(0, n, max(1, most // run) + 1).astype(np.int64)
    starts = np.random.default_rng(SEED).integers(edges[:-1], np.maximum(edges[1:] - run, edges[:-1]) + 1)
    spread = np.setdiff1d(np.add.outer(starts, np.arange(run)).reshape(-1), first)
    return np.union1d(np.asarray(first, np.int64), spread[spread < n][: most - len(first)])


def _part(slot: Slot, rows: NumPyArray) -> Slot:
    return slot if slot.axis is None else replace(slot, reader=_picked(slot.reader, rows, slot.axis))


def _picked(reader: Reader, rows: NumPyArray, axis: int) -> Memory:
    """Some samples of an array, read run by run."""
    runs = np.split(rows, np.nonzero(np.diff(rows) != 1)[0] + 1)
    parts = [reader.read(int(run[0]), int(run[-1]) + 1, axis) if len(run) else reader.read(0, 0, axis) for run in runs]
    return Memory(np.concatenate(parts, axis=axis), reader.name)


def sample_of(slot: Slot, place: tuple[int, ...]) -> int | None:
    """The sample that an element of the source belongs to, where it belongs to one."""
    if slot.axis is None or not place:
        return None
    axis = back(slot.reader, np.zeros(_one(slot)), 0, slot.axis).axis
    return None if axis is None else place[axis]


def source_place(slot: Slot, sample: int, index: Sequence[int]) -> list[int]:
    """Where an element of the input, as the loss sees it, lies in the source; `index` is 0 on the sample axis."""
    one = np.zeros(_one(slot))
    one[tuple(index)] = 1.0
    placed = back(slot.reader, one, sample, slot.axis)
    found = [int(i) for i in np.unravel_index(int(np.argmax(placed.array)), placed.array.shape)]
    if placed.axis is not None:
        found[placed.axis] += placed.start
    return found


def _one(slot: Slot) -> tuple[int, ...]:
    """The shape of one sample of an input."""
    return tuple(1 if axis == slot.axis else size for axis, size in enumerate(slot.reader.shape))


def positions(gradient: NumPyArray, *, cost: int, together: bool) -> NumPyArray:
    """Which columns of a gradient (samples, elements) to move: the largest and what is not finite first, others by chance.

    `cost` is how many numbers one calculation goes through, `together` whether it moves all samples.
    """
    most, work = (TOGETHER, WORK_TOGETHER) if together else (SINGLE, WORK_SINGLE)
    count = gradient.shape[1]
    most = min(count, most, max(FEWEST, work // max(1, cost)))
    if count <= most:
        return np.arange(count)
    sizes = np.where(np.isfinite(gradient), np.abs(gradient), np.inf).max(axis=0, initial=0.0)
    largest = np.argsort(-sizes, kind="stable")[: (most + 1) // 2]
    others = np.setdiff1d(np.arange(count), largest)
    return np.union1d(largest, np.random.default_rng(SEED).choice(others, most - len(largest), replace=False))


def cost_of(one: Differentiated) -> int:
    """How many numbers one calculation goes through."""
    bound = one.bound
    return sum(prod(slot.reader.shape) for slot in bound.slots) + (bound.n**2 if bound.loss.pairs else 0)
