"""One pass over the data: blocks are read once, and every loss adds its terms to its own sums.

Where arrays are cut into blocks depends on the loss and the shapes alone, and on `--part`. Arrays are read in blocks, and
calculated with in pieces that a processor's own cache holds.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.block import Block, Selection
from lossctl.engine.totals import Digest, LossTotals, Span, Taking, merged
from lossctl.engine.values import calculated
from lossctl.errors import NoSuchReduction, NothingLeft, ShapeMismatch, TooLarge, UsageError
from lossctl.progress import watch
from lossctl.sources.readers import BLOCK, NumPyArray, cuts, keep_memory, seams
from lossctl.statistics.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.engine.binding import Bound, Slot
    from lossctl.losses.backends import Backend
    from lossctl.request.options import Options


def elements_of(bound: Bound, options: Options) -> int:
    """Elements that a sample counts for when blocks are cut; 0 for a loss read whole, and TooLarge where it would not fit."""
    if not bound.loss.whole:
        return max(1, bound.elements)
    if any(prod(slot.reader.shape) == 0 for slot in bound.slots):
        raise NothingLeft(f"{bound.loss.name} has no samples to work on: an input is empty.", hint="Give at least one sample.")
    numbers = 3 * sum(prod(slot.reader.shape) for slot in bound.slots) + (3 * bound.n**2 if bound.loss.pairs else 0)
    if numbers * 8 > options.max_memory:
        need, have = numbers / 2**17, options.max_memory / 2**20
        message = f"{bound.loss.name} couples all {bound.n} samples and needs about {need:,.0f} MiB, more than {have:,.0f} MiB."
        raise TooLarge(message, hint=f"Allow it with --max-memory {need * 1.1:.0f}, or give fewer samples.")
    return 0


def piece_of(bound: Bound, options: Options, size: int, block: int = 0) -> int:
    """Samples of a piece, in which an array takes about `size` bytes, or has `block` elements; 0 for a loss read whole.

    Raises: NothingLeft, TooLarge.
    """
    elements = elements_of(bound, options)
    if not elements:
        return 0
    return max(1, block // elements if block else size // _width(bound, options))


def pieces_of(bounds: Sequence[Bound], options: Options, size: int, pieces: int) -> int:
    """Pieces of a block: as many as are asked for, fewer where a single sample is more than a piece of `size` bytes."""
    widest = max(_width(bound, options) for bound in bounds)
    return pieces if widest <= size else max(1, pieces * size // widest)


def _width(bound: Bound, options: Options) -> int:
    """Bytes that a sample takes in a loss's widest array, as it is calculated with."""
    kinds = [calculated(slot.reader.dtype, options.dtype) for slot in bound.slots if not slot.input.word.index]
    return max(1, bound.elements) * max((kind.itemsize for kind in kinds), default=1)


def spans(bounds: Sequence[Bound], elements: int, options: Options, block: int = BLOCK) -> list[Span]:
    """The blocks of losses that are cut alike: all of them, or the share that `--part` names.

    Blocks end where a file ends, so that a share computed from one shard alone has the blocks that it has among all shards.
    """
    edges = {edge for bound in bounds for slot in bound.slots if slot.axis == 0 for edge in seams(slot.reader)}
    every = list(cuts(bounds[0].n, elements, block=block, seams=edges))
    number, parts = options.part
    return every[len(every) * (number - 1) // parts : len(every) * number // parts]


Arrays = dict[str, Any]


def unreduced(bound: Bound, arrays: Arrays, xp: Any, index: Callable[[], NumPyArray] | None = None) -> Arrays:
    """Call the loss's two hooks on one block, whose samples have the numbers `index()`: its guard, then its terms."""
    inputs = [arrays[argument.name] for argument in bound.loss.signature.inputs]
    tensors = {argument.name: arrays.get(argument.name) for argument in bound.loss.signature.tensors}
    if bound.loss.guard is not None:
        bound.loss.guard(xp, np.arange(bound.n) if index is None else index(), *inputs, **bound.params)
    with np.errstate(all="ignore"):
        result = bound.loss.terms(xp, *inputs, **tensors, **bound.params)
    return dict(result) if isinstance(result, dict) else {"value": result}


@dataclass
class Piece:
    """Some of the samples of a block that count; losses that need an array in one type share it."""

    block: Block
    start: int
    stop: int
    casts: dict[Any, Any] = field(default_factory=dict)

    def arrays(self, bound: Bound) -> Arrays:
        """The arrays of a loss, in the backend's hands."""
        return {slot.input.name: self._cast(slot, bound) for slot in bound.slots}

    def index(self) -> NumPyArray:
        """The numbers of the samples."""
        return self.block.index[self.start : self.stop]

    def _cast(self, slot: Slot, bound: Bound) -> Any:
        key = self.block.key(slot, bound)
        if key not in self.casts:
            array = self.block.looked_at(slot, bound)
            span = (slice(None),) * (slot.axis or 0) + (slice(self.start, self.stop),)
            self.casts[key] = self.block.cast(slot, array if slot.axis is None else array[span])
        return self.casts[key]


def add_pieces(tallies: Sequence[LossTotals], bounds: Sequence[Bound], block: Block, rows: int) -> None:
    """Add every loss's terms of a block in pieces of `rows` samples, 0 being all; nothing else is kept of them.

    Raises: NotFinite, OutOfDomain, NothingLeft.
    """
    for bound, tally in zip(bounds, tallies, strict=True):
        with tally.tolerating() if bound.optional else nullcontext():
            check_some(bound, block)
        tally.n += block.kept
        tally.skipped += block.stop - block.start - block.kept
    for start, stop in cuts(block.kept, min(1, rows), block=rows):
        piece = Piece(block, start, stop)
        for bound, tally in zip(bounds, tallies, strict=True):
            if tally.unfit is None:
                with tally.tolerating() if bound.optional else nullcontext():
                    terms = unreduced(bound, piece.arrays(bound), block.backend.xp, piece.index)
                    add_sums(tally, terms, block.backend)
    for bound, tally in zip(bounds, tallies, strict=True):
        if tally.unfit is None:
            with tally.tolerating() if bound.optional else nullcontext():
                inspect_late(tally, bound, block)


def inspect_late(tally: LossTotals, bound: Bound, block: Block) -> None:
    """Look at the inputs of a loss that has put it off, if its sums are not finite.

    Raises: NotFinite.
    """
    if block.defers(bound) and not tally.sums.finite:
        block.inspect(bound)


def add_sums(tally: LossTotals, terms: Arrays, backend: Backend) -> None:
    """Add the sums of all terms; without weights each element of them counts for one."""
    for name, term in terms.items():
        tally.sums.add(name, backend.total(term))
    if "weight" not in terms:
        tally.sums.add("weight", float(prod(next(iter(terms.values())).shape)))


def check_some(bound: Bound, block: Block) -> None:
    """A property of all samples needs some.

    Raises: NothingLeft.
    """
    if bound.loss.whole and not block.kept:
        message = f"{bound.loss.name} has no samples to work on: all {bound.n} are skipped or masked."
        raise NothingLeft(message, hint="Leave at least one sample.")


Keep = frozenset[str]
NOTHING: Keep = frozenset()


def fold(  # noqa: PLR0913 - everything that a pass depends on
    bounds: Sequence[Bound],
    backend: Backend,
    options: Options,
    selection: Selection,
    *,
    keep: Keep = NOTHING,
    block: int = 0,
    digest: Digest | None = None,
) -> list[LossTotals]:
    """Fold every loss over its arrays.

    `keep` may hold "samples" to gather each sample's sums, "terms" for those that there are, and "values" for unreduced
    losses; `digest` makes less of them block by block. `block` is the size of one in elements, 0 the backend's own. Losses
    that are cut alike share one pass; all with as many samples share the same selection of them.
    Raises: NotFinite, OutOfDomain, NothingLeft, ShapeMismatch, TooLarge.
    """
    keep_memory()
    tallies = [LossTotals() for _ in bounds]
    plain = selection.whole and selection.groups is None and digest is None and not keep
    pieces = 1 if block else backend.pieces if plain else max(1, backend.pieces // 2)
    sizes = [piece_of(bound, options, backend.piece, block) for bound in bounds]
    for (n, rows), members in _passes(bounds, sizes, level=digest is not None and digest.level).items():
        selection.check(n)
        own, peers = [bounds[member] for member in members], [bound for bound in bounds if bound.n == n]
        one, seen = Pass(own, peers, backend, options, selection, rows), partial(digest, members) if digest else None
        work: Any = partial(_fold_pieces, one) if plain else partial(_fold_block, one, keep, seen)
        taking = Taking(backend, [tallies[member] for member in members], patient=not keep and digest is None)
        with backend.lanes(options.jobs) as jobs:
            blocks = spans(own, min(1, rows), options, rows * pieces_of(own, options, backend.piece, pieces))
            # What a digest leaves need not come to the same bits in another order of merging; sums do.
            _run(work, blocks, jobs, taking.take, options.cluster, None if digest else merged)
        taking.end()
    return tallies


def fold_block(bound: Bound, backend: Backend, options: Options, selection: Selection, span: Span) -> LossTotals:
    """Fold one loss over one block alone, with the sums of each of its samples.

    Raises: as `fold`.
    """
    return _fold_block(Pass([bound], [bound], backend, options, selection, 0), frozenset({"samples"}), None, span)[0]


def _passes(bounds: Sequence[Bound], sizes: Sequence[int], *, level: bool) -> dict[tuple[int, int], list[int]]:
    """The numbers of the losses of each pass, by their samples and those of a piece; `level` says to cut all alike."""
    passes: dict[tuple[int, int], list[int]] = {}
    for number, (bound, size) in enumerate(zip(bounds, sizes, strict=True)):
        rows = min(filter(None, sizes)) if level and size else size
        passes.setdefault((bound.n, rows), []).append(number)
    return passes


def _run(  # noqa: PLR0913, PLR0917 - everything that a pass depends on
    work: Any, blocks: Sequence[Any], jobs: int, take: Callable[[Any], None], cluster: str, combine: Any
) -> None:
    if cluster:
        from lossctl.engine.cluster import on_cluster

        on_cluster(work, blocks, take, cluster, combine)
    elif len(blocks) == 1:
        watch().begin("computing", 1)
        take(work(blocks[0]))
        watch().step()
    else:
        from lossctl.engine.threads import in_turn

        in_turn(work, blocks, jobs, take)


@dataclass(frozen=True)
class Pass:
    """Losses that are cut alike, in pieces of `rows` samples; a sample that one of their `peers` cannot use counts for none."""

    bounds: Sequence[Bound]
    peers: Sequence[Bound]
    backend: Backend
    options: Options
    selection: Selection
    rows: int

    def block(self, span: tuple[int, int]) -> Block:
        """The block of this range of samples, narrowed to those that count."""
        block = Block(*span, self.options, self.selection, self.backend, alone=len(self.peers) == 1)
        block.select(self.peers)
        return block


def _fold_pieces(one: Pass, span: tuple[int, int]) -> list[LossTotals]:
    """Fold one block of which nothing but sums is wanted, piece by piece."""
    block, tallies = one.block(span), [LossTotals(span=span) for _ in one.bounds]
    with np.errstate(all="ignore"):
        add_pieces(tallies, one.bounds, block, one.rows)
    return tallies


def _fold_block(
    one: Pass, keep: Keep, digest: Callable[[Sequence[LossTotals]], None] | None, span: tuple[int, int]
) -> list[LossTotals]:
    """Fold one block all at once, and keep of single samples what is asked for."""
    block, tallies = one.block(span), [LossTotals(span=span) for _ in one.bounds]
    with np.errstate(all="ignore"):
        for tally, bound in zip(tallies, one.bounds, strict=True):
            with tally.tolerating() if bound.optional else nullcontext():
                _add(tally, bound, block, keep, one.rows)
        if digest is not None:
            digest(tallies)
    return tallies


def _add(tally: LossTotals, bound: Bound, block: Block, keep: Keep, rows: int) -> None:
    """Add one block's terms to one loss's tally."""
    xp = block.backend.xp
    check_some(bound, block)
    terms = unreduced(bound, {slot.input.name: block.ready(slot, bound) for slot in bound.slots}, xp, lambda: block.index)
    _check_own(bound, terms, block, keep)
    plain = "weight" not in terms
    detailed = (bool(keep) or block.selection.groups is not None) and _has_samples(bound, terms, block)
    if plain and (detailed or block.selection.weights is not None or block.selection.by_element):
        terms["weight"] = xp.ones_like(next(iter(terms.values())))
    terms = counted(terms, block)
    tally.n += block.kept
    tally.skipped += block.stop - block.start - block.kept
    for start, stop in cuts(block.kept, min(1, rows), block=rows):
        # The same pieces as elsewhere, so that whatever else is asked for changes no bit.
        piece = {name: term[start:stop] if tuple(term.shape[:1]) == (block.kept,) else term for name, term in terms.items()}
        add_sums(tally, piece, block.backend)
    inspect_late(tally, bound, block)
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
        result = f"its unreduced result has shape {shape}" if shape else "it gives one number for all samples"
        message = f"{bound.loss.name} has no value for each of {block.kept} samples: {result}."
        raise NoSuchReduction(message, hint="Leave out --reduction none, --per-sample, --worst, --best and --stats.")


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
    weighted = {name: term * xp.astype(lifted[name], term.dtype) for name, term in terms.items()}
    if (weights > 0).all():
        return weighted
    return {name: xp.where(lifted[name] > 0, term, xp.zeros_like(term)) for name, term in weighted.items()}


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


def _keep(tally: LossTotals, terms: Arrays, block: Block, keep: Keep) -> None:
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


def _add_groups(tally: LossTotals, sums: dict[str, NumPyArray], codes: NumPyArray) -> None:
    """Add each group's share of a block, summed pairwise over its samples."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    ends = [*starts[1:], len(codes)]
    for code, start, stop in zip(present.tolist(), starts, ends, strict=True):
        group = tally.groups.setdefault(code, Sums())
        tally.counts[code] = tally.counts.get(code, 0) + int(stop - start)
        for name, term in sums.items():
            group.add(name, float(term[order[start:stop]].sum(dtype=np.float64)))
