"""What a loss is: two small functions, a signature, and a docstring that is its page.

`terms(xp, *inputs, **params)` gives unreduced arrays with the sample axis first; `finish(xp, sums, **params)` makes the
mean of their sums. Everything else (reductions, streaming, weights, groups) is the engine's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lossctl.signature import Array, Signature, read_signature

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
        message = f"not an example: {text}"
        raise TypeError(message)
    inputs = tuple(ast.literal_eval(node) for node in tree.args)
    keywords = {node.arg: ast.literal_eval(node.value) for node in tree.keywords if node.arg}
    return Example(inputs, keywords, float(value))
