"""What a trap gets to see: the first block of every array, the result, and the words that were typed.

A look costs one block, whatever the size of the data, and changes no value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.values import finite_rows
from lossctl.sources.inputs import opened_as
from lossctl.sources.readers import BLOCK, Same, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lossctl.engine.binding import Bound, Slot
    from lossctl.engine.reduce import Outcome
    from lossctl.request.options import Options
from lossctl.sources.readers import NumPyArray, Reader

# Fewer numbers than this lie in [0, 1] by chance too often.
ENOUGH = 8
CLOSE = 1e-3
# What the words of inputs may be: logarithms, -1 and 1, and domains that are not insisted on.
FLAGS = ("logs", "signs", "loose")


@dataclass(frozen=True, repr=False)
class Warned:
    """One warning: a code that `info` explains, and one line with numbers and the command that would be right."""

    code: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return the entry of the result's `warnings`."""
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True, eq=False, repr=False)
class Sight:
    """One loss as it was computed. `typed` holds what was typed for each input, for the commands in messages.

    `arrays` hold the first `count` samples, as far as these are finite; `sums` are those of all terms, over all data.
    """

    bound: Bound
    value: Any
    options: Options
    typed: Mapping[str, str]
    arrays: Mapping[str, NumPyArray]
    count: int
    sums: Mapping[str, float] = field(default_factory=dict)

    @property
    def part(self) -> str:
        """What a message begins with that speaks of the first samples alone."""
        return f"in the first {self.count:,} of {self.bound.n:,} samples: " if self.count < self.bound.n else ""

    @cached_property
    def tags(self) -> frozenset[str]:
        """What traps are chosen by: the loss, its flags, the parameters and arrays that it has, and some options."""
        words = [slot.input.word for slot in self.bound.slots]
        flags = [flag for flag in FLAGS if any(getattr(word, flag) for word in words)]
        params = [name for name, value in self.bound.params.items() if value is not None]
        options = ["--broadcast"] * self.options.broadcast + [f"--domain {self.options.domain}"]
        return frozenset([self.loss, *flags, *params, *self.arrays, *options])

    @cached_property
    def opened(self) -> Mapping[str, Any]:
        """What each array was opened as: see `opened_as`."""
        return {slot.input.name: opened_as(slot.reader) for slot in self.bound.slots}

    @property
    def loss(self) -> str:
        """The loss's own name."""
        return self.bound.loss.name

    @cached_property
    def pred(self) -> NumPyArray:
        """The first input."""
        return self.arrays[self.bound.loss.signature.inputs[0].name]

    @cached_property
    def target(self) -> NumPyArray:
        """The input called target, or an empty array."""
        return self.arrays.get("target", np.zeros(0))

    @property
    def mean(self) -> float | None:
        """The value, where it is a finite mean."""
        plain = self.options.reduction == "mean" and isinstance(self.value, float) and np.isfinite(self.value)
        return self.value if plain else None

    def command(self, loss: str, *more: str) -> str:
        """The command that computes another loss, or the same with other options, on the same inputs."""
        import shlex

        inputs = [shlex.quote(self.typed[a.name]) for a in self.bound.loss.signature.inputs if a.name in self.typed]
        return " ".join(["lossctl compute", loss, *inputs, *more])

    def takes(self, *words: str) -> bool:
        """Whether the first input's word needs one of these, by the beginning of what `info` says of it."""
        return any(self.bound.loss.signature.inputs[0].word.says.startswith(word) for word in words)


@dataclass(frozen=True, eq=False, repr=False)
class Trap:
    """A mistake that data can show: its code, what it is, what to do, and the look that finds it.

    `of` are the runs that it can happen in, if not all: see `trap`. `whole` says that the message holds for all samples, or
    says itself for which.
    """

    code: str
    title: str
    doc: str
    look: Callable[[Sight], str]
    of: tuple[str, ...] = ()
    whole: bool = False

    def concerns(self, sight: Sight) -> bool:
        """Whether this run has any of what it is `of`."""
        return not self.of or any(tag in sight.tags for tag in self.of) or sight.takes(*self.of)


def trap(code: str, title: str, *, of: tuple[str, ...] = (), whole: bool = False) -> Callable[[Callable[[Sight], str]], Trap]:
    """Make a `Trap` of a function that returns the message, or nothing; its docstring is what `info CODE` prints.

    It is asked of any run, or only where one of the words `of` is among `Sight.tags` or begins what the first input takes.
    """

    def make(look: Callable[[Sight], str]) -> Trap:
        return Trap(code, title, " ".join((look.__doc__ or "").split()), look, of, whole)

    return make


def warned(traps: Iterable[Trap], sight: Sight) -> list[Warned]:
    """Ask every trap that concerns this run; return what those that found something say."""
    with np.errstate(all="ignore"):
        messages = [(chosen, chosen.look(sight)) for chosen in traps if chosen.concerns(sight)]
    return [Warned(one.code, f"{'' if one.whole else sight.part}{message}") for one, message in messages if message]


def look_at(bound: Bound, outcome: Outcome, options: Options, typed: Mapping[str, str]) -> Sight:
    """Read the first block of every array, without the samples that hold NaN or infinity."""
    count = bound.n if bound.loss.whole else min(bound.n, max(1, BLOCK // max(1, bound.elements)))
    read = {slot.input.name: _first(slot, count) for slot in bound.slots}
    rows = np.ones(count, bool)
    for slot in bound.slots:
        if slot.axis is not None:
            rows &= finite_rows(read[slot.input.name], slot.axis)
    kept = {s.input.name: np.compress(rows, read[s.input.name], axis=s.axis) for s in bound.slots if s.axis is not None}
    return Sight(bound, outcome.value, options, typed, {**read, **kept}, count, outcome.sums)


def as_given(reader: Reader) -> Reader:
    """What stands in the file, not what is calculated with."""
    while isinstance(reader, Same):
        reader = reader.inner
    return reader


def _first(slot: Slot, count: int) -> NumPyArray:
    reader = as_given(slot.reader)
    array = whole(reader) if slot.axis is None else reader.read(0, count, slot.axis)
    return array.astype(np.float64) if array.dtype.kind in "fb" else array


def inside_unit(array: NumPyArray) -> bool:
    """Whether enough numbers all lie in [0, 1], and are not just zeros and ones."""
    return array.size > 0 and array.min() >= 0 and array.max() <= 1 and bool(((array > 0) & (array < 1)).any())


def adds_up(array: NumPyArray) -> bool:
    """Whether every sample's classes are numbers in [0, 1] that add up to 1."""
    if array.ndim < 2 or not array.size or array.min() < 0 or array.max() > 1:  # noqa: PLR2004 - classes are axis 1
        return False
    return bool(np.allclose(array.sum(axis=1), 1, atol=CLOSE))
