"""One pass over the data: blocks are read once, and every loss adds its terms to its own sums."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.block import Block
from lossctl.blocks import cuts, keep_memory
from lossctl.cutting import piece_of, pieces_of, spans
from lossctl.errors import NoSuchReduction, ShapeMismatch, UsageError
from lossctl.lanes import in_turn
from lossctl.pieces import add_pieces, add_sums, check_some, inspect_late, unreduced
from lossctl.sums import Sums
from lossctl.tally import Taking, Tally, merged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.binding import Bound
    from lossctl.block import Backend, Selection
    from lossctl.blocks import NumPyArray
    from lossctl.bysample import Digest
    from lossctl.cutting import Span
    from lossctl.pieces import Arrays
    from lossctl.spec import Options

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
) -> list[Tally]:
    """Fold every loss over its arrays.

    `keep` may hold "samples" to gather each sample's sums, "terms" for those that there are, and "values" for unreduced
    losses; `digest` makes less of them block by block. `block` is the size of one in elements, 0 the backend's own. Losses
    that are cut alike share one pass; all with as many samples share the same selection of them.
    Raises: NotFinite, OutOfDomain, NothingLeft, ShapeMismatch, TooLarge.
    """
    keep_memory()
    tallies = [Tally() for _ in bounds]
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


def fold_block(bound: Bound, backend: Backend, options: Options, selection: Selection, span: Span) -> Tally:
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
    if not cluster:
        in_turn(work, blocks, jobs, take)
        return
    from lossctl.cluster import on_cluster  # noqa: PLC0415 - what hardly any run needs

    on_cluster(work, blocks, take, cluster, combine)


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


def _fold_pieces(one: Pass, span: tuple[int, int]) -> list[Tally]:
    """Fold one block of which nothing but sums is wanted, piece by piece."""
    block, tallies = one.block(span), [Tally(span=span) for _ in one.bounds]
    with np.errstate(all="ignore"):
        add_pieces(tallies, one.bounds, block, one.rows)
    return tallies


def _fold_block(one: Pass, keep: Keep, digest: Callable[[Sequence[Tally]], None] | None, span: tuple[int, int]) -> list[Tally]:
    """Fold one block all at once, and keep of single samples what is asked for."""
    block, tallies = one.block(span), [Tally(span=span) for _ in one.bounds]
    with np.errstate(all="ignore"):
        for tally, bound in zip(tallies, one.bounds, strict=True):
            with tally.tolerating(optional=bound.optional):
                _add(tally, bound, block, keep, one.rows)
        if digest is not None:
            digest(tallies)
    return tallies


def _add(tally: Tally, bound: Bound, block: Block, keep: Keep, rows: int) -> None:
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
        found = f"its unreduced result has shape {shape}" if shape else "it gives one number for all samples"
        message = f"{bound.loss.name} has no value for each of {block.kept} samples: {found}."
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
