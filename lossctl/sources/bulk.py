"""Large text tables, by pyarrow: only the columns that are asked for, with bounded memory.

Files without quotes are cut at line ends and parsed on several threads; with quotes, which may hold line ends, they are
read as one stream. Whatever pyarrow does not take goes to the csv module, which knows the line and has the last word.
"""

from __future__ import annotations

from itertools import islice, product
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from lossctl.progress import watch
from lossctl.sources.arrowed import joined
from lossctl.sources.cells import BLANK, Mixed, large, whole
from lossctl.sources.layout import WHITESPACE, Layout, rows
from lossctl.sources.spool import CHUNK, Group, Spool, ahead, slowly

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lossctl.sources.readers import NumPyArray, Part
    from lossctl.sources.stored import Stored

PIECE = 4 << 20
# A line longer than this is no row of numbers, and the csv module says so.
LONGEST_LINE = 1 << 24
# No number that anybody writes: the row that it fills must come out again as the last one.
MARK = 1.6180339887e-310
BOM = b"\xef\xbb\xbf"
FLOAT64 = np.dtype(np.float64)


class _Odd(Exception):
    """A piece that cannot be read on its own. No error: it says which way to go."""


class _Quoted(_Odd):
    """A piece with quotes, which may hold line ends."""


def convert(stored: Stored, layout: Layout, groups: Sequence[Group]) -> list[Part]:
    """Convert columns to numbers, to the same bits as cell by cell.

    Raises: UnreadableFile with line, column and cell of the first that is no number.
    """
    import pyarrow as pa

    watch().begin(f"reading {stored.name}", stored.size, of_bytes=True)
    for way in (_by_pieces, _as_stream) if layout.delimiter != WHITESPACE else ():
        try:
            return _collected(way(stored, layout, groups), groups, stored)
        except _Quoted:
            continue
        except (_Odd, pa.ArrowInvalid):
            break
    return slowly(rows(stored, layout), groups, stored, layout)


def strings(stored: Stored, layout: Layout, position: int) -> Iterator[list[str]]:
    """Yield the cells of a column as text, some at a time, as the csv module gives them.

    Raises: UnreadableFile with the line that is ragged or no text.
    """
    import pyarrow as pa

    done = 0
    # In a single column the csv module has rules of its own for blank lines.
    if layout.delimiter != WHITESPACE and len(layout.names) > 1:
        try:
            for cells in _cells(stored, layout, position):
                done += len(cells)
                yield cells
        except (_Odd, pa.ArrowInvalid):
            pass
        else:
            return
    left = islice(rows(stored, layout), done, None)
    while chunk := [cells[position] for _, cells in islice(left, CHUNK)]:
        yield chunk


def _cells(stored: Stored, layout: Layout, position: int) -> Iterator[list[str]]:
    options = _options(layout, [Group((position,))], PIECE)

    def parse(piece: bytes) -> list[str]:
        import pyarrow as pa
        from pyarrow import csv

        _check(piece, layout)
        if b'"' in piece:
            raise _Quoted
        chosen = csv.ConvertOptions(include_columns=[str(position)], column_types={str(position): pa.string()})
        texts: list[str] = csv.read_csv(pa.BufferReader(piece), **{**options, "convert_options": chosen}).column(0).to_pylist()
        return texts

    yield from ahead(parse, _pieces(_data(stored, layout)))


def _collected(batches: Iterable[dict[int, NumPyArray]], groups: Sequence[Group], stored: Stored) -> list[Part]:
    spools = [Spool(group, stored.name) for group in groups]
    for columns in batches:
        for group, spool in zip(groups, spools, strict=True):
            spool.add([columns[position] for position in group.positions])
    return [spool.done() for spool in spools]


def _by_pieces(stored: Stored, layout: Layout, groups: Sequence[Group]) -> Iterator[dict[int, NumPyArray]]:
    """Parse pieces on threads, in order; at most a few of them are in memory."""
    options = _options(layout, groups, PIECE)

    def parse(piece: bytes) -> dict[int, NumPyArray]:
        import pyarrow as pa
        from pyarrow import csv

        _check(piece, layout)
        if b'"' in piece:
            raise _Quoted
        columns = _arrays(csv.read_csv(pa.BufferReader(piece), **options), piece)
        beyond = [position for position, values in columns.items() if large(values)]
        return columns | _wholes(piece, layout, beyond, columns) if beyond else columns

    yield from ahead(parse, _pieces(_data(stored, layout)))


def _wholes(piece: bytes, layout: Layout, positions: Sequence[int], values: Mapping[int, NumPyArray]) -> dict[int, NumPyArray]:
    """Read columns once more as text, and as whole numbers where float64 has rounded one."""
    import pyarrow as pa
    from pyarrow import csv

    options = _options(layout, [Group(tuple(positions))], PIECE)
    options["convert_options"].column_types = {str(position): pa.string() for position in positions}
    table = csv.read_csv(pa.BufferReader(piece), **options)
    texts = {int(name): column.to_pylist() for name, column in zip(table.schema.names, table.columns, strict=True)}
    try:
        return {position: whole(texts[position], values[position]) for position in positions}
    except Mixed as error:
        # Who goes cell by cell knows the line.
        raise _Odd from error


def _as_stream(stored: Stored, layout: Layout, groups: Sequence[Group]) -> Iterator[dict[int, NumPyArray]]:
    """Parse the file from front to end on one thread; rows may hold quoted line ends."""
    from pyarrow import csv

    data = _data(stored, layout)
    for piece in _pieces(data):
        _check(piece, layout)
    options = _options(layout, groups, PIECE)
    options["parse_options"].newlines_in_values = True
    mark = layout.delimiter.join([str(MARK)] * len(layout.names))
    with csv.open_csv(_Marked(data.stream(), f"\n{mark}\n".encode()), **options) as reader:
        for columns in _unmarked(_arrays(batch, b"(") for batch in reader if len(batch)):
            if any(map(large, columns.values())):
                raise _Odd
            yield columns


class _Marked:
    """A stream with one more row at its end."""

    closed = False

    def __init__(self, stream: BinaryIO, mark: bytes) -> None:
        self._stream = stream
        self._mark = mark

    def read(self, size: int) -> bytes:
        """Return the next bytes, the mark after the last of them."""
        piece = self._stream.read(size)
        if not piece:
            piece, self._mark = self._mark, b""
        return piece


def _unmarked(batches: Iterable[dict[int, NumPyArray]]) -> Iterator[dict[int, NumPyArray]]:
    """Take the mark off again. Where it is missing, a quote that was never closed has taken it in, and rows before it."""
    last: dict[int, NumPyArray] = {}
    for batch in batches:
        if last:
            yield last
        last = batch
    if not last or any(column[-1] != MARK for column in last.values()):
        raise _Odd
    yield {position: column[:-1] for position, column in last.items()}


def _data(stored: Stored, layout: Layout) -> Stored:
    """The bytes below the header. In a single column a blank line is a cell, so those at the end are left out."""
    stream = stored.stream()
    head = b"".join(stream.readline() for _ in range(layout.skip))
    _check(head.removeprefix(BOM), layout)
    start = len(head) if head else len(BOM) * (stored.head(len(BOM)) == BOM)
    return stored.part(start, _end(stored, start) - start if len(layout.names) == 1 else stored.size - start)


def _end(stored: Stored, start: int) -> int:
    """Where the white space at the end of the file begins."""
    stop = stored.size
    while stop > start:
        first = max(start, stop - PIECE)
        left = stored.part(first, stop - first).stream().read().rstrip()
        if left:
            return first + len(left)
        stop = first
    return start


def _pieces(data: Stored) -> Iterator[bytes]:
    stream = data.stream(PIECE)
    while piece := stream.read(PIECE):
        line = stream.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE:
            raise _Odd
        yield piece + line


def _check(piece: bytes, layout: Layout) -> None:
    """Leave what pyarrow would read in its own way, or not notice in a column it skips, to the csv module."""
    lone = b"\r" in piece and piece.count(b"\r") != piece.count(b"\r\n")
    if lone or b"\0" in piece or (layout.comments and b"#" in piece):
        raise _Odd
    if not piece.isascii():
        try:
            piece.decode()
        except UnicodeDecodeError as error:
            raise _Odd from error


def count_lines(stored: Stored, layout: Layout) -> int:
    """Count the lines below the header; -1 where a row may take more or less than a line."""
    count, last = 0, b"\n"
    try:
        for piece in _pieces(_data(stored, layout)):
            _check(piece, layout)
            if b'"' in piece:
                return -1
            count, last = count + piece.count(b"\n"), piece[-1:]
    except _Odd:
        return -1
    return count + (last != b"\n")


def _options(layout: Layout, groups: Sequence[Group], block: int) -> dict[str, Any]:
    """Columns are named by their positions, since a header may name two alike."""
    import pyarrow as pa
    from pyarrow import csv

    wanted = [str(i) for i in sorted({position for group in groups for position in group.positions})]
    names = [str(i) for i in range(len(layout.names))]
    blank = ["".join(letters) for word in BLANK for letters in product(*zip(word, word.upper(), strict=True))]
    return {
        "read_options": csv.ReadOptions(column_names=names, use_threads=False, block_size=2 * block),
        "parse_options": csv.ParseOptions(delimiter=layout.delimiter, ignore_empty_lines=len(names) > 1),
        "convert_options": csv.ConvertOptions(
            include_columns=wanted, column_types=dict.fromkeys(wanted, pa.float64()), null_values=blank
        ),
    }


def _arrays(table: Any, piece: bytes) -> dict[int, NumPyArray]:
    columns = zip(table.schema.names, table.columns, strict=True)
    arrays = {int(name): joined(getattr(column, "chunks", [column]), (), FLOAT64) for name, column in columns}
    # pyarrow takes nan(any word) as a number, which nobody else does.
    if b"(" in piece and any(np.isnan(array).any() for array in arrays.values()):
        raise _Odd
    return arrays
