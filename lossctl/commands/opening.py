"""Opening: what a spec names is looked up, opened, and bound to its losses, before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl import shapes
from lossctl.backends import BACKENDS
from lossctl.binding import bind
from lossctl.block import Selection
from lossctl.commands.asked import by_shape, resolve
from lossctl.commands.sets import fitting
from lossctl.engine import evaluate
from lossctl.errors import LossctlError, ShapeMismatch
from lossctl.files import Files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.binding import Bound
    from lossctl.blocks import NumPyArray, Reader
    from lossctl.commands.asked import Asked
    from lossctl.spec import Given, Options, Spec

# Beyond this many pairs the message about shapes that broadcast does without the number that torch would print.
PAIRS = 10_000_000


@dataclass
class Opened:
    """Every input of every loss, each opened once."""

    files: Files
    options: Options
    readers: dict[tuple[Given, str], Reader]
    ids: list[str] | None = None

    def open(self, given: Given, role: str) -> Reader:
        """Open an input in a role, or return it as it was opened before."""
        key = _key(given, role)
        if key not in self.readers:
            self.readers[key] = self.files.open(given, role)
        return self.readers[key]

    def join(self, asked: Sequence[Asked]) -> None:
        """Put everything that has one entry a sample in the order of the first input's ids."""
        named = [(name, given) for one in asked for name, given in one.given.items() if _by_sample(one, name)]
        named += [(name, given) for name in ("weights", "mask") if (given := getattr(self.options, name))]
        givens = {_key(given, name): (name, given) for name, given in named}
        self.readers |= zip(givens, self.files.open_joined(list(givens.values()), self.options.on), strict=True)
        self.ids = self.files.labels(self.options.on, named[0][1])


def _key(given: Given, role: str) -> tuple[Given, str]:
    return replace(given, value=repr(given.value)) if given.inline else given, role


def _by_sample(one: Asked, name: str) -> bool:
    """Whether an argument has one entry a sample; a weight that broadcasts may be one a class."""
    arguments = {argument.name: argument.word for argument in one.loss.signature.arrays}
    return "n" in arguments[name].shape.split() and arguments[name].rule != "broadcast"


def _is_input(one: Asked, name: str) -> bool:
    return any(argument.name == name for argument in one.loss.signature.inputs)


@dataclass(frozen=True)
class Groups:
    """What samples are grouped by: the names of the groups in sorted order, and the number of each sample's."""

    names: Sequence[str]
    codes: NumPyArray


@dataclass(frozen=True)
class Prepared:
    """Losses with their inputs in place: everything that a pass over the data needs."""

    asked: Sequence[Asked]
    bounds: Sequence[Bound]
    selection: Selection
    groups: Groups | None
    opened: Opened


def prepare(spec: Spec, say: Callable[[str], None]) -> Prepared:
    """Look up, open and bind what `spec` asks for.

    Raises: UnknownName, BadParameter, UsageError, InputError.
    """
    options = spec.options
    asked = resolve(spec)
    opened = Opened(Files(folder=spec.folder, in_format=options.in_format, say=say), options, {})
    if options.on:
        opened.join(asked)
    readers = [{name: opened.open(given, name) for name, given in one.given.items()} for one in asked]
    asked = [
        by_shape(one, {name: reader.shape for name, reader in own.items()}) for one, own in zip(asked, readers, strict=True)
    ]
    asked, readers = fitting(asked, readers, options, say)
    for note in dict.fromkeys(one.note for one in asked if one.note):
        say(note)
    bounds = [_bound(one, own, options, alone=len(asked) == 1) for one, own in zip(asked, readers, strict=True)]
    weights = opened.open(options.weights, "weights") if options.weights else None
    mask = opened.open(options.mask, "mask") if options.mask else None
    return Prepared(asked, bounds, Selection(weights, mask), _groups(opened, asked), opened)


def _groups(opened: Opened, asked: Sequence[Asked]) -> Groups | None:
    options = opened.options
    if not options.by:
        return None
    beside = next(given for name, given in asked[0].given.items() if _is_input(asked[0], name))
    names, codes = np.unique(np.asarray(opened.files.labels(options.by, beside, options.on)), return_inverse=True)
    return Groups(names.tolist(), codes)


def _bound(one: Asked, readers: Mapping[str, Reader], options: Options, *, alone: bool) -> Bound:
    """Bind one loss; among several, an error says whose it is."""
    try:
        return _bind(one, readers, options)
    except LossctlError as error:
        if not alone:
            error.message = f"{one.label}: {error.message}"
        raise


def _bind(one: Asked, readers: Mapping[str, Reader], options: Options) -> Bound:
    """Bind one loss; where shapes would merely broadcast, say what both readings give."""
    try:
        return bind(one.loss, readers, one.params, options)
    except ShapeMismatch as error:
        advice = _both_readings(one, readers, options)
        if advice is None:
            raise
        message = f"{error.message} {advice}"
        raise ShapeMismatch(message, hint="Use --squeeze for the second, --broadcast for the first.") from error


def _both_readings(one: Asked, readers: Mapping[str, Reader], options: Options) -> str | None:
    """Compute what broadcasting gives and what matching rows gives, where both are possible."""
    given = [readers[argument.name].shape for argument in one.loss.signature.inputs if argument.name in readers]
    common = shapes.broadcast(*given)
    if options.broadcast or common is None or prod(common) > PAIRS or len({prod(shape) for shape in given}) > 1:
        return None
    try:
        views = (replace(options, broadcast=True), replace(options, squeeze=True))
        values = [_value(one, readers, view) for view in views]
    except LossctlError:
        return None
    pairs, rows = values
    return f"Broadcasting them would take {prod(common)} pairs and give {pairs:.6g}; matching them row by row gives {rows:.6g}."


def _value(one: Asked, readers: Mapping[str, Reader], options: Options) -> float:
    plain = replace(options, reduction="mean", per_sample=False, worst=0, best=0, stats=False)
    bound = bind(one.loss, readers, one.params, plain)
    return float(evaluate([bound], BACKENDS.get("numpy")(), plain, Selection())[0].value)


def inputs_of(opened: Opened) -> list[dict[str, Any]]:
    """Describe every input once: role, path, key, shape, type, and the hash of what was read."""
    return [{"role": role, **_facts(reader)} for (_, role), reader in opened.readers.items()]


def _facts(reader: Reader) -> dict[str, Any]:
    facts = reader.facts()
    return {
        "path": facts["path"],
        "key": facts["key"],
        "shape": list(reader.shape),
        "dtype": reader.dtype.name,
        "sha256": facts["sha256"],
    }
