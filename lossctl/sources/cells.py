"""Cells of a text table: which are numbers, which are blank, and what to say about the rest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from lossctl.errors import UnreadableFile
from lossctl.sources.values import LIMIT, held, shown, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.sources.readers import NumPyArray

# Compared in lower case. A blank cell is NaN: whether NaN may be there is for `--nan` to decide.
BLANK = frozenset({"", "na", "nan", "null"})
NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE)
COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
DIGITS = re.compile(r"[+-]?(0x[0-9a-f]+|\d+(_\d+)+)", re.ASCII | re.IGNORECASE)


# A whole number, with or without zeros behind a point.
WHOLE = re.compile(r"([+-]?\d+)(?:\.0*)?", re.ASCII)


class Mixed(Exception):
    """The cell at `index` is a whole number that float64 does not hold, in a column that is not whole throughout."""

    def __init__(self, index: int, number: int) -> None:
        """Keep both."""
        super().__init__(index, number)
        self.index, self.number = index, number


def number(cell: str) -> float | None:
    """Return the number in a cell, NaN for a blank one, None for text."""
    text = cell.strip()
    if text.lower() in BLANK:
        return np.nan
    return float(text) if NUMBER.fullmatch(text) else None


def numbers(cells: Sequence[str]) -> NumPyArray | int:
    """Return a column of cells as float64, or the position of the first cell that is text.

    Whole numbers of which float64 does not hold some are int64 or uint64.

    Raises: Mixed for such a number among others that are not whole.
    """
    values = floats(cells)
    return values if isinstance(values, int) or not large(values) else whole(cells, values)


def floats(cells: Sequence[str]) -> NumPyArray | int:
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


def large(values: NumPyArray) -> bool:
    """Whether float64 may have rounded a whole number among these: NaN compares as small."""
    with np.errstate(invalid="ignore"):
        return bool((values >= LIMIT).any() or (values <= -LIMIT).any())


def whole(cells: Sequence[str], values: NumPyArray) -> NumPyArray:
    """Return the column as whole numbers if float64, whose reading `values` is, has rounded one of them; else the values.

    Raises: Mixed.
    """
    wholes = [int(match[1]) if (match := WHOLE.fullmatch(cell.strip())) else None for cell in cells]
    lost = ((i, exact) for i, exact in enumerate(wholes) if exact is not None and abs(values[i]) >= LIMIT and not held(exact))
    first = next(lost, None)
    if first is None:
        return values
    # 1e3 is whole too.
    digits = [
        int(value) if exact is None and value.is_integer() else exact
        for exact, value in zip(wholes, values.tolist(), strict=True)
    ]
    column = together([exact for exact in digits if exact is not None]) if None not in digits else None
    if column is None:
        raise Mixed(*first)
    return column


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
