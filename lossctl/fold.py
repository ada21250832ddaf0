"""One pass over the data: blocks are read once, and every loss adds its terms to its own sums."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.block import Block
from lossctl.blocks import BLOCK, cuts
from lossctl.errors import NoSuchReduction, NothingLeft, ShapeMismatch, TooLarge, UsageError
from lossctl.lanes import in_lanes
from lossctl.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.binding import Bound
    from lossctl.block import Backend, Selection
    from lossctl.blocks import NumPyArray
    from lossctl.spec import Options

Arrays = dict[str, Any]
Keep = frozenset[str]
NOTHING: Keep = frozenset()


@dataclass
class Tally:
    """What one loss has gathered: sums over all and by group, and per-sample results where they were asked for."""

    sums: Sums = field(default_factory=Sums)
    groups: dict[int, Sums] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    n: int = 0
    skipped: int = 0
    rows: list[NumPyArray] = field(default_factory=list)
    samples: list[dict[str, NumPyArray]] = field(default_factory=list)
    values: list[NumPyArray] = field(default_factory=list)

    def merge(self, other: Tally) -> None:
        """Take in what a later block has gathered."""
        self.sums.merge(other.sums)
        for code, sums in other.groups.items():
            self.groups.setdefault(code, Sums()).merge(sums)
            self.counts[code] = self.counts.get(code, 0) + other.counts[code]
        self.n += other.n
        self.skipped += other.skipped
        self.rows += other.rows
        self.samples += other.samples
        self.values += other.values


def fold(  # noqa: PLR0913 - everything that a pass depends on
    bounds: Sequence[Bound],
    backend: Backend,
    options: Options,
    selection: Selection,
    *,
    keep: Keep = NOTHING,
    block: int = BLOCK,
) -> list[Tally]:
    """Fold every loss over its arrays.

    `keep` may hold "samples" to gather each sample's sums, "terms" for those that there are, and "values" for unreduced
    losses. Losses that are cut alike share one pass; all with as many samples share the same selection of them.
    Raises: NotFinite, OutOfDomain, NothingLeft, ShapeMismatch, TooLarge.
    """
    keep_memory()
    tallies = [Tally() for _ in bounds]
    passes: dict[tuple[int, int], list[int]] = {}
    for number, bound in enumerate(bounds):
        passes.setdefault((bound.n, elements_of(bound, options)), []).append(number)
    jobs = 1 if options.backend == "torch" else options.jobs
    for (n, elements), members in passes.items():
        selection.check(n)
        own, peers = [bounds[member] for member in members], [bound for bound in bounds if bound.n == n]
        work = partial(_fold_block, own, peers, backend, options, selection, keep)
        for parts in in_lanes(work, list(cuts(n, elements, block=block)), jobs):
            for member, part in zip(members, parts, strict=True):
                tallies[member].merge(part)
    return tallies


def keep_memory() -> None:
    """Make glibc keep the memory of freed blocks: it raises its thresholds to the largest array that it has given back.

    Without this every temporary array of every block is mapped, faulted in page by page, and unmapped: six times slower.
    """
    np.empty((1 << 25) - (1 << 13), np.uint8)


def _fold_block(  # noqa: PLR0913, PLR0917 - everything that a block depends on
    bounds: Sequence[Bound],
    peers: Sequence[Bound],
    backend: Backend,
    options: Options,
    selection: Selection,
    keep: Keep,
    span: tuple[int, int],
) -> list[Tally]:
    """Fold one block for every loss that is cut this way; a sample that one of its peers cannot use counts for none."""
    block = Block(*span, options, selection, backend, alone=len(peers) == 1)
    block.select(peers)
    tallies = [Tally() for _ in bounds]
    with np.errstate(all="ignore"):
        for tally, bound in zip(tallies, bounds, strict=True):
            _add(tally, bound, block, keep)
    return tallies


def elements_of(bound: Bound, options: Options) -> int:
    """Elements that a sample counts for when blocks are cut; 0 for a loss read whole, and TooLarge where it would not fit."""
    if not bound.loss.whole:
        return max(1, bound.elements)
    if any(prod(slot.reader.shape) == 0 for slot in bound.slots):
        message = f"{bound.loss.name} has no samples to work on: an input is empty."
        raise NothingLeft(message, hint="Give at least one sample.")
    numbers = 3 * sum(prod(slot.reader.shape) for slot in bound.slots) + (3 * bound.n**2 if bound.loss.pairs else 0)
    if numbers * 8 > options.max_memory:
        need, have = numbers / 2**17, options.max_memory / 2**20
        message = f"{bound.loss.name} couples all {bound.n} samples and needs about {need:,.0f} MiB, more than {have:,.0f} MiB."
        raise TooLarge(message, hint=f"Allow it with --max-memory {need * 1.1:.0f}, or give fewer samples.")
    return 0


def _add(tally: Tally, bound: Bound, block: Block, keep: Keep) -> None:
    """Add one block's terms to one loss's tally."""
    xp = block.backend.xp
    if bound.loss.whole and not block.kept:
        message = f"{bound.loss.name} has no samples to work on: all {bound.n} are skipped or masked."
        raise NothingLeft(message, hint="Leave at least one sample.")
    terms = unreduced(bound, {slot.input.name: block.ready(slot, bound) for slot in bound.slots}, xp, lambda: block.index)
    _check_own(bound, terms, block, keep)
    plain = "weight" not in terms
    detailed = (bool(keep) or block.selection.groups is not None) and _has_samples(bound, terms, block)
    if plain and (detailed or block.selection.weights is not None or block.selection.by_element):
        terms["weight"] = xp.ones_like(next(iter(terms.values())))
    terms = counted(terms, block)
    tally.n += block.kept
    tally.skipped += block.stop - block.start - block.kept
    totals = {name: total(xp, term) for name, term in terms.items()}
    if block.defers(bound) and not all(map(math.isfinite, totals.values())):
        block.inspect(bound)
    for name, found in totals.items():
        tally.sums.add(name, found)
    if "weight" not in terms:
        tally.sums.add("weight", float(prod(next(iter(terms.values())).shape)))
    if detailed:
        _keep(tally, terms, block, keep)


def _has_samples(bound: Bound, terms: Arrays, block: Block) -> bool:
    given = tuple(terms["value"].shape)[:1] if "value" in terms else ()
    return given == (block.kept,) if bound.loss.origin != "lossctl" else bool(given) or not bound.loss.whole


def _check_own(bound: Bound, terms: Arrays, block: Block, keep: Keep) -> None:
    """A loss of somebody else's shows only now whether it has values by sample; its own mean knows no weights.

    Raises: UsageError, NoSuchReduction.
    """
    if "own_mean" in terms and (block.selection.weights is not None or block.selection.by_element):
        message = f"{bound.loss.name} makes its own mean, which --weights, or a --mask by element, would not reach."
        raise UsageError(message, hint="Leave them out; a --mask by sample leaves samples out before it sees them.")
    if not keep - {"terms"} or bound.loss.origin == "lossctl":
        return
    shape = tuple(terms["value"].shape) if "value" in terms else ()
    if not shape or ("samples" in keep and shape[0] != block.kept):
        found = f"its unreduced result has shape {shape}" if shape else "it gives one number for all samples"
        message = f"{bound.loss.name} has no value for each of {block.kept} samples: {found}."
        raise NoSuchReduction(message, hint="Leave out --reduction none, --per-sample, --worst, --best and --stats.")


def unreduced(bound: Bound, arrays: Arrays, xp: Any, index: Callable[[], NumPyArray] | None = None) -> Arrays:
    """Call the loss's two hooks on one block, whose samples have the numbers `index()`: its guard, then its terms."""
    inputs = [arrays[argument.name] for argument in bound.loss.signature.inputs]
    tensors = {argument.name: arrays.get(argument.name) for argument in bound.loss.signature.tensors}
    if bound.loss.guard is not None:
        bound.loss.guard(xp, np.arange(bound.n) if index is None else index(), *inputs, **bound.params)
    with np.errstate(all="ignore"):
        result = bound.loss.terms(xp, *inputs, **tensors, **bound.params)
    return dict(result) if isinstance(result, dict) else {"value": result}


def counted(terms: Arrays, block: Block) -> Arrays:
    """Weigh and mask terms by what the selection says counts."""
    return _masked(_weighted(terms, block), block)


def _weighted(terms: Arrays, block: Block) -> Arrays:
    """Multiply every term by its sample's weight."""
    weights = block.weights()
    if weights is None:
        return terms
    xp, given = block.backend.xp, block.backend.give(weights)
    lifted = {name: xp.reshape(given, (-1, *(1,) * (term.ndim - 1))) for name, term in terms.items()}
    return {name: term * xp.astype(lifted[name], term.dtype) for name, term in terms.items()}


def _masked(terms: Arrays, block: Block) -> Arrays:
    """Put zero where a mask by element says that nothing counts."""
    if not block.selection.by_element:
        return terms
    xp, mask = block.backend.xp, block.backend.give(block.mask())
    shape = tuple(next(iter(terms.values())).shape)
    if tuple(mask.shape) != shape:
        message = f"--mask has shape {tuple(mask.shape)} in this block, but the unreduced loss has shape {shape}."
        raise ShapeMismatch(message, hint="A mask has one entry a sample, or the shape that --reduction none gives.")
    return {name: xp.where(mask, term, xp.zeros_like(term)) for name, term in terms.items()}


def total(xp: Any, term: Any) -> float:
    """Sum a term in float64, whatever its type."""
    return float(xp.sum(term, dtype=xp.float64))


def _keep(tally: Tally, terms: Arrays, block: Block, keep: Keep) -> None:
    """Gather per-sample sums, unreduced values, or sums by group."""
    take = block.backend.take
    if "values" in keep:
        tally.values.append(take(terms["value"]))
    sums = {name: take(_by_sample(block.backend.xp, term)) for name, term in terms.items() if term.ndim}
    if keep & {"samples", "terms"}:
        tally.rows.append(block.index)
        tally.samples.append(sums)
    if block.selection.groups is not None:
        _add_groups(tally, sums, block.selection.groups[block.index])


def _by_sample(xp: Any, term: Any) -> Any:
    flat = (term.shape[0], prod(term.shape[1:]))
    return xp.sum(xp.reshape(term, flat), axis=1, dtype=xp.float64) if term.ndim > 1 else term


def _add_groups(tally: Tally, sums: dict[str, NumPyArray], codes: NumPyArray) -> None:
    """Add each group's share of a block, summed pairwise over its samples."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    ends = [*starts[1:], len(codes)]
    for code, start, stop in zip(present.tolist(), starts, ends, strict=True):
        group = tally.groups.setdefault(code, Sums())
        tally.counts[code] = tally.counts.get(code, 0) + int(stop - start)
        for name, term in sums.items():
            group.add(name, float(term[order[start:stop]].sum(dtype=np.float64)))
