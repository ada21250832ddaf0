"""Whose gradient is whose: the class or the group of each place of a block, and the gradient arranged to fit.

Several losses that pull at one input: their gradients are kept, added up, and measured against one another.

The second pass over one loss or several: which arrays are differentiated by, who pulls at them, and where it all goes.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.gradient.gathering import Clipped, Gradient, Shares, cosines
from lossctl.gradient.passes import Placed, source_of, stream
from lossctl.gradient.sinks import Field, stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lossctl.engine.binding import Bound, Slot
    from lossctl.engine.block import Block, Selection
    from lossctl.gradient.gathering import SeenPart
    from lossctl.gradient.passes import Differentiated, GradientPart
    from lossctl.gradient.sinks import Sink, StoredSink
    from lossctl.request.spec import Options
    from lossctl.sources.readers import NumPyArray, Reader
    from lossctl.sources.shapes import Shape


Coded = tuple["NumPyArray", "NumPyArray"]


@dataclass(frozen=True)
class ByGroup:
    """Each sample's group; `axis` is the samples' in the gradient."""

    codes: NumPyArray
    axis: int

    def code(self, gradient: NumPyArray, block: Block) -> Coded:
        """Put samples first; those that do not count are in no group."""
        codes = np.asarray(self.codes[block.start : block.stop], np.int64)
        return np.moveaxis(gradient, self.axis, 0), codes if block.rows is None else np.where(block.rows, codes, -1)


@dataclass(frozen=True)
class ByClass:
    """The class that is right for each place, from the target; places whose target is no class have none."""

    bound: Bound
    slot: Slot

    def code(self, gradient: NumPyArray, block: Block) -> Coded:
        """Put the scores of one place last."""
        target = block.backend.take(block.ready(self.slot, self.bound))
        if self.slot.input.word.index:
            count = self.bound.dims["c"][0]
            known = np.where((target >= 0) & (target < count), target, -1)
            gradient = np.moveaxis(gradient, 1, -1)
        else:
            known = np.where(target == 1, 1, np.where((target == 0) | (target == -1), 0, -1))
        if block.selection.by_element and known.shape == block.mask().shape:
            known = np.where(block.mask(), known, -1)
        return gradient, self._wide(known.astype(np.int64), block)

    @staticmethod
    def _wide(codes: NumPyArray, block: Block) -> NumPyArray:
        if block.rows is None:
            return codes
        wide = np.full((len(block.rows), *codes.shape[1:]), -1, codes.dtype)
        wide[block.rows] = codes
        return wide


def by_class(bound: Bound, name: str) -> tuple[Shares, ByClass] | None:
    """Shares of the classes, where the gradient is by scores and the target says the class of each place."""
    slots = {slot.input.name: slot for slot in bound.slots}
    target = slots.get("target")
    if name != bound.loss.signature.inputs[0].name or target is None or target.axis != 0 or slots[name].axis != 0:
        return None
    word, scores = target.input.word, slots[name]
    if word.shifts and scores.input.word.shape == "n c *d" and word.shape in {"n", "n *d"}:
        return Shares([str(number) for number in range(bound.dims["c"][0])]), ByClass(bound, target)
    binary = (word.domain.low, word.domain.high) == (0, 1) or bool(word.domain.values)
    if binary and not word.index and target.reader.shape == scores.reader.shape:
        low = "-1" if word.domain.low < 0 or -1 in word.domain.values else "0"
        return Shares([low, "1"]), ByClass(bound, target)
    return None


def by_group(bound: Bound, name: str, names: Sequence[str], codes: NumPyArray) -> tuple[Shares, ByGroup] | None:
    """Shares of the groups, where the input has samples."""
    axis = next(slot.axis for slot in bound.slots if slot.input.name == name)
    return None if axis is None else (Shares(names, pulling=True), ByGroup(codes, axis))


# Numbers of each gradient that are in memory at a time.
CHUNK = 1 << 18


@dataclass
class TermProducts:
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


def combine(kept: Sequence[StoredSink], total: Gradient) -> TermProducts:
    """Add kept gradients up into `total`, part by part, and measure them against one another."""
    together = TermProducts([sink.field.name for sink in kept])
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


Place = tuple[int, str]
Worked = tuple[dict[str, "SeenPart"], dict[str, float]]


@dataclass(frozen=True)
class GradientSource:
    """One array to differentiate by, and which terms see it, each as which of its inputs."""

    name: str
    reader: Reader
    seen: Sequence[Place]


@dataclass
class Job:
    """Everything that the second pass needs: the terms with their names, and what to find out.

    Slopes below `eps` count as saturated. Found are derivatives by scalar parameters, and how terms that pull at one source
    pull together.
    """

    terms: Sequence[Differentiated]
    names: Sequence[str]
    options: Options
    selection: Selection
    backend: Any
    eps: float = 1e-6
    clip: Clipped = field(default_factory=Clipped)
    groups: tuple[Sequence[str], NumPyArray] | None = None
    numbers: dict[Place, list[float]] = field(default_factory=dict)
    together: dict[str, TermProducts] = field(default_factory=dict)

    def sources(self) -> list[GradientSource]:
        """Every array that is differentiated by, once."""
        seen: dict[int, list[Place]] = {}
        readers: dict[int, Reader] = {}
        for number, term in enumerate(self.terms):
            slots = {slot.input.name: slot for slot in term.bound.slots}
            for name in term.inputs:
                reader = source_of(slots[name].reader)
                readers[id(reader)] = reader
                seen.setdefault(id(reader), []).append((number, name))
        return [GradientSource(self._name(places), readers[key], places) for key, places in seen.items()]

    def _name(self, places: Sequence[Place]) -> str:
        """An input's own name, with its term's before it where only some terms see it."""
        number, name = places[0]
        return name if len(places) == len(self.terms) else f"{self.names[number]}.{name}"

    def gradient(self, source: GradientSource, sinks: Sequence[Sink] = ()) -> Gradient:
        """The gradient by a source before anything is known of it; it has the source's own type, float32 at least."""
        dtype = source.reader.dtype
        narrow = dtype.kind == "f" and dtype.itemsize < np.dtype(np.float64).itemsize
        kind = np.dtype(np.float32 if narrow or self.options.dtype == "f32" else np.float64)
        tiny = self.eps * max(self.terms[number].slopes.largest for number, _ in source.seen)
        found = Gradient(source.name, source.reader.shape, kind, tiny, sinks, self.clip.fresh())
        if len(source.seen) == 1:
            self._share(found, *source.seen[0])
        return found

    def _share(self, gradient: Gradient, number: int, name: str) -> None:
        """Tell classes and groups apart, where there are any."""
        bound = self.terms[number].bound
        gradient.classes = by_class(bound, name)
        if self.groups is not None:
            gradient.groups = by_group(bound, name, *self.groups)

    def run(self, sources: Sequence[GradientSource], gradients: Mapping[str, Gradient]) -> None:
        """Differentiate every term. What several pull at is kept for each in a temporary file, then added up."""
        routes: dict[Place, Gradient] = {}
        with ExitStack() as stack:
            kept = {}
            for source in sources:
                total = gradients[source.name]
                if len(source.seen) == 1:
                    routes[source.seen[0]] = total
                    continue
                labels = [self.names[number] for number, _ in source.seen]
                kept[source.name] = keep(stack.enter_context(tempfile.TemporaryFile()), labels, total.shape)
                for place, sink in zip(source.seen, kept[source.name], strict=True):
                    routes[place] = Gradient(source.name, total.shape, sink.field.dtype, 0.0, [sink])
            self._stream(routes)
            self.together = {name: combine(sinks, gradients[name]) for name, sinks in kept.items()}

    def _stream(self, routes: Mapping[Place, Gradient]) -> None:
        for number, term in enumerate(self.terms):
            mine = {name: routes[number, name] for name in term.inputs}
            self._stream_term(number, mine)
            for gradient in mine.values():
                gradient.finish()

    def _stream_term(self, number: int, mine: Mapping[str, Gradient]) -> None:
        term = self.terms[number]

        def work(part: GradientPart) -> Worked:
            return {name: gradient.work(part, name) for name, gradient in mine.items()}, part.params

        def take(found: Worked) -> None:
            for name, seen in found[0].items():
                mine[name].take(seen)
            for name, value in found[1].items():
                self.numbers.setdefault((number, name), [term.slopes.params[name]]).append(value)

        stream(term, self.backend, self.options, self.selection, work=work, take=take)
