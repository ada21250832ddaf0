"""Comma-separated values: the fewest digits that read back to the same bits, `nan`, `inf` and `-inf`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.blocks import NumPyArray
    from lossctl.sinks.tables import Spooled

# Text takes some three times the memory of the numbers, and is there twice.
ELEMENTS = 1 << 17
# The csv module quotes what its own line end holds: only this one makes it quote a lone carriage return.
LINE_END = "\r\n"


class _Lines(list[str]):
    """A file for the csv module, which writes each line with one call."""

    def write(self, line: str) -> None:
        self.append(line.removesuffix(LINE_END))


def write(file: BinaryIO, spooled: Spooled) -> None:
    """Write a header line and one line for each sample."""
    first = [] if spooled.ids is None else [spooled.id_name]
    file.write(f"{_quoted([[*first, *spooled.names]])[0]}\n".encode())
    file.writelines(_lines([ids][: len(first)], columns) for ids, columns in spooled.chunks(ELEMENTS))


def _quoted(rows: Iterable[list[str]]) -> list[str]:
    """Join cells to lines, quoted only where they must be."""
    import csv

    lines = _Lines()
    csv.writer(lines, lineterminator=LINE_END).writerows(rows)
    return lines


def _lines(texts: list[list[str]], columns: list[NumPyArray]) -> Any:
    """Return lines as one buffer of bytes."""
    import pyarrow as pa
    from pyarrow import compute

    cells = [pa.array(_quoted([text] for text in column), pa.string()) for column in texts]
    cells += [_written(column) for column in columns]
    joined = compute.binary_join_element_wise(*cells, ",") if len(cells) > 1 else cells[0]
    # The texts of an array stand one after another in its last buffer.
    return compute.binary_join_element_wise(joined, "", "\n").buffers()[-1]


def _written(column: NumPyArray) -> Any:
    """Write numbers as text; pyarrow does it several times as fast as Python."""
    import pyarrow as pa

    # Not every pyarrow writes float16, and a float32 holds the same number.
    numbers = column.astype(np.float32) if column.dtype == np.float16 else column
    kind = pa.from_numpy_dtype(numbers.dtype)
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)]).cast(pa.string())
