"""What columns of Parquet and Arrow files are: types, nulls, lists, structs, text, and places."""

from __future__ import annotations

import datetime as dt
import decimal
import pickle

import arrow_files
import numpy as np
import pyarrow as pa
import pytest

NAN = float("nan")
TYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]


@pytest.fixture(params=[*arrow_files.KINDS, "poured"])
def put(request, folder, monkeypatch):
    """Write a table as a file of one kind, all chunks of a few rows; `poured` goes through a temporary file."""
    if request.param == "poured":
        monkeypatch.setattr("lossctl.sources.chunked.LARGEST", 0)
        monkeypatch.setattr("lossctl.sources.chunked.BATCH", 4)
    kind = "one-group" if request.param == "poured" else request.param
    return lambda table: arrow_files.write(folder, kind, pa.table(table) if isinstance(table, dict) else table)


def same(found, expected):
    expected = np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_keep_their_type_and_every_bit(folder, put, dtype):
    ends = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    array = np.array([ends.min, ends.max, 0, 1, 2, 3, 5, 7], dtype)
    name = put({"x": array})
    same(folder.array(f"{name}:x"), array)
    same(folder.reader(f"{name}:x").read(2, 5), array[2:5])
    same(folder.reader(f"{name}:x").read(6, 99), array[6:])


def test_booleans_decimals_and_dictionaries_are_numbers(folder, put):
    words = pa.array([0.5, 2.5, 0.5, 7.0]).dictionary_encode()
    table = {
        "flag": [True, False, True, True],
        "price": pa.array(
            [decimal.Decimal(text) for text in ("0.07", "-1.10", "123456789012345.67", "0")], pa.decimal128(20, 2)
        ),
        "long": pa.array([decimal.Decimal(text) for text in ("0.1", "-3." + "3" * 29, "9" * 9, "0")], pa.decimal128(38, 29)),
        "code": words,
    }
    name = put(table)
    same(folder.array(f"{name}:flag"), np.array([True, False, True, True]))
    same(folder.array(f"{name}:price"), [0.07, -1.10, 123456789012345.67, 0.0])
    same(folder.array(f"{name}:long"), [0.1, float("-3." + "3" * 29), 999999999.0, 0.0])
    same(folder.array(f"{name}:code"), [0.5, 2.5, 0.5, 7.0])


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.bool_(), pa.float32(), pa.float64(), pa.decimal128(5, 2), pa.uint8(), pa.null()]
)
def test_a_null_anywhere_makes_the_column_float64_everywhere(folder, put, kind):
    given = decimal.Decimal if pa.types.is_decimal(kind) else bool if kind == pa.bool_() else int
    cells = [None if kind == pa.null() or i == 5 else given(i % 2) for i in range(8)]
    name = put({"x": pa.array(cells, kind)})
    reader = folder.reader(f"{name}:x")
    expected = [NAN if c is None else float(c) for c in cells]
    same(reader.read(0, 2), np.array(expected[:2]))
    same(reader.read(0, 8), np.array(expected))


def test_a_null_in_a_dictionary_or_its_words(folder, put):
    name = put({"x": pa.array([3, None, 4, 3]).dictionary_encode(), "y": pa.array([3, 4, 4, 3]).dictionary_encode()})
    same(folder.array(f"{name}:x"), [3, NAN, 4, 3])
    same(folder.array(f"{name}:y"), [3, 4, 4, 3])


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 4)])
def test_lists_are_rows(folder, put, kind):
    array = np.arange(28, dtype=np.float32).reshape(7, 4)
    name = put({"id": range(7), "logits": pa.array(array.tolist(), kind)})
    reader = folder.reader(f"{name}:logits")
    same(reader.read(0, 7), array)
    same(reader.read(2, 6), array[2:6])
    same(reader.read(1, 3, 1), array[:, 1:3])
    assert reader.place((6, 2)) == "row 6, column 'logits', element [2]"
    assert reader.place((6,)) == "row 6, column 'logits'"


def test_lists_of_lists_are_more_axes(folder, put):
    array = np.arange(60).reshape(5, 3, 4)
    name = put({"x": pa.array(array.tolist())})
    same(folder.array(f"{name}:x"), array)
    same(folder.reader(f"{name}:x").read(1, 3, 2), array[:, :, 1:3])


def test_null_lists_and_null_elements(folder, put):
    name = put(
        {
            "x": pa.array([None, [1, 2], [3, None], None, [5, 6]]),
            "y": pa.array([None, None], pa.list_(pa.int8())).take([0, 1, 0, 1, 0]),
        }
    )
    same(folder.array(f"{name}:x"), [[NAN, NAN], [1, 2], [3, NAN], [NAN, NAN], [5, 6]])
    assert folder.array(f"{name}:y").shape == (5, 0)


@pytest.mark.parametrize(("bad", "length"), [(1, 1), (4, 3), (6, 0)])
def test_a_ragged_list_is_named(folder, put, bad, length):
    name = put({"x": pa.array([[9] * length if i == bad else [1, 2] for i in range(7)])})
    message = f"ShapeMismatch: {name}, row {bad}, column 'x': the list has {length} elements, and in the first row it has 2."
    assert folder.fault(f"{name}:x") == f"{message} Pad the short rows or cut the long ones to one length before writing."


def test_a_ragged_inner_list_is_named_by_its_row(folder, put):
    rows = [[[1, 2], [3, 4]] for _ in range(5)]
    rows[4][1] = [7]
    name = put({"x": pa.array([None, *rows])})
    assert f"{name}, row 5, column 'x': the list has 1 elements, and in the first row it has 2." in folder.fault(f"{name}:x")


def test_fields_of_structs_have_names_of_their_own(folder, put):
    rows = [{"a": i, "in": {"b": i / 2, "c": str(i)}} if i != 2 else None for i in range(5)]
    name = put({"s": pa.array(rows), "t": pa.array([{"b": 10 + i} for i in range(5)])})
    same(folder.array(f"{name}:s.a"), [0, 1, NAN, 3, 4])
    same(folder.array(f"{name}:s.in.b"), [0, 0.5, NAN, 1.5, 2])
    same(folder.array(f"{name}:t.b"), np.arange(10, 15))
    container = arrow_files.container(folder, name)
    assert list(container.names) == ["s.a", "s.in.b", "s.in.c", "t.b"]
    assert container.all_texts(2) == ["0", "1", "", "3", "4"]
    # Both fields of one struct at once.
    same(folder.array(f"{name}:s.*[ab]"), [[0, 0], [1, 0.5], [NAN, NAN], [3, 1.5], [4, 2]])


def test_names_that_occur_twice_go_by_position(folder, put):
    name = put(pa.table([pa.array([1, 2, 3]), pa.array([4, 5, 6]), pa.array(["a", "b", "c"])], names=["x", "x", "x"]))
    same(folder.array(f"{name}:#1"), [1, 2, 3])
    same(folder.array(f"{name}:#2"), [4, 5, 6])
    assert arrow_files.container(folder, name).all_texts(2) == ["a", "b", "c"]
    assert "has 3 columns named 'x'" in folder.fault(f"{name}:x")
    # One of these is no name of a column's field, and the other is no field.
    name = put(pa.table([pa.array([1, 2]), pa.array([{"b": 3}, {"b": 4}])], names=["a.b", "a"]))
    same(folder.array(f"{name}:#1"), [1, 2])
    same(folder.array(f"{name}:#2"), [3, 4])


DAY, MOMENT = dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 12, 30, 0, 250000)  # noqa: DTZ001 - without a zone
TEXTS = [
    (pa.array(["é", "b", None]), ["é", "b", ""]),
    (pa.array(["u", "v", None], pa.large_string()), ["u", "v", ""]),
    (pa.array(["x", "y", None, "x"]).dictionary_encode(), ["x", "y", "", "x"]),
    (pa.array([b"x", b"\xff", None]), ["x", "\ufffd", ""]),
    (pa.array([7, -1, None]), ["7", "-1", ""]),
    (pa.array([2**63], pa.uint64()), [str(2**63)]),
    (pa.array([7.0, 0.1, None]), ["7.0", "0.1", ""]),
    (pa.array([np.float32(0.1)], pa.float32()), ["0.1"]),
    (pa.array([True, None]), ["True", ""]),
    (pa.array([decimal.Decimal("1.50"), None]), ["1.50", ""]),
    (pa.array([DAY, None]), ["2024-02-29", ""]),
    (pa.array([DAY], pa.date64()), ["2024-02-29"]),
    (pa.array([MOMENT, None], pa.timestamp("us")), ["2024-02-29T12:30:00.25", ""]),
    (pa.array([MOMENT], pa.timestamp("ns", "Europe/Berlin")), ["2024-02-29T12:30:00.25Z"]),
    (pa.array([MOMENT.replace(microsecond=0)], pa.timestamp("ms")), ["2024-02-29T12:30:00"]),
    (pa.array([MOMENT.time(), None], pa.time64("us")), ["12:30:00.25", ""]),
    (pa.array([1000], pa.time32("ms")), ["00:00:01"]),
    (pa.array([None, None], pa.null()), ["", ""]),
]


@pytest.mark.parametrize(("array", "expected"), TEXTS, ids=[str(array.type) + str(i) for i, (array, _) in enumerate(TEXTS)])
def test_columns_as_text(folder, put, array, expected):
    name = put({"x": array, "y": pa.array(range(len(array)))})
    assert arrow_files.container(folder, name).all_texts(0) == expected


def test_what_is_no_number_says_what_it_is(folder, put):
    name = put({"s": ["a"], "d": [DAY], "m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), "l": [["a"]], "n": [1]})
    hint = "Name a column of numbers, or write it as numbers."
    assert folder.fault(f"{name}:s") == f"UnreadableFile: Column 's' of {name} holds text (string), not numbers. {hint}"
    assert "holds dates (date32[day]), not numbers." in folder.fault(f"{name}:d")
    assert "holds maps (map<string, int64" in folder.fault(f"{name}:m")
    assert "holds lists of text (list<" in folder.fault(f"{name}:l")
    same(folder.array(f"{name}:n"), [1])
    assert arrow_files.container(folder, name).numeric() == [4]


def test_blocks_and_their_faults(folder, put):
    name = put({"a": [1, 2], "b": [0.5, 1.5], "l1": [[1], [2]], "s": ["x", "y"]})
    same(folder.array(f"{name}:[ab]"), [[1, 0.5], [2, 1.5]])
    assert folder.reader(f"{name}:[ab]").place((1, 1)) == "row 1, column 'b'"
    assert f"Column 'l1' of {name} holds lists; a block is made of columns of single numbers." in folder.fault(f"{name}:*")
    assert "holds text" in folder.fault(f"{name}:[as]")


def test_a_table_without_rows(folder, put):
    name = put({"x": pa.array([], pa.int32()), "l": pa.array([], pa.list_(pa.float64())), "s": pa.array([], pa.string())})
    same(folder.array(f"{name}:x"), np.empty(0, np.int32))
    same(folder.array(f"{name}:l"), np.empty((0, 0)))
    assert arrow_files.container(folder, name).all_texts(2) == []


def test_lists_of_a_fixed_size_have_it_without_rows(folder):
    name = arrow_files.write(folder, "parquet", pa.table({"x": pa.array([], pa.list_(pa.float64(), 3))}))
    same(folder.array(name), np.empty((0, 3)))


def test_parts_and_containers_are_pickled_without_what_they_hold(folder, put):
    name = put({"x": np.arange(1000), "s": ["a"] * 1000})
    reader = folder.reader(f"{name}:x")
    reader.read(0, 1000)
    content = pickle.dumps(reader)
    assert len(content) < 1000
    same(pickle.loads(content).read(10, 20), np.arange(10, 20))  # noqa: S301 - our own
    assert pickle.loads(pickle.dumps(arrow_files.container(folder, name))).all_texts(1) == ["a"] * 1000  # noqa: S301 - our own
