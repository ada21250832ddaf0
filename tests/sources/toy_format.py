"""A file format of somebody else's, written from CONTRIBUTING alone: .toy, a line of JSON and then columns of float64.

Its fields are called as lossctl's own containers once called theirs, which must mean nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from lossctl.errors import UnreadableFile
from lossctl.sources.container import Container


@dataclass(frozen=True)
class ToyColumn:
    """One column of numbers, read from its place in the file."""

    stored: object
    rows: int
    name: str
    written: None = None

    @property
    def shape(self):
        return (self.rows,)

    @property
    def dtype(self):
        return np.dtype(np.float64)

    def read(self, start, stop, axis=0):
        assert axis == 0
        start, stop, _ = slice(start, stop).indices(self.rows)
        numbers = np.empty(max(0, stop - start))
        self.stored.fill(numbers, 8 * start)
        return numbers

    def place(self, index):
        return f"sample {index[0] + 1} of {self.name}"


@dataclass(frozen=True)
class Toy(Container):
    """An opened .toy: `written` are its columns of numbers, `entries` those of text."""

    stored: object
    rows: int
    written: list
    entries: dict
    start: int
    layout: str = "columns"
    headed: bool = False
    noun = "column"

    @property
    def names(self):
        return [*self.written, *self.entries]

    def part(self, position):
        if position >= len(self.written):
            message = f"{self.where(position)} holds text, not numbers."
            raise UnreadableFile(message, hint="Name a column of numbers.")
        return ToyColumn(
            self.stored.part(self.start + 8 * self.rows * position, 8 * self.rows), self.rows, self.names[position]
        )

    def texts(self, position):
        if position < len(self.written):
            yield from super().texts(position)
        else:
            yield self.entries[self.names[position]]


def open_toy(stored):
    """Open a .toy."""
    line = stored.stream().readline()
    try:
        head = json.loads(line)
        toy = Toy(stored, head["rows"], head["numbers"], head["texts"], len(line))
    except (ValueError, KeyError, TypeError) as error:
        message = f"{stored.name} is no .toy: its first line is not the header."
        raise UnreadableFile(message, hint="Write it again.") from error
    if toy.start + 8 * toy.rows * len(toy.written) > stored.size:
        message = f"{stored.name} is cut short: it has {stored.size} bytes."
        raise UnreadableFile(message, hint="Copy it again.")
    return toy


def write(path, texts=None, **numbers):
    """Write a .toy."""
    columns = [np.asarray(column, "<f8") for column in numbers.values()]
    head = {"rows": len(columns[0]), "numbers": [*numbers], "texts": texts or {}}
    path.write_bytes(json.dumps(head).encode() + b"\n" + b"".join(column.tobytes() for column in columns))
