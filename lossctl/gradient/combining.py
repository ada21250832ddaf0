"""Several losses that pull at one input: their gradients are kept, added up, and measured against one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.gradient.adjoint import Placed
from lossctl.gradient.shares import cosines
from lossctl.sinks import Field
from lossctl.sinks.stored import stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.blocks import NumPyArray
    from lossctl.gradient.gathering import Gradient
    from lossctl.shapes import Shape
    from lossctl.sinks.stored import StoredSink

# Numbers of each gradient that are in memory at a time.
CHUNK = 1 << 18


@dataclass
class Together:
    """Inner products between the gradients of several terms by one source."""

    names: Sequence[str]
    products: NumPyArray = field(init=False)

    def __post_init__(self) -> None:
        """Begin at zero."""
        self.products = np.zeros((len(self.names), len(self.names)))

    def add(self, rows: NumPyArray) -> None:
        """Take in a part of all gradients, shape (terms, elements)."""
        self.products += rows @ rows.T

    def terms(self) -> list[dict[str, Any]]:
        """One row a term: the length of its weighted gradient, and its share of all lengths."""
        lengths = np.sqrt(np.diag(self.products)).tolist()
        total = sum(lengths)
        return [
            {"term": name, "norm": length, "share": length / total if total else 0.0}
            for name, length in zip(self.names, lengths, strict=True)
        ]

    def cosines(self) -> list[dict[str, Any]]:
        """The cosine between every two terms."""
        return cosines(self.names, self.products)


def keep(file: Any, names: Sequence[str], shape: Shape) -> list[StoredSink]:
    """Room for one gradient a term in a temporary file."""
    return stored(file, [Field(name, shape, np.dtype(np.float64)) for name in names])


def combine(kept: Sequence[StoredSink], total: Gradient) -> Together:
    """Add kept gradients up into `total`, part by part, and measure them against one another."""
    together = Together([sink.field.name for sink in kept])
    for start, rows in _parts(kept, total.shape):
        flat = np.stack([part.reshape(-1) for part in rows])
        together.add(flat)
        added = flat.sum(axis=0).reshape(rows[0].shape[:1] + total.shape[1:] if total.shape else ())
        total.take(total.work_on(Placed(added, start, 0)))
    return together


def _parts(kept: Sequence[StoredSink], shape: Shape) -> Iterator[tuple[int, list[NumPyArray]]]:
    """Rows of every gradient, a chunk at a time."""
    samples = shape[0] if shape else 1
    step = max(1, CHUNK // max(1, kept[0].rows(0, min(1, samples)).size))
    for start in range(0, samples, step):
        yield start, [np.asarray(sink.rows(start, min(start + step, samples)), np.float64) for sink in kept]
