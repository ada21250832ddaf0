"""Lines of JSON by pyarrow, several times as fast as the json module, where both are certain to agree.

pyarrow takes several objects on a line, `Inf`, and bytes that are no UTF-8, and crashes on deep nesting; it does not take
`NaN` in quotes, or true as a number. A piece with any of these is `Odd`, and goes to the json module.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.files.cells import large
from lossctl.files.jsonl_columns import LIST, NUMBER, OBJECT, OTHER, TEXT, Node, shape_of
from lossctl.files.jsonl_values import BLANKS, MANY_DIGITS
from lossctl.files.values import DEEPEST, WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.blocks import NumPyArray
    from lossctl.files.jsonl_values import Column
    from lossctl.files.pieces import Piece

# The key under which bare values stand.
BARE = "value"
NO_NUMBER = re.compile(rb"[\s:,\[-](?:Inf|NaN)")
# Both read -0 as zero, but only pyarrow keeps its sign.
NEGATIVE_ZERO = re.compile(rb"-0[\s,}\]]")


class Odd(Exception):
    """A piece that pyarrow might read in its own way. No error: it says which way to go."""


def survey(piece: Piece, *, records: bool) -> tuple[Node, int]:
    """Return what a piece holds, and its number of values.

    Raises: Odd.
    """
    node = Node()
    table, rows = _table(piece, records, None)
    for field, column in zip(table.schema, table.columns, strict=True) if rows else ():
        _see(node.child(field.name), column.combine_chunks())
    node.kinds |= {OBJECT} if rows else set()
    if records or not rows:
        return node, rows
    if set(node.children) != {BARE} or OBJECT in node.children[BARE].kinds:
        raise Odd
    return node.children[BARE], rows


def convert(piece: Piece, columns: Sequence[Column], *, records: bool) -> list[NumPyArray]:
    """Return columns as float64, each of the shape (rows, *shape). The piece has been surveyed.

    Raises: Odd.
    """
    table, rows = _table(piece, records, _schema(columns))
    found = [_array(_found(table, column.path or (BARE,)), column, rows) for column in columns]
    if any(map(large, found)) and MANY_DIGITS.search(piece.content):
        raise Odd
    return found


def _table(piece: Piece, records: bool, schema: Any) -> tuple[Any, int]:  # noqa: FBT001 - private
    import pyarrow as pa
    from pyarrow import json

    lines = [line for line in (line.strip(BLANKS) for line in piece.content.split(b"\n")) if line]
    _check(piece.content, lines, records)
    content = piece.content if records else b"".join(b'{"%s":%s}\n' % (BARE.encode(), line) for line in lines)
    if not lines:
        return pa.table({}), 0
    reading = json.ReadOptions(use_threads=False, block_size=len(content) + 1)
    parsing = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore" if schema else "infer")
    try:
        table = json.read_json(pa.BufferReader(content), reading, parsing)
        # pyarrow 26 loses the first items of [null, 1.5] where it finds out the type itself, and reads past the end.
        table.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise Odd from error
    if len(table) != len(lines):
        raise Odd
    return table, len(lines)


def _check(content: bytes, lines: list[bytes], records: bool) -> None:  # noqa: FBT001 - private
    """Leave to the json module what pyarrow takes and JSON does not, and what would crash it."""
    odd = (b"Inf" in content or b"NaN" in content) and NO_NUMBER.search(content) is not None
    # With an object at both ends of each line, as many objects as lines are one a line.
    odd = odd or (records and not all(line[:1] == b"{" and line[-1:] == b"}" for line in lines))
    if odd or b"\0" in content or NEGATIVE_ZERO.search(content) or any(map(_is_deep, lines)):
        raise Odd
    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError as error:
            raise Odd from error


def _is_deep(line: bytes) -> bool:
    if line.count(b"[") + line.count(b"{") <= DEEPEST:
        return False
    signs = np.frombuffer(line, np.uint8)
    opened = np.isin(signs, (ord("["), ord("{"))).astype(np.int32)
    return int(np.cumsum(opened - np.isin(signs, (ord("]"), ord("}")))).max()) > DEEPEST


def _see(node: Node, array: Any) -> None:
    import pyarrow as pa
    from pyarrow import compute

    kind = array.type
    if pa.types.is_null(kind):
        return
    if pa.types.is_struct(kind):
        node.kinds.add(OBJECT)
        for index, field in enumerate(kind):
            _see(node.child(field.name), compute.struct_field(array, [index]))
        return
    node.kinds |= _kinds(array)
    first = array.drop_null()[:1].to_pylist() if pa.types.is_list(kind) else []
    node.shape = shape_of(first[0]) if first else ()


def _kinds(array: Any) -> set[str]:
    import pyarrow as pa

    kind = array.type
    if pa.types.is_list(kind):
        return {LIST} | _kinds(array.flatten())
    if pa.types.is_null(kind):
        return set()
    if pa.types.is_struct(kind):
        return {OTHER}
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return {NUMBER}
    if pa.types.is_string(kind):
        _check_words(array)
    return {TEXT}


def _check_words(array: Any) -> None:
    """Leave texts to the json module that are numbers in quotes."""
    from pyarrow import compute

    likely = array.filter(compute.match_substring_regex(array, "(?i)nan|inf")).unique().to_pylist()
    if any(text and text.strip().lower() in WORDS for text in likely):
        raise Odd


def _schema(columns: Sequence[Column]) -> Any:
    """The types of the columns that are wanted, nested as they are."""
    import pyarrow as pa

    wanted: dict[str, Any] = {}
    for column in columns:
        if column.mixed:
            raise Odd
        *outer, last = column.path or (BARE,)
        inner = wanted
        for key in outer:
            inner = inner.setdefault(key, {})
        kind = pa.float64()
        for _ in column.shape:
            kind = pa.list_(kind)
        inner[last] = kind
    return pa.schema(_fields(wanted))


def _fields(wanted: dict[str, Any]) -> list[Any]:
    import pyarrow as pa

    return [pa.field(key, pa.struct(_fields(inner)) if isinstance(inner, dict) else inner) for key, inner in wanted.items()]


def _found(table: Any, path: tuple[str, ...]) -> Any:
    from pyarrow import compute

    array: Any = table.column(path[0]).combine_chunks() if len(table) else None
    for key in path[1:] if array is not None else ():
        array = compute.struct_field(array, [array.type.get_field_index(key)])
    return array


def _array(array: Any, column: Column, rows: int) -> NumPyArray:
    """Return numbers, NaN for null; lists that are ragged or null are for the json module to speak of."""
    from pyarrow import compute

    for size in column.shape if rows else ():
        lengths = compute.min_max(compute.list_value_length(array)).as_py()
        if array.null_count or set(lengths.values()) - {size, None}:
            raise Odd
        array = array.flatten()
    if not rows:
        return np.empty((0, *column.shape))
    # By way of dlpack, since pyarrow's own conversion imports pandas where that is installed.
    return np.from_dlpack(compute.fill_null(array, float("nan"))).reshape(rows, *column.shape)
