"""The second pass over one loss or several: every part of a gradient is looked at, written where asked for, and added up.

Two things are told of it besides its size. Who it comes from: the pull of a class or a group is its samples' gradients added
up, what a bias that they share would feel; a cosine between two pulls below 0 says that training on one harms the other. And
what clipping would do: by norm as torch.nn.utils.clip_grad_norm_ has it, by value as clip_grad_value_.

Several losses may pull at one input; their gradients are kept, added up, and measured against one another.
"""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lossctl.gradient.passes import Differentiated, GradientPart, Placed, source_of, stream
from lossctl.gradient.profile import PartFigures, Profile, lengths, look
from lossctl.gradient.sinks import Field, Sink, StoredSink, stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lossctl.engine.binding import Bound, Slot
    from lossctl.engine.block import Block, Selection
    from lossctl.request.options import Options
    from lossctl.sources.readers import NumPyArray, Reader, Shape


# Pulls are not added up where they would take more than so many numbers.
PULLS = 1 << 22


@dataclass(frozen=True)
class ShareLook:
    """One part: squared lengths and numbers of samples by group, and the groups' pulls where they are wanted."""

    squares: NumPyArray
    counts: NumPyArray
    pulls: NumPyArray | None = None


@dataclass
class Shares:
    """Squared lengths, counts and pulls by group, over all parts so far."""

    names: Sequence[str]
    pulling: bool = False
    squares: NumPyArray = field(init=False)
    counts: NumPyArray = field(init=False)
    pulls: NumPyArray | None = None

    def __post_init__(self) -> None:
        """Begin at zero."""
        self.squares = np.zeros(len(self.names))
        self.counts = np.zeros(len(self.names), np.int64)

    def look(self, gradient: NumPyArray, codes: NumPyArray) -> ShareLook:
        """Look at a part whose samples lie along the first axes, as many as `codes` has; negative codes count for nothing."""
        flat = np.asarray(gradient, np.float64).reshape(codes.size, prod(gradient.shape[codes.ndim :]))
        kept = codes.reshape(-1) >= 0
        flat, numbers = flat[kept], codes.reshape(-1)[kept]
        size = len(self.names)
        squares = np.bincount(numbers, weights=np.einsum("ij,ij->i", flat, flat), minlength=size)
        pulling = self.pulling and size * flat.shape[1] <= PULLS
        return ShareLook(squares, np.bincount(numbers, minlength=size), _pulls(flat, numbers, size) if pulling else None)

    def add(self, part: ShareLook) -> None:
        """Take in a later part."""
        self.squares += part.squares
        self.counts += part.counts
        if part.pulls is not None:
            self.pulls = part.pulls if self.pulls is None else self.pulls + part.pulls

    def rows(self) -> list[dict[str, Any]]:
        """One row a group that has samples: name, count, length of its gradient, and its share of the squared length."""
        total = float(self.squares.sum())
        return [
            {"group": name, "n": int(n), "norm": math.sqrt(square), "share": square / total if total else math.nan}
            for name, n, square in zip(self.names, self.counts.tolist(), self.squares.tolist(), strict=True)
            if n
        ]

    def cosines(self) -> list[dict[str, Any]]:
        """The cosine between the pulls of every two groups; none where one of them pulls nowhere."""
        return cosines(self.names, self.pulls @ self.pulls.T) if self.pulls is not None else []


def cosines(names: Sequence[str], products: NumPyArray) -> list[dict[str, Any]]:
    """Cosines between vectors, of whose inner products `products` is the matrix."""
    lengths = np.sqrt(np.diag(products))
    return [
        {"one": names[i], "other": names[j], "cosine": float(products[i, j] / (lengths[i] * lengths[j]))}
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if lengths[i] * lengths[j] > 0
    ]


def _pulls(flat: NumPyArray, numbers: NumPyArray, size: int) -> NumPyArray:
    order = np.argsort(numbers, kind="stable")
    present, starts = np.unique(numbers[order], return_index=True)
    pulls = np.zeros((size, flat.shape[1]))
    if present.size:
        pulls[present] = np.add.reduceat(flat[order], starts, axis=0)
    return pulls


# torch adds this to the norm before it divides by it.
EPSILON = 1e-6


@dataclass
class Clipped:
    """Counts of what a bound on each sample's length, and one on each element, would touch."""

    norm: float | None = None
    value: float | None = None
    long: int = 0
    large: int = 0
    touched: int = 0
    square: float = 0.0
    product: float = 0.0

    def fresh(self) -> Clipped:
        """The same bounds, with nothing counted."""
        return Clipped(self.norm, self.value)

    def look(self, array: NumPyArray, axis: int) -> Clipped:
        """Look at a part whose samples lie along `axis`."""
        result = self.fresh()
        if not array.size:
            return result
        values = np.asarray(array, np.float64)
        if self.norm is not None:
            result.long = int(np.count_nonzero(lengths(values, axis) > self.norm))
        if self.value is not None:
            over = np.abs(values) > self.value
            result.large = int(np.count_nonzero(over))
            others = tuple(place for place in range(over.ndim) if place != axis)
            result.touched = int(np.count_nonzero(over.any(axis=others))) if over.ndim else int(over)
            cut = np.clip(values, -self.value, self.value)
            result.square, result.product = float(np.vdot(cut, cut)), float(np.vdot(cut, values))
        return result

    def add(self, part: Clipped) -> None:
        """Take in a later part."""
        for name in ("long", "large", "touched", "square", "product"):
            setattr(self, name, getattr(self, name) + getattr(part, name))

    def facts(self, found: Profile) -> dict[str, Any]:
        """The norm before and after, and shares of samples and elements touched."""
        facts: dict[str, Any] = {}
        samples = max(1, found.samples)
        if self.norm is not None:
            factor = min(1.0, self.norm / (found.norm + EPSILON))
            alive = int(found.crowd.sum())
            touched = alive / samples if factor < 1 else 0.0
            facts["by_norm"] = {
                "bound": self.norm,
                "before": found.norm,
                "after": found.norm * factor,
                "factor": factor,
                "samples_touched": touched,
                "samples_longer_than_bound": self.long / samples,
            }
        if self.value is not None:
            after = math.sqrt(self.square)
            facts["by_value"] = {
                "bound": self.value,
                "before": found.norm,
                "after": after,
                "elements_touched": self.large / max(1, found.n),
                "samples_touched": self.touched / samples,
                "cosine": self.product / (after * found.norm) if after * found.norm else math.nan,
            }
        return facts


class Coding(Protocol):
    """Says whose gradient is whose."""

    def code(self, gradient: NumPyArray, block: Block) -> tuple[NumPyArray, NumPyArray]:
        """The gradient arranged so that the codes' axes come first, and the codes."""


Sharing = tuple["Shares", Coding]


@dataclass(frozen=True)
class SeenPart:
    """What was found in one part."""

    look: PartFigures
    clipped: Clipped
    shares: Sequence[ShareLook]
    added: NumPyArray | None = None


@dataclass
class Gradient:
    """The gradient by one source of `shape`, written as `dtype`.

    Sizes below `tiny` count as small; classes and groups have shares in it, each with what codes a block for them. `added`
    is the whole gradient where every part adds to all of it.
    """

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    tiny: float
    sinks: Sequence[Sink] = ()
    clipped: Clipped = field(default_factory=Clipped)
    classes: Sharing | None = None
    groups: Sharing | None = None
    profile: Profile = field(default_factory=Profile)
    added: NumPyArray | None = None

    def work(self, part: GradientPart, name: str) -> SeenPart:
        """Look at a part and write it; `name` is what the loss calls this input."""
        placed, seen = part.placed[name], part.seen[name]
        shares = [one.look(*coding.code(seen, part.block)) for one, coding in self._sharing()]
        return self.work_on(placed, shares)

    def _sharing(self) -> list[Sharing]:
        return [item for item in (self.classes, self.groups) if item is not None]

    def work_on(self, placed: Placed, shares: Sequence[ShareLook] = ()) -> SeenPart:
        """The same for what is already placed."""
        if placed.axis is None:
            return SeenPart(PartFigures(), Clipped(), shares, np.asarray(placed.array, np.float64))
        start = tuple(placed.start if axis == placed.axis else 0 for axis in range(len(self.shape)))
        return self._seen(placed.array, start, placed.axis, shares)

    def _seen(self, array: NumPyArray, start: tuple[int, ...], axis: int, shares: Sequence[ShareLook]) -> SeenPart:
        for sink in self.sinks:
            sink.put(array, start[axis] if start else 0, axis)
        return SeenPart(look(array, start, axis, self.tiny), self.clipped.look(array, axis), shares)

    def take(self, part: SeenPart) -> None:
        """Take in what was found in a later part."""
        self.profile.add(part.look)
        self.clipped.add(part.clipped)
        for (one, _), found in zip(self._sharing(), part.shares, strict=False):
            one.add(found)
        if part.added is not None:
            self.added = part.added if self.added is None else self.added + part.added

    def finish(self) -> None:
        """Look at and write what had to be added up first."""
        if self.added is not None:
            self.take(self._seen(self.added.reshape(self.shape), (0,) * len(self.shape), 0, []))
            self.added = None


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
        result = Gradient(source.name, source.reader.shape, kind, tiny, sinks, self.clip.fresh())
        if len(source.seen) == 1:
            self._share(result, *source.seen[0])
        return result

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
