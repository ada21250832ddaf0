"""What a loss is: two small functions, a signature, and a docstring that is its page.

`terms(xp, *inputs, **params)` gives unreduced arrays with the sample axis first; `finish(xp, sums, **params)` makes the mean
of their sums. Everything else (reductions, streaming, weights, groups) is the engine's.

Inputs and parameters are annotated with words; `lossctl.losses.words` is the vocabulary. A word is a shape, a domain and a
dtype rule. The same word validates data, casts it, writes `info`, and draws the samples that the checks run on. Shapes are
written in dims: `n` is the sample axis, `c` the classes, other letters are sizes that must agree wherever they recur, and `*d`
is any number of further axes.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

from lossctl.errors import BadParameter, near

# Any array of the array API standard: NumPy's, torch's, the strict one.
Array = Any
INF = math.inf
# The largest whole number that labels, as int64, can be compared with.
LARGEST = 2**63 - 1


@dataclass(frozen=True, repr=False)
class Domain:
    """An interval of the reals, or a few listed values."""

    low: float = -INF
    high: float = INF
    open_low: bool = False
    values: tuple[float, ...] = ()

    @property
    def says(self) -> str:
        """The domain in the notation of a formula."""
        if self.values:
            return "{" + ", ".join(f"{v:g}" for v in self.values) + "}"
        if self.low == -INF and self.high == INF:
            return "any real"
        if self.high == INF:
            return f"{'>' if self.open_low else '>='} {self.low:g}"
        return f"{'(' if self.open_low else '['}{self.low:g}, {self.high:g}]"

    def holds(self, low: float, high: float) -> bool:
        """Whether all of [low, high] is inside; NaN never is."""
        above = low > self.low if self.open_low else low >= self.low
        return above and high <= self.high


ANY = Domain()


@dataclass(frozen=True, eq=False, repr=False)
class Tensor:
    """A word for an array: what shape it has, which values it takes, and what the network must have done to it.

    `rule` names how shapes that differ from `shape` are fitted; `free_if` the flag under which the domain does not hold;
    `logs` says that values are logarithms of probabilities, `upto` that they count places on that dim, `classes` that they
    are labels 0..C-1, `signs` that 0 stands for -1, and `corners` that they are boxes. The domain of a `loose` word is what
    is meant; other values are computed as torch does, with a warning. `infinite` holds the signs of infinities that losses
    have limits at: a score of -inf is that of a masked class. Under `free_if` it holds with the flag alone.
    """

    shape: str
    says: str
    domain: Domain = ANY
    index: bool = False
    rule: str = "exact"
    free_if: str = ""
    needs: str = ""
    logs: bool = False
    upto: str = ""
    classes: bool = False
    loose: bool = False
    signs: bool = False
    corners: bool = False
    infinite: str = ""

    @property
    def limits(self) -> str:
        """Which infinities it may hold where the loss has a limit there, for people; nothing where none."""
        signs = " and ".join(f"{'' if sign == '+' else sign}inf" for sign in self.infinite)
        return f"{signs}{f' with {self.free_if}' if self.free_if else ''}" if signs else ""

    @property
    def shifts(self) -> bool:
        """Whether these are class labels, which `--label-offset` moves and `--ignore-index` may leave out."""
        return self.index and self.classes


@dataclass(frozen=True, eq=False, repr=False)
class Number:
    """A word for a scalar parameter; `other` is what checks try besides the default where not any number will do."""

    kind: type
    says: str
    domain: Domain = ANY
    infinite: bool = False
    other: float | None = None

    def parse(self, name: str, given: object) -> float | int | bool:
        """Turn what was typed into a value inside the domain.

        Raises: BadParameter, with the domain, if it is not a number of this kind.
        """
        wrong = f"Parameter '{name}' takes {self.says}, not {given!r}."
        if self.kind is bool:
            return _flag(given, wrong)
        try:
            value = float(str(given))
        except ValueError:
            raise BadParameter(wrong) from None
        if isinstance(given, bool) or not self.domain.holds(value, value) or (math.isinf(value) and not self.infinite):
            raise BadParameter(wrong)
        if self.domain.values and value not in self.domain.values:
            raise BadParameter(wrong)
        return value if self.kind is float else _whole(str(given), value, wrong)


@dataclass(frozen=True, eq=False, repr=False)
class Choice:
    """A word for a parameter that is one of a few names."""

    options: tuple[str, ...]
    kind: type = str

    @property
    def says(self) -> str:
        """The names, for messages and `info`."""
        return f"one of {', '.join(self.options)}"

    def parse(self, name: str, given: object) -> str:
        """Return the name that was typed.

        Raises: BadParameter, with the names, for any other.
        """
        if str(given) not in self.options:
            raise BadParameter(f"Parameter '{name}' takes {self.says}, not {given!r}.")
        return str(given)


@dataclass(frozen=True, eq=False, repr=False)
class Anything:
    """A word for a parameter of a loss of somebody else's: whatever Python value was typed."""

    says: str = "a Python value"

    def parse(self, _: str, given: object) -> Any:
        """Read numbers, true, false, none and other Python literals; what is none of them is a string."""
        text = str(given).strip()
        words = {"true": True, "false": False, "none": None, "null": None, "inf": INF, "-inf": -INF, "nan": math.nan}
        if not isinstance(given, str) or text.lower() in words:
            return words[text.lower()] if isinstance(given, str) else given
        try:
            result = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return text
        return result if isinstance(result, int | float | str | list | tuple | dict) else text


SCALARS = Number | Choice | Anything


def _whole(text: str, value: float, wrong: str) -> int:
    """Read a whole number exactly, since a float does not hold all of them; it may also be written as 1e3."""
    exact = int(text) if text.strip().lstrip("+-").isdecimal() else int(value)
    if not value.is_integer() or abs(exact) > LARGEST:
        raise BadParameter(wrong)
    return exact


def _flag(given: object, wrong: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    try:
        return words[str(given).lower()]
    except KeyError:
        raise BadParameter(wrong) from None


@dataclass(frozen=True, eq=False, repr=False)
class Input:
    """A named array of a loss: positional, or a tensor parameter that may be left out."""

    name: str
    word: Tensor
    optional: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Parameter:
    """A named scalar of a loss, with the value it has when nobody says otherwise."""

    name: str
    word: Number | Choice | Anything
    default: float | int | bool | str | None


@dataclass(frozen=True, eq=False, repr=False)
class Signature:
    """What a loss's function header says: its inputs in order and its parameters."""

    inputs: tuple[Input, ...] = ()
    tensors: tuple[Input, ...] = ()
    parameters: tuple[Parameter, ...] = field(default=())

    @cached_property
    def arrays(self) -> tuple[Input, ...]:
        """All arrays, inputs first."""
        return self.inputs + self.tensors


def read_signature(function: Callable[..., Any]) -> Signature:
    """Read inputs, tensor parameters and scalar parameters from a function header.

    Raises: TypeError if an argument other than the first (the array namespace) carries no word of the vocabulary.
    """
    words = inspect.get_annotations(function, eval_str=True)
    inputs, tensors, numbers = [], [], []
    for argument in list(inspect.signature(function).parameters.values())[1:]:
        word = next((w for w in get_args(words.get(argument.name))[1:] if isinstance(w, Tensor | SCALARS)), None)
        if word is None:
            raise TypeError(f"{function.__name__}: argument '{argument.name}' carries no word of the vocabulary")
        if isinstance(word, SCALARS):
            numbers.append(Parameter(argument.name, word, argument.default))
        elif argument.kind is inspect.Parameter.KEYWORD_ONLY:
            tensors.append(Input(argument.name, word, optional=True))
        else:
            inputs.append(Input(argument.name, word))
    return Signature(tuple(inputs), tuple(tensors), tuple(numbers))


Terms = Mapping[str, Array]
Finish = Callable[..., Array]
Guard = Callable[..., None]

PARTS = ("formula", "example", "use", "pitfall")
REDUCTIONS = ("mean", "sum", "none")


def weighted_mean(xp: Any, sums: Terms, **_: Any) -> Array:  # noqa: ARG001 - every finish has this header
    """The mean that most losses finish with."""
    return sums["value"] / sums["weight"]


@dataclass(frozen=True, repr=False)
class Example:
    """A documented call: literal arrays, parameters, and the value they give."""

    inputs: tuple[Any, ...]
    keywords: Mapping[str, Any]
    value: float


@dataclass(frozen=True, repr=False)
class Doc:
    """A loss's docstring, taken apart."""

    summary: str = ""
    formula: str = ""
    examples: tuple[str, ...] = ()
    use: str = ""
    pitfalls: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class Loss:
    """A loss as a value. Making one registers nothing.

    `whole` couples samples to one another, so that all are read at once; `pairs` needs memory for every pair of them.
    `spreads` says that inputs of any real number make the value NaN or infinite where one of them is, so that they need
    no look of their own. `guard(xp, index, *inputs, **params)` raises for values that no word of the vocabulary can
    refuse; `index` holds the numbers of the samples in the whole data, for its message. `flat` says that the gradient is no
    guide, since it is 0 wherever it exists or that of one sample alone, and names the nearest loss that can be trained with.
    `higher_is_better` turns the direction of gates around.
    """

    name: str
    task: str
    terms: Callable[..., Array | Terms]
    source: str
    finish: Finish = weighted_mean
    torch: str = ""
    aliases: tuple[str, ...] = ()
    whole: bool = False
    pairs: bool = False
    spreads: bool = False
    reductions: tuple[str, ...] = REDUCTIONS
    guard: Guard | None = None
    flat: str = ""
    higher_is_better: bool = False
    origin: str = "lossctl"

    @cached_property
    def signature(self) -> Signature:
        """The inputs and parameters, read from the header of `terms`."""
        return read_signature(self.terms)

    @cached_property
    def doc(self) -> Doc:
        """The parts of the docstring of `terms`."""
        return read_doc(self.terms.__doc__ or "")

    @property
    def merge(self) -> str:
        """How parts of the data combine to the whole."""
        if self.whole:
            return "whole: samples are coupled, all are read at once"
        if self.finish is weighted_mean:
            return "additive: sums of value and weight, divided last"
        return "finish on sums: additive terms are pooled, the formula is applied last"

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """The documented examples as values."""
        return tuple(read_example(text) for text in self.doc.examples)


def loss(task: str, *, source: str, **traits: Any) -> Callable[[Callable[..., Any]], Loss]:
    """Make a `Loss` of a `terms` function; its name is the loss's name."""

    def make(terms: Callable[..., Any]) -> Loss:
        return Loss(name=terms.__name__, task=task, terms=terms, source=source, **traits)

    return make


def read_doc(text: str) -> Doc:
    """Take a docstring apart: a summary, then `key: text` lines, each going on while lines are indented deeper."""
    summary, _, rest = text.strip().partition("\n\n")
    parts: list[tuple[str, str]] = []
    for line in rest.splitlines():
        head = re.match(r" {4}(\w+): (.*)", line)
        if head:
            parts.append((head[1], head[2].strip()))
        elif line.strip() and parts:
            parts[-1] = (parts[-1][0], f"{parts[-1][1]} {line.strip()}")

    def every(key: str) -> tuple[str, ...]:
        return tuple(value for name, value in parts if name == key)

    return Doc(
        summary=" ".join(summary.split()),
        formula=" ".join(every("formula")),
        examples=every("example"),
        use=" ".join(every("use")),
        pitfalls=every("pitfall"),
        parameters={name: value for name, value in parts if name not in PARTS},
    )


def read_example(text: str) -> Example:
    """Read `[0, 2], [0, 0], delta=1 -> 0.75`."""
    call, _, value = text.rpartition("->")
    tree = ast.parse(f"f({call})", mode="eval").body
    if not isinstance(tree, ast.Call):
        raise TypeError(f"not an example: {text}")
    inputs = tuple(ast.literal_eval(node) for node in tree.args)
    keywords = {node.arg: ast.literal_eval(node.value) for node in tree.keywords if node.arg}
    return Example(inputs, keywords, float(value))


def scalars(loss: Loss, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every scalar parameter of `loss`, as given or as it is by default.

    Raises: BadParameter for a name that the loss does not have or a value outside its domain.
    """
    values: dict[str, Any] = {parameter.name: parameter.default for parameter in loss.signature.parameters}
    words = {parameter.name: parameter.word for parameter in loss.signature.parameters}
    for name, value in given.items():
        if name not in words:
            raise BadParameter(f"{loss.name} has no parameter '{name}'.", hint=near(name, words, "parameters"))
        values[name] = words[name].parse(name, value)
    return values
