"""What a trial reads and is to learn: a block of features, and a target of numbers, classes or labels, by its values.

Rows are split into those to learn from and those to judge by, and features are put on one scale.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.engine.opening import Opened, inputs_of
from lossctl.errors import (
    BadParameter,
    LossctlError,
    NotFinite,
    NothingLeft,
    OutOfDomain,
    ShapeMismatch,
    UnknownKey,
    UnreadableFile,
    near,
)
from lossctl.sources.files import Files
from lossctl.sources.readers import NumPyArray, Reader, whole
from lossctl.sources.source import Given, locate
from lossctl.statistics.arrays import Draws
from lossctl.warnings import IDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.request.options import Options


REGRESSION, CLASSES, BINARY, LABELS = "regression", "classification", "binary", "multilabel"
TASKS = (REGRESSION, CLASSES, BINARY, LABELS)
# Whole numbers are labels where there are at most so many of them, and ten rows for each.
MOST, ROWS = 100, 10
PAIR, MATRIX = 2, 2


@dataclass(frozen=True)
class Task:
    """What a model's outputs stand for: `outputs` numbers a row, in one axis of their own if `wide`.

    `classes` are the names of the classes in the order of their codes; labels and numbers have none.
    """

    name: str
    outputs: int
    wide: bool
    classes: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        """The task with its size, for people."""
        if self.name == CLASSES:
            return f"classification of {len(self.classes)} classes"
        if self.name == BINARY:
            return f"binary classification of {self.classes[0]} and {self.classes[1]}"
        if self.name == LABELS:
            return f"{self.outputs} labels, any number of which apply"
        return f"regression of {self.outputs} numbers" if self.wide else "regression"


def understand(target: NumPyArray, wanted: str = "") -> tuple[Task, NumPyArray]:
    """Find the task that a target of numbers or text, shape (n,) or (n, k), is for, unless it is said; and code the target.

    Classes are coded 0..C-1 in their sorted order, labels 0 or 1; numbers stay float64.
    Raises: BadParameter for a task that there is none of; OutOfDomain for a target that does not vary; ShapeMismatch where
    target and task do not fit.
    """
    if wanted and wanted not in TASKS:
        raise BadParameter(f"--task knows no '{wanted}'.", hint=near(wanted, TASKS, "tasks"))
    if target.ndim == MATRIX and target.shape[1] == 1:
        target = target[:, 0]
    if target.ndim not in {1, MATRIX}:
        message = f"The target has shape {target.shape}; it must be (N,), or (N, K) for several numbers or labels."
        raise ShapeMismatch(message, hint="Give one row a sample.")
    if not target.size or (target == target[:1]).all():
        message = f"The target is {target.flat[0]} in all {len(target)} rows: there is nothing to learn." if target.size else ""
        raise OutOfDomain(message or "The target is empty.", hint="Give a target that varies.")
    task, coded = CODED[wanted or _inferred(target)](target)
    return task, coded


def _inferred(target: NumPyArray) -> str:
    """The task by the values alone."""
    if target.dtype.kind == "U":
        return CLASSES if len(np.unique(target)) > PAIR else BINARY
    if target.ndim == MATRIX:
        return REGRESSION if not _is_hot(target) else CLASSES if _is_one_hot(target) else LABELS
    different = len(np.unique(target))
    few = different <= max(PAIR, min(MOST, len(target) // ROWS))
    if not few or (target != np.floor(target)).any():
        return REGRESSION
    return BINARY if different == PAIR else CLASSES


def _is_hot(target: NumPyArray) -> bool:
    return target.dtype.kind != "U" and bool(((target == 0) | (target == 1)).all())


def _is_one_hot(target: NumPyArray) -> bool:
    return _is_hot(target) and bool((target.sum(axis=1) == 1).all())


def _numbers(target: NumPyArray) -> tuple[Task, NumPyArray]:
    if target.dtype.kind == "U":
        raise ShapeMismatch("The target is text, and --task regression needs numbers.", hint="Use --task classification.")
    wide = target.ndim == MATRIX
    return Task(REGRESSION, target.shape[1] if wide else 1, wide), target.astype(np.float64)


def _classes(target: NumPyArray) -> tuple[Task, NumPyArray]:
    if target.ndim == MATRIX:
        if not _is_one_hot(target):
            message = f"The target has shape {target.shape}, and --task classification needs one label a row."
            raise ShapeMismatch(message, hint="Give labels, or one-hot rows; for several labels use --task multilabel.")
        named = tuple(str(place) for place in range(target.shape[1]))
        return Task(CLASSES, len(named), wide=True, classes=named), target.argmax(axis=1)
    names, codes = np.unique(target, return_inverse=True)
    if target.dtype.kind != "U" and len(names) > max(PAIR, len(target) // 2):
        message = f"The target has {len(names)} different values in {len(target)} rows: too many to be classes."
        raise OutOfDomain(message, hint="Use --task regression.")
    return Task(CLASSES, len(names), wide=True, classes=tuple(_named(name) for name in names.tolist())), codes.astype(np.int64)


def _named(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _binary(target: NumPyArray) -> tuple[Task, NumPyArray]:
    task, codes = _classes(target)
    if len(task.classes) != PAIR:
        message = f"The target has {len(task.classes)} classes, and --task binary needs two."
        raise ShapeMismatch(message, hint="Use --task classification.")
    return replace(task, name=BINARY, outputs=1, wide=False), codes


def _labels(target: NumPyArray) -> tuple[Task, NumPyArray]:
    if target.ndim != MATRIX or not _is_hot(target):
        message = f"The target has shape {target.shape}, and --task multilabel needs a column of 0 and 1 for each label."
        raise ShapeMismatch(message, hint="Name the columns: table.csv:label_*.")
    return Task(LABELS, target.shape[1], wide=True), target.astype(np.int64)


CODED = {REGRESSION: _numbers, CLASSES: _classes, BINARY: _binary, LABELS: _labels}

# Fewer rows say nothing of any loss.
LEAST = 20
# Of the training part, for the choice of a learning rate.
VALIDATION = 0.2


@dataclass(frozen=True)
class TrainingRows:
    """Features (n, p) as the model sees them, and the coded target (n,) or (n, k)."""

    features: NumPyArray
    target: NumPyArray

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Data:
    """What is trained on, what is held out, and the numbers of the columns that do not vary and were left out."""

    task: Task
    train: TrainingRows
    test: TrainingRows
    dropped: tuple[int, ...] = ()


def divide(features: NumPyArray, target: NumPyArray, task: Task, share: float, *, purpose: str = "trial") -> Data:
    """Hold out a share of the rows, by class where there are classes, and put features (n, p) on one scale.

    Each column has mean 0 and standard deviation 1 in the training part. The same rows are held out on every run.
    Raises: ShapeMismatch for too few rows; BadParameter for a share that leaves one part empty; OutOfDomain for a class with a
    single row; NothingLeft where no column varies.
    """
    if not 0 < share < 1:
        raise BadParameter(f"--test-share is {share:g}, and must lie between 0 and 1.", hint="Its default is 0.3.")
    if len(target) < LEAST:
        message = f"There are {len(target)} rows, too few to train on some and judge by others."
        raise ShapeMismatch(message, hint=f"Give at least {LEAST}.")
    order = np.argsort(Draws().words(f"{purpose} split", 0, len(target)), kind="stable")
    strata = target if task.name in {CLASSES, BINARY} else np.zeros(len(target), np.int64)
    held_out = np.zeros(len(target), bool)
    for code in np.unique(strata):
        held_out[_held_out(order[strata[order] == code], share, task, int(code))] = True
    kept, scaled = _standardised(features, ~held_out)
    train, test = (TrainingRows(scaled[rows], target[rows]) for rows in (~held_out, held_out))
    return Data(task, train, test, tuple(np.flatnonzero(~kept).tolist()))


def _held_out(rows: NumPyArray, share: float, task: Task, code: int) -> NumPyArray:
    """The share of rows that are held out, at least one, and not all."""
    if len(rows) == 1:
        message = f"Class {task.classes[code]} has a single row, which cannot be both trained on and held out."
        raise OutOfDomain(message, hint="Give more rows of it, or leave it out.")
    return rows[: min(max(1, round(share * len(rows))), len(rows) - 1)]


def _standardised(features: NumPyArray, train: NumPyArray) -> tuple[NumPyArray, NumPyArray]:
    """Which columns vary in the training part, and those on one scale."""
    seen = features[train]
    kept = seen.max(axis=0) > seen.min(axis=0)
    if not kept.any():
        message = f"None of the {features.shape[1]} feature columns varies: there is nothing to learn from."
        raise NothingLeft(message, hint="Give features that vary.")
    seen = seen[:, kept]
    return kept, (features[:, kept] - seen.mean(axis=0)) / seen.std(axis=0)


COLUMN = re.compile(r"column ('.*')$")
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
        described = inputs_of(self.opened)
        return described if self.target.dtype.kind != "U" else [*described, *self._text()]

    def _text(self) -> list[dict[str, Any]]:
        """The files of a target that is text."""
        source = locate(self.source)
        containers = [contents.container for contents in self.opened.files.listed(self.source)]
        facts = {"key": source.key, "shape": list(self.target.shape), "dtype": "text", "read": {"rows": len(self.target)}}
        return [
            {"role": "target", "path": each.stored.name, **facts, "sha256": each.stored.sha256()}
            for each in containers
            if each is not None
        ]


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
    given, aim = _target_numbers(reader), _target(opened, target, features)
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


def _target_numbers(reader: Reader) -> NumPyArray:
    """All of an array as float64.

    Raises: UnreadableFile for what is not real numbers; NotFinite with the place of the first that is missing.
    """
    if reader.dtype.kind not in "biuf":
        raise UnreadableFile(f"{reader.name} holds {reader.dtype}, not real numbers.", hint="Convert it to integers or floats.")
    numbers: NumPyArray = np.asarray(whole(reader), np.float64)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
        message = f"{reader.name} at {reader.place(index)} is {numbers[index]}, {int(wrong.sum())} in all."
        raise NotFinite(message, hint="Fill them in, or leave out such rows and columns.")
    return numbers


def _target(opened: Opened, target: str, beside: str) -> NumPyArray:
    """The target as numbers, or as text where no cell is a number."""
    try:
        return _target_numbers(opened.open(Given(text=target), "target"))
    except UnreadableFile:
        texts = [text.strip() for text in opened.files.labels(target, Given(text=beside))]
        if not texts or any(_is_number(text) for text in texts):
            raise
    # A large table gives a reader before it is found to hold text.
    opened.readers = {key: reader for key, reader in opened.readers.items() if key[1] != "target"}
    if "" in texts:
        raise NotFinite(f"The target ({target}) is empty in row {texts.index('') + 1}.", hint="Leave out rows without a label.")
    return np.asarray(texts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _name(reader: Reader, column: int) -> str:
    """A feature as its file calls it, or by its number."""
    match = COLUMN.search(reader.place((0, column))) if len(reader.shape) == MATRIX else None
    return match[1].strip("'") if match else f"#{column + 1}"


def _is_target(column: NumPyArray, target: NumPyArray) -> bool:
    """Whether a feature is the target, or one of its columns: then nothing would have to be learnt."""
    if target.dtype.kind == "U":
        return False
    return any(np.array_equal(column, numbers) for numbers in np.atleast_2d(target.T))


USUAL = {
    REGRESSION: "mse,l1,huber",
    CLASSES: "cross_entropy,mse,l1,focal_multiclass",
    BINARY: "bce_with_logits,mse,hinge,focal",
    LABELS: "bce_with_logits,focal,asymmetric_multilabel,zlpr",
}
