"""Histories out of files: tables, JSON, JSON lines, and event files of TensorBoard.

A blank cell, `null` or `NA` is a gap: most tools log validation and learning rate only now and then. `nan` and `inf` are
losses, except in a row that has a validation loss: tools that write both into one table fill the other with `nan`. Losses that
end in blanks while rows go on are NaN: pandas writes it so (`blanks`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lossctl.diagnosis.blanks import blank_losses, said_of
from lossctl.diagnosis.history import Series
from lossctl.diagnosis.lines import has_lines, records
from lossctl.diagnosis.names import KNOWN, find, missing
from lossctl.diagnosis.settling import numbered, settle
from lossctl.errors import MissingFile, ShapeMismatch, UnreadableFile, UsageError
from lossctl.files.cells import floats, not_a_number
from lossctl.files.container import SURE, Heading, TextTable
from lossctl.files.heading import sentence
from lossctl.files.inputs import how_in_words
from lossctl.files.keys import is_unnamed
from lossctl.files.opening import opener, spooled, stored
from lossctl.files.source import STDIN, locate
from lossctl.files.stored import titled
from lossctl.files.tree import tree
from lossctl.files.values import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lossctl.diagnosis.history import Flags, Floats, History
    from lossctl.files.container import Container
    from lossctl.files.stored import Stored

LINES = ("jsonl", "ndjson")
GAPS = frozenset({"", "na", "null", "none"})
EVENTS = "tfevents"
ROWS = "row numbers"


@dataclass(frozen=True)
class Wanted:
    """Which columns are wanted by name, as which format the file is read, and which loss can be reached, where it is known.

    `header` is yes, no, or nothing where the first row of a table tells by itself whether it holds names. `wordy` adds to the
    notes how the file was read.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    in_format: str = ""
    floor: float | None = None
    header: str = ""
    wordy: bool = False


def read(text: str, wanted: Wanted) -> History:
    """Read the history that a SOURCE names; `PATH:COLUMN` names its loss too.

    Raises: MissingFile, UnreadableFile, UnknownKey, UsageError; MissingExtra for event files without tensorboard.
    """
    path, key = _place(text)
    names = {**wanted.names, "loss": key or wanted.names.get("loss", "")}
    if path != STDIN and (Path(path).is_dir() or EVENTS in Path(path).name):
        return _from_events(path, names, wanted.floor)
    container = _headed(_container(_opened(path), wanted.in_format), wanted.header, names)
    found = _from_table(container, names, wanted.floor)
    said = _said(container, wordy=wanted.wordy)
    return replace(found, notes=(*said, *found.notes)) if said else found


def _place(text: str) -> tuple[str, str]:
    source = locate(text)
    if len(source.paths) != 1:
        what = f"{len(source.paths)} files" if source.paths else "no file"
        message = f"'{text}' is {what}, and a history is one."
        raise UsageError(message, hint="Name one file, or one folder of event files.")
    return source.paths[0], source.key or ""


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


def _from_events(path: str, names: Mapping[str, str], floor: float | None) -> History:
    from lossctl.diagnosis.events import scalars  # noqa: PLC0415 - tensorboard is heavy

    tags = scalars(path)
    chosen = _chosen(list(tags), {**names, "step": ""}, path)
    chosen.pop("step", None)
    columns = {role: list(tags)[at] for role, at in chosen.items()}
    return settle({role: tags[name] for role, name in columns.items()}, columns, path, floor)


def _chosen(names: Sequence[str], wanted: Mapping[str, str], where: str) -> dict[str, int]:
    """The position of each role's column, where there is one.

    Raises: UnknownKey without a loss.
    """
    found = {role: find(role, names, wanted.get(role, ""), where) for role in KNOWN}
    if found["loss"] is None and len(names) > 1:
        raise missing(names, where)
    # A lone column is the loss, whatever it is called.
    found["loss"] = found["loss"] or 0
    return {role: at for role, at in found.items() if at is not None}


def _from_table(container: Container, wanted: Mapping[str, str], floor: float | None) -> History:
    known = ("loss",) if container.names is None else container.names
    lists = [at for at in range(len(known)) if _is_list(container, at)]
    # An index that pandas wrote along numbers rows, and leaves a lone column the loss.
    lists = [at for at in lists if not is_unnamed(known[at])] or lists
    names = [known[at] for at in lists]
    if not names:
        raise missing((), titled(container.stored.name))
    chosen = _chosen(names, wanted, titled(container.stored.name))
    cells = {role: _numbers(container, lists[at]) for role, at in chosen.items()}
    columns = {role: names[at] for role, at in chosen.items()}
    _check_lengths(cells, columns, container.stored.name)
    rest = set(lists) - {lists[at] for at in chosen.values()}
    others = [gap for at in sorted(rest) if len(gap := _gaps(container.all_texts(at))) == len(cells["loss"][1])]
    return _aligned(cells, columns, container.stored.name, floor, others)


def _aligned(
    cells: Mapping[str, tuple[Floats, Flags]], columns: dict[str, str], name: str, floor: float | None, others: Sequence[Flags]
) -> History:
    """Put columns beside their steps, without their gaps; `others` are the gaps of the columns that have no role."""
    values = {role: found for role, (found, _) in cells.items()}
    gaps = {role: gap for role, (_, gap) in cells.items()}
    _fill(values, gaps)
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
    found = settle(logged, columns, name, floor)
    return replace(found, notes=(*found.notes, *said_of(steps[blank & np.isfinite(steps)])))


def _is_list(container: Container, at: int) -> bool:
    """Whether there is a list of values under a name, and not a single one, as beside the log of a trainer."""
    if isinstance(container, TextTable):
        return True
    try:
        return bool(container.all_texts(at))
    except ShapeMismatch:
        return False


def _numbers(container: Container, at: int) -> tuple[Floats, Flags]:
    """The numbers of a column, and which of its cells are gaps.

    Raises: UnreadableFile for a cell that is text.
    """
    cells = [cell.strip() for cell in container.all_texts(at)]
    gaps = _gaps(cells)
    found = floats(["nan" if gap else cell for gap, cell in zip(gaps.tolist(), cells, strict=True)])
    if isinstance(found, int):
        raise _text(container, at, found, cells[found])
    return found, gaps


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


def _fill(values: Mapping[str, Floats], gaps: dict[str, Flags]) -> None:
    """Take `nan` for a gap where the row is about something else: a validation, or no loss at all."""
    if "val" in values:
        gaps["loss"] |= np.isnan(values["loss"]) & np.isfinite(values["val"])
    if "grad_norm" in values:
        gaps["grad_norm"] |= np.isnan(values["grad_norm"]) & gaps["loss"]
