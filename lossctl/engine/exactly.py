"""Whole numbers beyond 2^53: a loss of the difference alone gets it exactly, others refuse what is rounded.

Only arrays of int64 and uint64 are looked at. What they are is decided where they are read, so that values, gradients and
comparisons see the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.losses.loss import ANY
from lossctl.sources.readers import Reader, Same
from lossctl.sources.wholes import SMALL, beyond, difference, first_rounded, refusal, wide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.losses.loss import Input, Loss
    from lossctl.sources.readers import NumPyArray
    from lossctl.sources.shapes import Shape

# Samples on which it is tried whether a loss depends on the difference alone.
TRIED = 5


@dataclass(frozen=True)
class Exact(Same):
    """Whole numbers as float64, each of which is exact."""

    role: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float64."""
        return np.dtype(np.float64)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`.

        Raises: OutOfDomain with the first number that would be rounded.
        """
        array = self.inner.read(start, stop, axis)
        found = first_rounded(array)
        if found is not None:
            place = [at + start * (axis == number) for number, at in enumerate(found)]
            name = f"{self.role} ({self.name})"
            where = f"{name} at {self.inner.place(tuple(place))}" if self.shape else name
            raise refusal(int(array[found]), where)
        return array.astype(np.float64)


@dataclass(frozen=True)
class Less(Same):
    """A prediction minus its target where the target is large, and as it is elsewhere."""

    target: Reader

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float64."""
        return np.dtype(np.float64)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        array, target = self.inner.read(start, stop, axis), self.target.read(start, stop, axis)
        if not beyond(target, SMALL):
            return array.astype(np.float64)
        # What is not finite stays where it is.
        return np.where(np.isfinite(target), difference(array, target), array)


@dataclass(frozen=True)
class Taken(Same):
    """A target that was taken from its prediction: zero where it is large, and as it is elsewhere."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float64."""
        return np.dtype(np.float64)

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`."""
        array = self.inner.read(start, stop, axis)
        return np.where(np.isfinite(array), 0.0, array) if beyond(array, SMALL) else array.astype(np.float64)


def exact(loss: Loss, arrays: Sequence[tuple[Input, Reader]], params: Mapping[str, Any]) -> list[Reader]:
    """Put readers of wide whole numbers in the place of those that would be rounded; labels and lengths stay whole."""
    readers = {given.name: reader for given, reader in arrays}
    pred, target = readers.get("pred"), readers.get("target")
    both = pred is not None and target is not None and _subtracted(pred, target) and by_difference(loss, readers, params)
    return [_seen(given, reader, target if both else None) for given, reader in arrays]


def _seen(given: Input, reader: Reader, target: Reader | None) -> Reader:
    if target is not None and given.name in {"pred", "target"}:
        return Less(reader, target) if given.name == "pred" else Taken(reader)
    plain = given.word.index or given.word.rule == "free" or not wide(reader.dtype)
    return reader if plain else Exact(reader, given.name)


def _subtracted(pred: Reader, target: Reader) -> bool:
    """Whether numbers stand against numbers, one by one, and some of them may be large whole ones."""
    return pred.shape == target.shape and (wide(pred.dtype) or wide(target.dtype))


def by_difference(loss: Loss, readers: Mapping[str, Reader], params: Mapping[str, Any]) -> bool:
    """Whether the loss depends on its prediction and target by their difference alone: tried on numbers of these shapes."""
    arrays = [a for a in loss.signature.arrays if a.name in readers]
    if any(a.word.index or a.word.signs or a.word.rule == "free" or a.word.domain != ANY for a in arrays[:2]):
        return False
    drawn = {a.name: _waves(readers[a.name].shape, number) for number, a in enumerate(arrays)}
    moved = {**drawn, "pred": drawn["pred"] - drawn["target"], "target": np.zeros(drawn["target"].shape)}
    try:
        return _same(_terms(loss, drawn, params), _terms(loss, moved, params))
    except Exception:  # noqa: BLE001 - a loss that does not take these numbers is no loss of any difference
        return False


def _waves(shape: Shape, number: int) -> NumPyArray:
    """Numbers of both signs for the first two arrays, and above zero for what stands beside them."""
    few = (min(shape[0], TRIED), *shape[1:]) if shape else ()
    waves = np.asarray(3 * np.sin(np.arange(np.prod(few, dtype=int)) * (1.3 + number) + 0.7 * number)).reshape(few)
    return waves if number < 2 else 0.5 + np.abs(waves)  # noqa: PLR2004 - pred and target


def _terms(loss: Loss, arrays: Mapping[str, NumPyArray], params: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = [arrays[a.name] for a in loss.signature.inputs]
    tensors = {a.name: arrays.get(a.name) for a in loss.signature.tensors}
    with np.errstate(all="ignore"):
        found: Any = loss.terms(np, *inputs, **tensors, **params)
    return found if isinstance(found, dict) else {"value": found}


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(np.array_equal(np.asarray(one[name]), np.asarray(other[name])) for name in one)
