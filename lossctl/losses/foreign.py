"""Losses of others as a `Loss`: classes of torch.nn, functions of (pred, target), files of the user's, entry points.

Nothing is known of them but what their headers say, so all samples are read at once. Arguments without a default are inputs,
all others parameters; an input may be annotated with a word of `lossctl.losses.words`, and is then checked and drawn by it.

An object with a parameter `reduction` is asked for its own mean, sum and unreduced values, since they need not be one
another's: the mean of a weighted cross_entropy is not the mean of its values. They are the terms `own_mean`, `own_sum`,
`own_batchmean` and `value`. One that has none gives either a number, which is its mean, or one value a sample, of which the
mean is taken.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_type_hints

import numpy as np

from lossctl.errors import BadParameter, LossctlError, PluginFailed, UnknownName
from lossctl.losses.loss import Anything, Input, Loss, Parameter, Signature, Tensor
from lossctl.losses.words import Unknown
from lossctl.plugins import attempt, guarded, numpy_of, said, seeded, tensor, torch_of

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
                made.to(next((array.dtype for array in arrays if array.is_floating_point()), torch.float64))
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
        result = {name: self._quietly(torch, tensors, typed, name) for name in REDUCTIONS[1:]}
        if result["batchmean"] is not None and self._quietly(torch, tensors, typed, "no reduction") is not None:
            result["batchmean"] = None
        terms = {} if result["none"] is None or not result["none"].ndim else {"value": result["none"]}
        own = {"mean": first, **{name: result[name] for name in ("sum", "batchmean")}}
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
        counts = [item.shape[0] for item in tensors if item.ndim]
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


OTHERS = "others"
# Chosen by --reduction; the two old names of torch would overrule it.
REDUCING = ("reduction", "size_average", "reduce")
NUMBERS = re.compile(r"\s*[+-]?[\d.][^,]*(,\s*[+-]?[\d.][^,]*)+,?\s*")
USE = "where this code is what a model is trained with: the number is the code's own. All samples are read at once."
PLAIN = (bool, int, float, str)
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
PAIR = tuple(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("pred", "target"))


def adapt(thing: Any, name: str, typed: Mapping[str, Any]) -> Loss:
    """Make a `Loss` of a class, an instance or a function; what was typed says which of its parameters are arrays.

    Raises: UnknownName for what cannot be called, BadParameter for a reduction among the parameters.
    """
    called = _called(thing, name)
    if result := next((word for word in typed if word in REDUCING), None):
        message = f"{name}: '{result}' is no parameter here, since --reduction chooses it."
        raise BadParameter(message, hint="Write --reduction mean, sum, none or batchmean.")
    made = _header(thing) if isinstance(thing, type) else ()
    required = _required(called)
    inputs = _inputs(required, thing)
    options = tuple(argument for argument in called if argument not in required)
    taken = {argument.name for argument in required} | {argument.name for argument in inputs} | set(REDUCING)
    scalars, tensors = _parameters([*made, *options], taken, typed)
    defaults = {parameter.name: parameter.default for parameter in scalars}
    foreign = Foreign(name, thing, made, options, defaults)
    run = dress(foreign.terms, Signature(inputs, tensors, scalars), _page(thing))
    origin = name if ":" in name else f"{thing.__module__}:{getattr(thing, '__qualname__', type(thing).__name__)}"
    return Loss(name, OTHERS, run, origin, finish=finish, whole=True, reductions=REDUCTIONS, origin=origin)


def _called(thing: Any, name: str) -> Arguments:
    """The arguments that a loss is called with: those of `forward`, of `__call__`, or of the function itself.

    Raises: UnknownName for what cannot be called.
    """
    forward = getattr(thing, "forward", None)
    if isinstance(thing, type):
        called = forward or next((vars(item)["__call__"] for item in thing.__mro__ if "__call__" in vars(item)), None)
        if called is not None:
            return _header(called)[1:] or PAIR
    elif callable(thing):
        return _header(forward or thing)
    message = f"'{name}' is a {type(thing).__name__}, not a loss: it cannot be called."
    raise UnknownName(message, hint="A loss is a function (pred, target) -> tensor, or a class of such, or made with @loss.")


def _header(called: Any) -> Arguments:
    """The arguments of a callable; functions written in C do not say theirs."""
    try:
        return tuple(inspect.signature(called).parameters.values())
    except (ValueError, TypeError):
        return PAIR


def _required(called: Arguments) -> Arguments:
    """The arguments that have no default: the inputs. `*args` alone stand for a pair."""
    result = tuple(argument for argument in called if argument.kind in POSITIONAL and argument.default is argument.empty)
    return result or PAIR


def _inputs(required: Arguments, thing: Any) -> tuple[Input, ...]:
    """Name the inputs: two are pred and target; of more, each keeps its own name."""
    words = _words(getattr(thing, "forward", thing))
    names = ["pred", "target"] if len(required) == len(PAIR) else [_plain(argument.name) for argument in required]
    (unknown,) = get_args(Unknown)[1:]
    return tuple(Input(name, words.get(a.name, unknown)) for name, a in zip(names, required, strict=True))


def _plain(name: str) -> str:
    return "pred" if name == "input" else name


def _words(called: Any) -> dict[str, Tensor]:
    """The words of our vocabulary that the arguments are annotated with, if any are."""
    try:
        hints = get_type_hints(called, include_extras=True)
    except Exception:  # noqa: BLE001 - annotations of others may name anything
        return {}
    result = {name: [word for word in get_args(hint)[1:] if isinstance(word, Tensor)] for name, hint in hints.items()}
    return {name: words[0] for name, words in result.items() if words}


def _parameters(
    arguments: Iterable[inspect.Parameter], taken: set[str], typed: Mapping[str, Any]
) -> tuple[tuple[Parameter, ...], tuple[Input, ...]]:
    """Sort what may be typed into scalars and arrays; `**keywords` take whatever was typed."""
    arguments = list(arguments)
    result = {a.name: a for a in reversed(arguments) if a.kind not in VARIADIC and a.name not in taken}
    if any(argument.kind is inspect.Parameter.VAR_KEYWORD for argument in arguments):
        result = {name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in typed} | result
    arrays = [name for name, argument in result.items() if _is_array(argument, typed.get(name))]
    scalars = (Parameter(name, Anything(), _default(a)) for name, a in reversed(result.items()) if name not in arrays)
    return tuple(scalars), tuple(Input(name, Tensor(f"*_{name}", "numbers"), optional=True) for name in arrays)


def _is_array(argument: inspect.Parameter, typed: Any) -> bool:
    """Whether a parameter is an array: by its annotation, or because `1,2,4`, a list or `@FILE` was typed."""
    says = str(argument.annotation)
    if isinstance(typed, str):
        written = typed.startswith("@") or bool(NUMBERS.fullmatch(typed))
        return written or (_says_tensor(says) and typed.lower() != "none")
    return isinstance(typed, list) or (typed is None and _says_tensor(says))


def _says_tensor(annotation: str) -> bool:
    return bool(re.search(r"\b(Tensor|ndarray)\b", annotation)) and "Callable" not in annotation


def _default(argument: inspect.Parameter) -> float | str | None:
    """The default where it can be printed; another one stays as it is until something is typed."""
    return argument.default if isinstance(argument.default, PLAIN) else None


def _page(thing: Any) -> str:
    """The first sentence of its own doc, and when to use it."""
    owner = thing if isinstance(thing, type) or inspect.isroutine(thing) else type(thing)
    first = " ".join(inspect.cleandoc(getattr(owner, "__doc__", None) or "").partition("\n\n")[0].split())
    sentence = re.split(r"(?<=\.) (?=[A-Z])", re.sub(r":\w+:`~?([^`]*)`", r"\1", first))[0]
    return f"{sentence or 'A loss of somebody else, without a doc.'}\n\n    use: {USE}\n"


def dress(run: Callable[..., Any], signature: Signature, doc: str) -> Callable[..., Any]:
    """Give a function the header that a signature says, as if it had been written down."""

    def terms(xp: Any, /, *arrays: Any, **given: Any) -> Any:
        return run(xp, *arrays, **given)

    words: dict[str, Any] = {array.name: array.word for array in signature.arrays}
    words |= {parameter.name: parameter.word for parameter in signature.parameters}
    place, named = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.KEYWORD_ONLY
    header = [inspect.Parameter("_xp", place), *(inspect.Parameter(i.name, place) for i in signature.inputs)]
    header += [inspect.Parameter(t.name, named, default=None) for t in signature.tensors]
    header += [inspect.Parameter(p.name, named, default=p.default) for p in signature.parameters]
    terms.__annotations__ = {name: Annotated[Any, word] for name, word in words.items()}
    terms.__signature__ = inspect.Signature(header)  # type: ignore[attr-defined]
    terms.__doc__ = doc
    return terms
