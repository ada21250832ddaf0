"""An object of somebody else's that is called for its loss, under each of its own reductions.

An object with a parameter `reduction` is asked for its own mean, sum and unreduced values, since they need not be one
another's: the mean of a weighted cross_entropy is not the mean of its values. They are the terms `own_mean`, `own_sum`,
`own_batchmean` and `value`. One that has none gives either a number, which is its mean, or one value a sample, of which the
mean is taken.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.calls import attempt, guarded, numpy_of, said, seeded, tensor, torch_of
from lossctl.errors import BadParameter, LossctlError, PluginFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Arguments = tuple[inspect.Parameter, ...]
REDUCTIONS = ("mean", "sum", "none", "batchmean")
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Foreign:
    """An object of somebody else's that is called with inputs: a class to make it of first, an instance, or a function."""

    name: str
    thing: Any
    made_with: Arguments = ()
    called_with: Arguments = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reduces(self) -> bool:
        """Whether it has reductions of its own."""
        headers = self.made_with if isinstance(self.thing, type) else self.called_with
        own = isinstance(getattr(self.thing, "reduction", None), str) and not isinstance(self.thing, type)
        return own or any(argument.name == "reduction" for argument in headers)

    def run(self, tensors: Sequence[Any], given: Mapping[str, Any], reduction: str) -> Any:
        """Call it under one of its own reductions, where it has any.

        Raises: PluginFailed, ShapeMismatch, OutOfDomain, NoGradient.
        """
        torch = torch_of(self.name)
        chosen = {"reduction": reduction} if self.reduces else {}
        names = {argument.name for argument in self.called_with}
        made = self._make(torch, given, chosen)
        later = {name: value for name, value in given.items() if name in names or not isinstance(self.thing, type)}
        later |= chosen if "reduction" in names else {}
        module = isinstance(made, torch.nn.Module)

        def call(*arrays: Any) -> Any:
            if module:
                made.to(next((one.dtype for one in arrays if one.is_floating_point()), torch.float64))
            plain = not isinstance(arrays[0], torch.Tensor)
            return made(*arrays, **({name: numpy_of(value) for name, value in later.items()} if plain else later))

        return attempt(torch, call, tensors, self.name, numpy=not module)

    def _make(self, torch: Any, given: Mapping[str, Any], chosen: Mapping[str, str]) -> Any:
        """Make an object of a class; give a copy of an instance the reduction.

        Raises: BadParameter where a parameter is missing, PluginFailed where it cannot be made.
        """
        if not isinstance(self.thing, type):
            if not hasattr(self.thing, "reduction") or not chosen:
                return self.thing
            made = copy.copy(self.thing)
            made.reduction = chosen["reduction"]
            return made
        called = {argument.name for argument in self.called_with}
        named = {name: value for name, value in given.items() if name not in called}
        empty = [a.name for a in self.made_with if a.default is a.empty and a.kind not in VARIADIC and a.name not in given]
        if empty:
            message = f"{self.name} needs {', '.join(repr(name) for name in empty)} to be made."
            raise BadParameter(message, hint=f"Write {self.name}:{empty[0]}=VALUE.")
        with guarded(f"{self.name} could not be made"), seeded(torch):
            return self.thing(**named, **chosen)

    def terms(self, xp: Any, /, *arrays: Any, **given: Any) -> dict[str, Any]:
        """The results under its own reductions, and its unreduced values, as arrays of `xp`."""
        torch = torch_of(self.name)
        straight = isinstance(arrays[0], torch.Tensor)
        tensors = [tensor(torch, array) for array in arrays]
        typed = {name: value for name, value in given.items() if value is not self.defaults.get(name)}
        typed = {name: tensor(torch, value) if hasattr(value, "__array__") else value for name, value in typed.items()}
        terms = self._terms(torch, tensors, typed)
        return terms if straight else {name: xp.asarray(one.detach().numpy()) for name, one in terms.items()}

    def _terms(self, torch: Any, tensors: Sequence[Any], typed: Mapping[str, Any]) -> dict[str, Any]:
        """The terms as tensors; what takes any word for a reduction says nothing by taking `batchmean`."""
        first = self._read(torch, tensors, typed, "mean")
        if not self.reduces:
            return {self._role(first, tensors): first}
        found = {name: self._quietly(torch, tensors, typed, name) for name in REDUCTIONS[1:]}
        if found["batchmean"] is not None and self._quietly(torch, tensors, typed, "no reduction") is not None:
            found["batchmean"] = None
        terms = {} if found["none"] is None or not found["none"].ndim else {"value": found["none"]}
        own = {"mean": first, **{name: found[name] for name in ("sum", "batchmean")}}
        terms |= {f"own_{name}": one.reshape(()) for name, one in own.items() if one is not None and one.numel() == 1}
        return terms if "own_mean" in terms else {"value": first}

    def _quietly(self, torch: Any, tensors: Sequence[Any], typed: Mapping[str, Any], reduction: str) -> Any:
        """The result under a reduction that it may refuse: None then."""
        try:
            return self._read(torch, tensors, typed, reduction)
        except LossctlError:
            return None

    def _read(self, torch: Any, tensors: Sequence[Any], typed: Mapping[str, Any], reduction: str) -> Any:
        """Return what it gives as a tensor of floats.

        Raises: PluginFailed for anything else.
        """
        result = self.run(tensors, typed, reduction)
        try:
            found = result if isinstance(result, torch.Tensor) else torch.as_tensor(np.asarray(result))
            return found if found.is_floating_point() else found.to(torch.float64, copy=False)
        except (TypeError, ValueError, RuntimeError) as error:
            message = f"{self.name} returned {type(result).__name__}, not a tensor of real numbers ({said(error)})."
            raise PluginFailed(message, hint="A loss returns one number, or one value a sample.") from error

    def _role(self, result: Any, tensors: Sequence[Any]) -> str:
        """Whether a result is the mean of all, or has one value a sample.

        Raises: PluginFailed for a shape that is neither.
        """
        counts = [one.shape[0] for one in tensors if one.ndim]
        if result.ndim == 0:
            return "own_mean"
        if result.shape[0] in counts:
            return "value"
        what = f"neither one number nor one value for each of {counts[0]} samples"
        message = f"{self.name} returned shape {tuple(result.shape)}, {what}."
        raise PluginFailed(message, hint="Return a number, or an array with the sample axis first.")


def finish(xp: Any, sums: Mapping[str, Any], **_: Any) -> Any:  # noqa: ARG001 - every finish has this header
    """The object's own mean, or that of its values."""
    return sums["own_mean"] if "own_mean" in sums else sums["value"] / sums["weight"]
