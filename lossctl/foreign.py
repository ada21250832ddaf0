"""Losses of others as a `Loss`: classes of torch.nn, functions of (pred, target), files of the user's, entry points.

Nothing is known of them but what their headers say, so all samples are read at once. Arguments without a default are inputs,
all others parameters; an input may be annotated with a word of `lossctl.words`, and is then checked and drawn by it.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from lossctl.borrowed import REDUCTIONS, VARIADIC, Foreign, finish
from lossctl.errors import BadParameter, UnknownName
from lossctl.loss import Loss
from lossctl.signature import Anything, Input, Parameter, Signature, Tensor
from lossctl.words import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lossctl.borrowed import Arguments

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
    if found := next((word for word in typed if word in REDUCING), None):
        message = f"{name}: '{found}' is no parameter here, since --reduction chooses it."
        raise BadParameter(message, hint="Write --reduction mean, sum, none or batchmean.")
    made = _header(thing) if isinstance(thing, type) else ()
    required = _required(called)
    inputs = _inputs(required, thing)
    options = tuple(argument for argument in called if argument not in required)
    taken = {argument.name for argument in required} | {one.name for one in inputs} | set(REDUCING)
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
        called = forward or next((vars(one)["__call__"] for one in thing.__mro__ if "__call__" in vars(one)), None)
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
    found = tuple(argument for argument in called if argument.kind in POSITIONAL and argument.default is argument.empty)
    return found or PAIR


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
    found = {name: [word for word in get_args(hint)[1:] if isinstance(word, Tensor)] for name, hint in hints.items()}
    return {name: words[0] for name, words in found.items() if words}


def _parameters(
    arguments: Iterable[inspect.Parameter], taken: set[str], typed: Mapping[str, Any]
) -> tuple[tuple[Parameter, ...], tuple[Input, ...]]:
    """Sort what may be typed into scalars and arrays; `**keywords` take whatever was typed."""
    arguments = list(arguments)
    found = {a.name: a for a in reversed(arguments) if a.kind not in VARIADIC and a.name not in taken}
    if any(argument.kind is inspect.Parameter.VAR_KEYWORD for argument in arguments):
        found = {name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in typed} | found
    arrays = [name for name, argument in found.items() if _is_array(argument, typed.get(name))]
    scalars = (Parameter(name, Anything(), _default(a)) for name, a in reversed(found.items()) if name not in arrays)
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

    words: dict[str, Any] = {one.name: one.word for one in signature.arrays}
    words |= {one.name: one.word for one in signature.parameters}
    place, named = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.KEYWORD_ONLY
    header = [inspect.Parameter("_xp", place), *(inspect.Parameter(i.name, place) for i in signature.inputs)]
    header += [inspect.Parameter(t.name, named, default=None) for t in signature.tensors]
    header += [inspect.Parameter(p.name, named, default=p.default) for p in signature.parameters]
    terms.__annotations__ = {name: Annotated[Any, word] for name, word in words.items()}
    terms.__signature__ = inspect.Signature(header)  # type: ignore[attr-defined]
    terms.__doc__ = doc
    return terms
