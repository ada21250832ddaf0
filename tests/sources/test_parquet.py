"""Parquet files: codecs, pages and row groups, what statistics say, and files that cannot be read."""

from __future__ import annotations

import threading

import arrow_files
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from lossctl.sources.parquet import RowGroups
from lossctl.sources.recent import RECENT, Recent, _Chunk

NUMBERS = np.random.default_rng(0).normal(size=1000)


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd", "gzip", "lz4", "brotli"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("group", [7, 1000])
def test_codecs_pages_and_groups_change_no_bit(folder, codec, version, group):
    table = pa.table({"x": NUMBERS, "few": np.repeat([0.1, 0.2], 500), "n": np.arange(1000)})
    parquet.write_table(table, folder.path / "t.parquet", row_group_size=group, compression=codec, data_page_version=version)
    np.testing.assert_array_equal(folder.array("t.parquet:x").view("u8"), NUMBERS.view("u8"))
    np.testing.assert_array_equal(folder.array("t.parquet:few"), np.repeat([0.1, 0.2], 500))
    assert folder.array("t.parquet:n").dtype == np.int64


@pytest.mark.parametrize("encoding", ["DELTA_BINARY_PACKED", "PLAIN", "BYTE_STREAM_SPLIT"])
def test_encodings(folder, encoding):
    encodings = {"x": encoding}
    parquet.write_table(
        pa.table({"x": np.arange(99)}), folder.path / "t.parquet", use_dictionary=False, column_encoding=encodings
    )
    np.testing.assert_array_equal(folder.array("t.parquet"), np.arange(99))


cells = st.none() | st.floats(width=64) | st.floats(-1e3, 1e3)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cells, cells), max_size=30), size=st.integers(1, 12), kind=st.sampled_from(arrow_files.KINDS))
def test_the_numbers_are_those_of_a_csv_to_the_last_bit(folder, rows, size, kind):
    table = pa.table({name: pa.array([row[i] for row in rows], pa.float64()) for i, name in enumerate(("pred", "target"))})
    name = arrow_files.write(folder, kind, table, rows=size)
    text = "".join(",".join("" if cell is None else repr(cell) for cell in row) + "\n" for row in rows)
    folder.write("t.csv", f"pred,target\n{text}")
    for column in ("pred", "target"):
        found, expected = folder.array(f"{name}:{column}"), folder.array(f"t.csv:{column}")
        np.testing.assert_array_equal(np.nan_to_num(found, nan=7.25).view("u8"), np.nan_to_num(expected, nan=7.25).view("u8"))


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("last", [None, 9])
def test_the_type_is_settled_before_anything_is_read(folder, statistics, last, monkeypatch):
    table = pa.table({"x": pa.array([1, 2, 3, 4, last])})
    parquet.write_table(table, folder.path / "t.parquet", row_group_size=2, write_statistics=statistics)
    looks = []
    monkeypatch.setattr(RowGroups, "batches", lambda *given, real=RowGroups.batches: looks.append(1) or real(*given))
    reader = folder.reader("t.parquet")
    assert reader.dtype == (np.int64 if last else np.float64)
    assert reader.read(0, 2).dtype == reader.dtype
    # Only where nobody has counted are the data looked at.
    assert len(looks) == (not statistics)


def test_statistics_that_lie(folder):
    schema = pa.schema([pa.field("x", pa.int32(), nullable=False)])
    parquet.write_table(pa.table({"x": pa.array([1, 2], pa.int32())}, schema), folder.path / "t.parquet")
    found = arrow_files.container(folder, "t.parquet")
    found.__dict__["source"].chunk = lambda *_: {0: [pa.array([1, None], pa.int32())]}
    assert (
        "t.parquet is not a Parquet file that can be read: it holds nulls, though it says that it holds none."
        in folder.fault("t.parquet")
    )


@pytest.fixture
def grouped(folder):
    table = pa.table({"pred": np.arange(40.0), "target": np.arange(40), "other": ["a"] * 40})
    parquet.write_table(table, folder.path / "t.parquet", row_group_size=10)
    return folder


def chunks_of(recent):
    return recent._chunks  # noqa: SLF001 - what is bounded is seen nowhere else


def decoded(monkeypatch):
    found = []
    monkeypatch.setattr(RowGroups, "chunk", lambda *given, real=RowGroups.chunk: found.append(given[1:3]) or real(*given))
    return found


def test_each_group_is_decoded_once_and_columns_that_are_read_together_are_decoded_together(grouped, monkeypatch):
    found = decoded(monkeypatch)
    pred, target = grouped.reader("t.parquet"), grouped.reader("t.parquet", "target")
    for start in range(0, 40, 5):
        np.testing.assert_array_equal(pred.read(start, start + 5), target.read(start, start + 5))
    assert found == [(0, [0, 1]), (1, [0, 1]), (2, [0, 1]), (3, [0, 1])]


def test_threads_share_what_one_of_them_decodes(grouped, monkeypatch):
    found, ready, results = decoded(monkeypatch), threading.Barrier(8), []
    reader = grouped.reader("t.parquet:pred")

    def read():
        ready.wait()
        results.append(reader.read(0, 40))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((array == np.arange(40)).all() for array in results)
    assert [number for number, _ in found] == [0, 1, 2, 3]
    assert len(results) == 8


def test_a_file_may_be_let_go_while_another_is_looked_for(monkeypatch):
    recent, old, new = Recent(), object(), object()
    recent.columns(old, 0, [0], lambda _: {0: np.ones(3)})

    def made():
        # The garbage collector runs where memory is asked for, and closes files.
        recent.forget(old)
        return _Chunk()

    monkeypatch.setattr("lossctl.sources.recent._Chunk", made)
    thread = threading.Thread(target=recent.columns, args=(new, 0, [0], lambda _: {0: np.zeros(3)}), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    recent.columns(new, 0, [0], {}.get)
    assert [key[0] for key in chunks_of(recent)] == [new]


def test_what_is_remembered_is_bounded_and_leaves_with_the_file(grouped, monkeypatch):
    recent = Recent(limit=200)
    monkeypatch.setattr("lossctl.sources.chunked.RECENT", recent)
    reader = grouped.reader("t.parquet:pred")
    for start in (0, 10, 20, 30):
        reader.read(start, start + 10)
        assert sum(chunk.size for chunk in chunks_of(recent).values()) <= 200
    assert len(chunks_of(recent)) == 2
    recent.forget(arrow_files.container(grouped, "t.parquet").owner)
    assert not chunks_of(recent)


def test_a_file_that_is_closed_is_forgotten(grouped):
    grouped.array("t.parquet:pred")
    owner = arrow_files.container(grouped, "t.parquet").owner
    assert any(key[0] is owner for key in chunks_of(RECENT))
    grouped.again()
    assert not any(key[0] is owner for key in chunks_of(RECENT))


def test_columns_with_huge_groups_are_poured_once_and_together(grouped, monkeypatch):
    passes = []
    monkeypatch.setattr("lossctl.sources.chunked.LARGEST", 10)
    monkeypatch.setattr(RowGroups, "batches", lambda *given, real=RowGroups.batches: passes.append(given[1]) or real(*given))
    pred, both = grouped.reader("t.parquet:pred"), grouped.reader("t.parquet:[pt]*")
    np.testing.assert_array_equal(both.read(5, 25), np.stack([np.arange(5, 25)] * 2, axis=1))
    np.testing.assert_array_equal(both.read(1, 2, 1), np.arange(40)[:, None])
    # A single column of ten values is not large.
    np.testing.assert_array_equal(pred.read(0, 40), np.arange(40))
    assert passes == [[0, 1]]


def test_a_fault_in_one_column_is_not_found_while_another_is_read(folder):
    table = pa.table({"pred": np.arange(6.0), "bad": [[1, 2]] * 4 + [[1], [1, 2, 3]]})
    parquet.write_table(table, folder.path / "t.parquet", row_group_size=3)
    pred, bad = folder.reader("t.parquet:pred"), folder.reader("t.parquet:bad")
    assert bad.read(0, 3).tolist() == [[1, 2]] * 3
    np.testing.assert_array_equal(pred.read(0, 6), np.arange(6.0))


def test_unequal_lengths_are_seen_in_the_footer(folder):
    parquet.write_table(pa.table({"x": [[1, 2]] * 5 + [[1]]}), folder.path / "t.parquet", row_group_size=2)
    from lossctl.errors import ShapeMismatch

    with pytest.raises(ShapeMismatch, match="row 5, column 'x'"):
        _ = folder.reader("t.parquet:x").shape


def test_a_file_of_many_columns_is_not_opened_for_each(folder, monkeypatch):
    from lossctl.sources import parquet as ours

    names = [f"c{i}" for i in range(600)]
    parquet.write_table(pa.table({name: np.arange(5.0) + i for i, name in enumerate(names)}), folder.path / "wide.parquet")
    times = []
    monkeypatch.setattr(ours, "opened", lambda *given, really=ours.opened: times.append(1) or really(*given))
    (found,) = folder.files.listed("wide.parquet")
    sums = [float(one.reader.read(0, 5).sum()) for one in found.listed]
    assert sums == [10.0 + 5 * i for i in range(600)]
    # The footer, and 256 columns at a time.
    assert len(times) == 1 + 3
