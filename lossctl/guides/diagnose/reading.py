"""Histories out of files: tables, JSON, JSON lines, and event files of TensorBoard.

Tools call the same column by several names; where a file has several of them, the first in these lists counts. A blank cell,
`null` or `NA` is a gap: most tools log validation and learning rate only now and then. `nan` and `inf` are losses, except in a
row that has a validation loss: tools that write both into one table fill the other with `nan`. Losses that end in blanks while
rows go on are NaN: pandas writes NaN as nothing, and some writers of JSON as null (`blanks`).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lossctl.errors import LISTED, MissingFile, ShapeMismatch, UnknownKey, UnreadableFile, UsageError, near
from lossctl.guides.diagnose.faults import whole
from lossctl.guides.diagnose.history import Flags, Floats, History, Series, numbered, scalars, settle
from lossctl.sources.cells import floats, not_a_number
from lossctl.sources.container import SURE, Container, Heading, TextTable
from lossctl.sources.inputs import how_in_words
from lossctl.sources.keys import is_unnamed
from lossctl.sources.layout import sentence
from lossctl.sources.opening import opener, spooled, stored
from lossctl.sources.source import STDIN, locate
from lossctl.sources.stored import Stored, titled
from lossctl.sources.tree import tree
from lossctl.sources.values import shown

STEP = ("step", "global step", "iteration", "iter", "iterations", "steps", "train step", "train global step", "batch", "epoch")
LOSS = (
    *("loss", "train loss", "training loss", "loss train", "loss training", "train loss step", "train loss epoch"),
    *("loss step", "epoch loss", "train epoch loss", "loss epoch", "total loss", "train total loss", "batch loss"),
)
VAL = (
    *("val loss", "valid loss", "validation loss", "eval loss", "dev loss", "loss val", "loss valid", "loss validation"),
    *("loss eval", "val loss epoch", "validation epoch loss", "val epoch loss", "test loss", "loss test"),
)
LR = ("lr", "learning rate", "train lr", "train learning rate", "epoch learning rate")
GRAD_NORM = ("grad norm", "gradient norm", "train grad norm", "train gradient norm", "total grad norm", "global grad norm")
KNOWN = {"step": STEP, "loss": LOSS, "val": VAL, "lr": LR, "grad_norm": GRAD_NORM}
# `trainLoss` and `train/loss` are `train loss`; the trainer of Hugging Face keeps its columns under `log_history`.
BETWEEN = re.compile(r"[^0-9a-zA-Z]+|(?<=[a-z])(?=[A-Z])")
WITHIN = "log history "


def spelt(name: str) -> str:
    """A column's name in lower-case words with single spaces."""
    words = " ".join(word for word in BETWEEN.split(name) if word).lower()
    return words.removeprefix(WITHIN)


def find(role: str, names: Sequence[str], wanted: str, where: str) -> int | None:
    """Return the position of the column for a role: the one that is wanted by name, else the best known one.

    Raises: UnknownKey for a wanted name that there is none of, or a name that stands there twice.
    """
    if wanted:
        places = [i for i, name in enumerate(names) if name == wanted]
        places = places or [i for i, name in enumerate(names) if spelt(name) == spelt(wanted)]
        if not places:
            raise UnknownKey(f"{where} has no column '{wanted}'.", hint=near(wanted, names, "columns"))
        return _only(places, names, role, where)
    words = [spelt(name) for name in names]
    known = [name for name in KNOWN[role] if name in words]
    if known:
        return _only([i for i, word in enumerate(words) if word == known[0]], names, role, where)
    # The monitors of learning rates add the optimizer's name: `lr-Adam`.
    return next((i for i, word in enumerate(words) if role == "lr" and word.startswith("lr ")), None)


def _only(places: list[int], names: Sequence[str], role: str, where: str) -> int:
    if len(places) > 1:
        option = role.replace("_", "-")
        message = f"{where} has {len(places)} columns that could be the {option}: {', '.join(names[i] for i in places)}."
        raise UnknownKey(message, hint=f"Name one with --{option}.")
    return places[0]


def missing(names: Sequence[str], where: str) -> UnknownKey:
    """The error about a history without a loss."""
    message = f"{where} has no column that is known as a loss."
    listed = ", ".join(names[:LISTED]) + (f", and {len(names) - LISTED} more" if len(names) > LISTED else "")
    hint = f"Name one with --loss. Its columns are: {listed}." if names else "A history has at least a column of losses."
    return UnknownKey(message, hint=hint)


HEAD = 1 << 16
HINT = 'Each line is one object: {"step": 1, "loss": 2.3}.'


def has_lines(content: Stored) -> bool:
    """Whether the first line is an object by itself, and not the last."""
    first, _, rest = content.head(HEAD).partition(b"\n")
    try:
        return bool(rest.strip()) and isinstance(json.loads(first), dict)
    except ValueError:
        return False


def records(content: Stored) -> list[dict[str, object]]:
    """Return the objects of all lines that are not blank; NaN and Infinity are numbers.

    Raises: UnreadableFile with the line that is none.
    """
    lines = ((line, text) for line, text in enumerate(content.stream(), 1) if text.strip())
    return [_record(text, f"{titled(content.name)}, line {line},") for line, text in lines]


def _record(text: bytes, where: str) -> dict[str, object]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{where} is not JSON: {error}.", hint=HINT) from error
    if not isinstance(record, dict):
        raise UnreadableFile(f"{where} is {shown(record)} and no object.", hint=HINT)
    return record


# Fewer blanks are a summary at the end of a log, or a row about something else.
FEWEST = 3
# Logs that write a loss only now and then end in as many blanks as lie between two losses.
LONGER = 2


def blank_losses(gaps: Flags, due: Flags, others: Sequence[Flags]) -> Flags:
    """Which gaps of the loss (n,) stand for NaN, of those that are `due` (n,); `others` are the gaps of other columns.

    They are at the end, more than twice as long as any gap between two losses; or the only gap of a log that has a loss in
    every other row. A row that holds what no row with a loss holds, such as a validation, is about that and is not counted.
    """
    blank = np.zeros(len(gaps), bool)
    logged = np.flatnonzero(~gaps)
    if not len(logged):
        return blank
    missing = due.copy()
    for other in others:
        if other[logged].mean() >= 0.5:  # noqa: PLR2004 - in most rows with a loss there is nothing of this
            missing &= other
    between = np.add.reduceat(missing, logged)
    # The last of these sums is of the rows behind the last loss.
    between, tail = np.sort(between[:-1]), int(between[-1])
    longest, next_to = (int(between[-place]) if len(between) >= place else 0 for place in (1, 2))
    if longest >= FEWEST and next_to == 0:
        inside = np.arange(len(gaps)) > logged[0]
        blank |= missing & inside & (np.arange(len(gaps)) < logged[-1])
        longest = 0
    if tail >= FEWEST and tail > LONGER * longest:
        blank |= missing & (np.arange(len(gaps)) > logged[-1])
    return blank


def said_of(steps: Floats) -> list[str]:
    """The note about blank losses at these steps."""
    if not len(steps):
        return []
    where = f"from step {whole(float(steps[0]))} to {whole(float(steps[-1]))}"
    return [f"{len(steps)} losses {where} are blank while the log goes on: taken as NaN, which pandas writes so"]


LINES = ("jsonl", "ndjson")
GAPS = frozenset({"", "na", "null", "none"})
EVENTS = "tfevents"
ROWS = "row numbers"


@dataclass(frozen=True)
class WantedColumns:
    """Which columns are wanted by name, as which format the file is read, and which loss can be reached, where it is known.

    `header` is yes, no, or nothing where the first row of a table tells by itself whether it holds names. `wordy` adds to the
    notes how the file was read.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    in_format: str = ""
    floor: float | None = None
    header: str = ""
    wordy: bool = False


def read(text: str, wanted: WantedColumns) -> History:
    """Read the history that a SOURCE names; `PATH:COLUMN` names its loss too.

    Raises: MissingFile, UnreadableFile, UnknownKey, UsageError; MissingExtra for event files without tensorboard.
    """
    source = locate(text)
    if len(source.paths) != 1:
        what = f"{len(source.paths)} files" if source.paths else "no file"
        raise UsageError(f"'{text}' is {what}, and a history is one.", hint="Name one file, or one folder of event files.")
    path, key = source.paths[0], source.key or ""
    names = {**wanted.names, "loss": key or wanted.names.get("loss", "")}
    if path != STDIN and (Path(path).is_dir() or EVENTS in Path(path).name):
        tags = scalars(path)
        chosen = _chosen(list(tags), {**names, "step": ""}, path)
        chosen.pop("step", None)
        columns = {role: list(tags)[at] for role, at in chosen.items()}
        return settle({role: tags[name] for role, name in columns.items()}, columns, path, wanted.floor)
    container = _headed(_container(_opened(path), wanted.in_format), wanted.header, names)
    history = _from_table(container, names, wanted.floor)
    said = _said(container, wordy=wanted.wordy)
    return replace(history, notes=(*said, *history.notes)) if said else history


def _opened(path: str) -> Stored:
    if path != STDIN:
        return stored(Path(path), path)
    if sys.stdin is None:
        raise MissingFile("Standard input is closed.", hint="Pipe a file into it, or name one.")
    return spooled(sys.stdin.buffer, STDIN)


def _container(content: Stored, in_format: str) -> Container:
    suffix = in_format.lower().lstrip(".") or Path(content.name).suffix.lower().lstrip(".")
    if suffix in LINES or (not suffix and has_lines(content)):
        return tree(content, records(content), "JSON lines")
    return opener(content, in_format)(content)


def _headed(container: Container, header: str, names: Mapping[str, str]) -> Container:
    """The file with its first row read as was asked for, or as a column that is asked for by name wants it."""
    if not isinstance(container, TextTable):
        return container
    asked = container.heading.doubt != SURE and not set(names.values()).isdisjoint(map(str.strip, container.first))
    return container.headed(Heading(header != "no")) if header or asked else container


def _said(container: Container, *, wordy: bool) -> tuple[str, ...]:
    """What has to be said of how a file was read."""
    if not isinstance(container, TextTable):
        return ()
    name, heading = titled(container.stored.name), container.heading
    said = [sentence(name, container.first, heading)] if heading.why else []
    return (*said, f"{name}: {how_in_words(container.how())}") if wordy else tuple(said)


def _chosen(names: Sequence[str], wanted: Mapping[str, str], where: str) -> dict[str, int]:
    """The position of each role's column, where there is one.

    Raises: UnknownKey without a loss.
    """
    positions = {role: find(role, names, wanted.get(role, ""), where) for role in KNOWN}
    if positions["loss"] is None and len(names) > 1:
        raise missing(names, where)
    # A lone column is the loss, whatever it is called.
    positions["loss"] = positions["loss"] or 0
    return {role: at for role, at in positions.items() if at is not None}


def _from_table(container: Container, wanted: Mapping[str, str], floor: float | None) -> History:
    known = ("loss",) if container.names is None else container.names
    lists = [at for at in range(len(known)) if _is_list(container, at)]
    # An index that pandas wrote along numbers rows, and leaves a lone column the loss.
    lists = [at for at in lists if not is_unnamed(known[at])] or lists
    names = [known[at] for at in lists]
    if not names:
        raise missing((), titled(container.stored.name))
    chosen = _chosen(names, wanted, titled(container.stored.name))
    cells = {role: _column_numbers(container, lists[at]) for role, at in chosen.items()}
    columns = {role: names[at] for role, at in chosen.items()}
    _check_lengths(cells, columns, container.stored.name)
    rest = set(lists) - {lists[at] for at in chosen.values()}
    others = [gap for at in sorted(rest) if len(gap := _gaps(container.all_texts(at))) == len(cells["loss"][1])]
    return _aligned(cells, columns, container.stored.name, floor, others)


def _aligned(
    cells: Mapping[str, tuple[Floats, Flags]], columns: dict[str, str], name: str, floor: float | None, others: Sequence[Flags]
) -> History:
    """Put columns beside their steps, without their gaps; `others` are the gaps of the columns that have no role."""
    values = {role: numbers for role, (numbers, _) in cells.items()}
    gaps = {role: gap for role, (_, gap) in cells.items()}
    # Take `nan` for a gap where the row is about something else: a validation, or no loss at all.
    if "val" in values:
        gaps["loss"] |= np.isnan(values["loss"]) & np.isfinite(values["val"])
    if "grad_norm" in values:
        gaps["grad_norm"] |= np.isnan(values["grad_norm"]) & gaps["loss"]
    # A row with a validation loss is about that, whatever other rows hold.
    due = gaps["loss"] & gaps.get("val", True)
    blank = blank_losses(gaps["loss"], due, [gap for role, gap in gaps.items() if role not in {"loss", "step"}] + [*others])
    gaps["loss"] &= ~blank
    steps = values.pop("step", None)
    if steps is None or numbered(steps, ~gaps["loss"]):
        steps = np.arange(1.0, len(values["loss"]) + 1)
        columns["step"] = ROWS
    kept = {role: ~gaps[role] & np.isfinite(steps) for role in values}
    logged = {role: Series(steps[kept[role]], values[role][kept[role]]) for role in values}
    history = settle(logged, columns, name, floor)
    return replace(history, notes=(*history.notes, *said_of(steps[blank & np.isfinite(steps)])))


def _is_list(container: Container, at: int) -> bool:
    """Whether there is a list of values under a name, and not a single one, as beside the log of a trainer."""
    if isinstance(container, TextTable):
        return True
    try:
        return bool(container.all_texts(at))
    except ShapeMismatch:
        return False


def _column_numbers(container: Container, at: int) -> tuple[Floats, Flags]:
    """The numbers of a column, and which of its cells are gaps.

    Raises: UnreadableFile for a cell that is text.
    """
    cells = [cell.strip() for cell in container.all_texts(at)]
    gaps = _gaps(cells)
    numbers = floats(["nan" if gap else cell for gap, cell in zip(gaps.tolist(), cells, strict=True)])
    if isinstance(numbers, int):
        raise _text(container, at, numbers, cells[numbers])
    return numbers, gaps


def _gaps(cells: Sequence[str]) -> Flags:
    return np.array([cell.strip().lower() in GAPS for cell in cells], bool)


def _text(container: Container, at: int, row: int, cell: str) -> UnreadableFile:
    name, where = "loss" if container.names is None else container.names[at], titled(container.stored.name)
    if isinstance(container, TextTable):
        return not_a_number(where, container.line(row), name, cell)
    message = f"{where}, entry {row + 1} of '{name}': {shown(cell)} is not a number."
    return UnreadableFile(message, hint="Write numbers, null, NaN or Infinity, or name another column.")


def _check_lengths(cells: Mapping[str, tuple[Floats, Flags]], columns: Mapping[str, str], name: str) -> None:
    """Refuse lists of a JSON document that do not stand side by side.

    Raises: ShapeMismatch.
    """
    length = len(cells["loss"][0])
    odd = next((role for role, (values, _) in cells.items() if len(values) != length), None)
    if odd is not None:
        message = f"{titled(name)}: '{columns[odd]}' has {len(cells[odd][0])} values, but '{columns['loss']}' has {length}."
        raise ShapeMismatch(message, hint="Write null where nothing was logged, or one record a step.")
