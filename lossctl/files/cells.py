"""Cells of a text table: which are numbers, which are blank, and what to say about the rest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import UnreadableFile
from lossctl.files.values import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.blocks import NumPyArray

# Compared in lower case. A blank cell is NaN: whether NaN may be there is for `--nan` to decide.
BLANK = frozenset({"", "na", "nan", "null"})
NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE)
COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
DIGITS = re.compile(r"[+-]?(0x[0-9a-f]+|\d+(_\d+)+)", re.ASCII | re.IGNORECASE)


def number(cell: str) -> float | None:
    """Return the number in a cell, NaN for a blank one, None for text."""
    text = cell.strip()
    if text.lower() in BLANK:
        return np.nan
    return float(text) if NUMBER.fullmatch(text) else None


def numbers(cells: Sequence[str]) -> NumPyArray | int:
    """Return a column of cells as float64, or the position of the first cell that is text."""
    joined = "".join(cells)
    # float() also takes 1_000 and digits of other scripts; without those, what it takes is what `number` takes.
    if "_" not in joined and joined.isascii():
        try:
            return np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            pass
    values = np.empty(len(cells))
    for index, cell in enumerate(cells):
        value = number(cell)
        if value is None:
            return index
        values[index] = value
    return values


def not_a_number(where: str, line: int, column: str, cell: str) -> UnreadableFile:
    """The error about a cell of text in a column of numbers."""
    message = f"{where}, line {line}, column '{column}': {shown(cell)} is not a number."
    text = cell.strip()
    if COMMA.fullmatch(text):
        hint = f"Write decimals with a point: {text.replace(',', '.')}."
    elif DIGITS.fullmatch(text):
        hint = "Write plain decimal digits, such as 1000 or 1e3."
    else:
        hint = "Blank, NA, NaN and null cells count as NaN; write anything else as a number, or name another column."
    return UnreadableFile(message, hint=hint)
