"""What a trial reads: a block of features, and a target of numbers or text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.advice import IDS
from lossctl.blocks import whole
from lossctl.commands.opening import Opened, inputs_of
from lossctl.errors import LossctlError, NotFinite, NothingLeft, ShapeMismatch, UnknownKey, UnreadableFile
from lossctl.files import Files
from lossctl.files.source import locate
from lossctl.spec import Given, Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.blocks import NumPyArray, Reader

COLUMN = re.compile(r"column ('.*')$")
MATRIX = 2
# Matches every name of a column; `*` would match those of numbers alone.
EVERY = "?*"


@dataclass(frozen=True)
class Read:
    """Features (n, p), the target (n,) or (n, k) as it stands, the names of the features, and what describes the inputs."""

    features: NumPyArray
    target: NumPyArray
    names: list[str]
    opened: Opened
    source: str

    def inputs(self) -> list[dict[str, Any]]:
        """Describe every input once: role, path, key, shape, type, and the hash of what was read."""
        found = inputs_of(self.opened)
        return found if self.target.dtype.kind != "U" else [*found, *self._text()]

    def _text(self) -> list[dict[str, Any]]:
        """The files of a target that is text."""
        source = locate(self.source)
        stored = [one.container.stored for one in self.opened.files.listed(self.source) if one.container is not None]
        facts = {"key": source.key, "shape": list(self.target.shape), "dtype": "text", "read": {"rows": len(self.target)}}
        return [{"role": "target", "path": one.name, **facts, "sha256": one.sha256()} for one in stored]


def read(features: str, target: str, options: Options, say: Callable[[str], None]) -> Read:
    """Read both, row by row, and leave out a feature that is the target itself.

    Raises: what opening raises; ShapeMismatch for different numbers of rows; NotFinite.
    """
    files = Files(in_format=options.in_format, say=say, header=options.header)
    files.uses = [("features", Given(text=features)), ("target", Given(text=target))]
    opened = Opened(files, options, {})
    for role, text in (("features", features), ("target", target)):
        try:
            opened.open(Given(text=text), role)
        except LossctlError:
            # The one that may be read in another way says so below.
            continue
    opened.settle((), differ=True)
    reader = _features(opened, features, say)
    given, aim = _numbers(reader), _target(opened, target, features)
    files.say_headings()
    if len(given) != len(aim):
        message = f"features ({features}) have {len(given)} rows and the target ({target}) has {len(aim)}."
        raise ShapeMismatch(message, hint="Give one row a sample, in the same order.")
    if not options.row_order:
        named = [("features", Given(text=reader.name), len(given)), ("target", Given(text=target), len(aim))]
        for said in opened.files.check_rows(named, on=False):
            say(f"{IDS.code} {said}")
    opened.say_how(say)
    matrix = _matrix(given, reader, say)
    names = [_name(reader, column) for column in range(matrix.shape[1])]
    same = [_is_target(matrix[:, column], aim) for column in range(matrix.shape[1])]
    if any(same):
        say(f"left out of the features, since they are the target: {', '.join(_those(names, same))}")
    if all(same):
        raise NothingLeft("No feature is left.", hint="Name the columns to learn from: table.csv:x_*.")
    kept = np.flatnonzero(~np.asarray(same))
    return Read(matrix[:, kept], aim, [names[column] for column in kept], opened, target)


def _features(opened: Opened, features: str, say: Callable[[str], None]) -> Reader:
    """A block that is named, or all columns of a table; text among them is refused when it is read."""
    try:
        return opened.open(Given(text=features), "features")
    except UnknownKey:
        if locate(features).key is not None:
            raise
    say(f"all columns of {features} are taken as features")
    return opened.open(Given(text=f"{features}:{EVERY}"), "features")


def _those(names: list[str], chosen: list[bool]) -> list[str]:
    return [name for name, wanted in zip(names, chosen, strict=True) if wanted]


def _matrix(given: NumPyArray, reader: Reader, say: Callable[[str], None]) -> NumPyArray:
    """Features as columns; further axes, such as those of images, are laid end to end."""
    if given.ndim == 0:
        message = f"features ({reader.name}) are a single number."
        raise ShapeMismatch(message, hint="Give one row a sample, one column a feature.")
    matrix = given.reshape(len(given), -1) if given.size else given.reshape(len(given), 0)
    if given.ndim > MATRIX:
        say(f"features of shape {given.shape} are taken as {matrix.shape[1]} columns")
    if not matrix.shape[1]:
        raise NothingLeft("The features have no columns.", hint="Give at least one.")
    return matrix


def _numbers(reader: Reader) -> NumPyArray:
    """All of an array as float64.

    Raises: UnreadableFile for what is not real numbers; NotFinite with the place of the first that is missing.
    """
    if reader.dtype.kind not in "biuf":
        message = f"{reader.name} holds {reader.dtype}, not real numbers."
        raise UnreadableFile(message, hint="Convert it to integers or floats.")
    found: NumPyArray = np.asarray(whole(reader), np.float64)
    wrong = ~np.isfinite(found)
    if wrong.any():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
        message = f"{reader.name} at {reader.place(index)} is {found[index]}, {int(wrong.sum())} in all."
        raise NotFinite(message, hint="Fill them in, or leave out such rows and columns.")
    return found


def _target(opened: Opened, target: str, beside: str) -> NumPyArray:
    """The target as numbers, or as text where no cell is a number."""
    try:
        return _numbers(opened.open(Given(text=target), "target"))
    except UnreadableFile:
        texts = [text.strip() for text in opened.files.labels(target, Given(text=beside))]
        if not texts or any(_is_number(text) for text in texts):
            raise
    # A large table gives a reader before it is found to hold text.
    opened.readers = {key: reader for key, reader in opened.readers.items() if key[1] != "target"}
    if "" in texts:
        message = f"The target ({target}) is empty in row {texts.index('') + 1}."
        raise NotFinite(message, hint="Leave out rows without a label.")
    return np.asarray(texts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _name(reader: Reader, column: int) -> str:
    """A feature as its file calls it, or by its number."""
    found = COLUMN.search(reader.place((0, column))) if len(reader.shape) == MATRIX else None
    return found[1].strip("'") if found else f"#{column + 1}"


def _is_target(column: NumPyArray, target: NumPyArray) -> bool:
    """Whether a feature is the target, or one of its columns: then nothing would have to be learnt."""
    if target.dtype.kind == "U":
        return False
    return any(np.array_equal(column, one) for one in np.atleast_2d(target.T))
