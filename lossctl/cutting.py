"""Where a pass cuts its losses' arrays into blocks, and which of the blocks a run is asked for."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from lossctl.blocks import BLOCK, cuts, seams
from lossctl.errors import NothingLeft, TooLarge
from lossctl.values import calculated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.binding import Bound
    from lossctl.spec import Options

Span = tuple[int, int]


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
