"""The second pass over one loss or several: which arrays are differentiated by, who pulls at them, and where it all goes."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.gradient.adjoint import source_of
from lossctl.gradient.clipping import Clipped
from lossctl.gradient.coding import by_class, by_group
from lossctl.gradient.combining import combine, keep
from lossctl.gradient.gathering import Gradient
from lossctl.gradient.passes import stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.block import Selection
    from lossctl.blocks import NumPyArray, Reader
    from lossctl.gradient.combining import Together
    from lossctl.gradient.gathering import Seen
    from lossctl.gradient.passes import Differentiated, Part
    from lossctl.sinks import Sink
    from lossctl.spec import Options

Place = tuple[int, str]
Worked = tuple[dict[str, "Seen"], dict[str, float]]


@dataclass(frozen=True)
class Source:
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
    together: dict[str, Together] = field(default_factory=dict)

    def sources(self) -> list[Source]:
        """Every array that is differentiated by, once."""
        seen: dict[int, list[Place]] = {}
        readers: dict[int, Reader] = {}
        for number, term in enumerate(self.terms):
            slots = {slot.input.name: slot for slot in term.bound.slots}
            for name in term.inputs:
                reader = source_of(slots[name].reader)
                readers[id(reader)] = reader
                seen.setdefault(id(reader), []).append((number, name))
        return [Source(self._name(places), readers[key], places) for key, places in seen.items()]

    def _name(self, places: Sequence[Place]) -> str:
        """An input's own name, with its term's before it where only some terms see it."""
        number, name = places[0]
        return name if len(places) == len(self.terms) else f"{self.names[number]}.{name}"

    def gradient(self, source: Source, sinks: Sequence[Sink] = ()) -> Gradient:
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

    def run(self, sources: Sequence[Source], gradients: Mapping[str, Gradient]) -> None:
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

        def work(part: Part) -> Worked:
            return {name: gradient.work(part, name) for name, gradient in mine.items()}, part.params

        def take(found: Worked) -> None:
            for name, seen in found[0].items():
                mine[name].take(seen)
            for name, value in found[1].items():
                self.numbers.setdefault((number, name), [term.slopes.params[name]]).append(value)

        stream(term, self.backend, self.options, self.selection, work=work, take=take)
