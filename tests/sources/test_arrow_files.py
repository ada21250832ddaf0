"""Arrow's IPC files and streams: what is mapped, what is kept, and what goes through a temporary file."""

from __future__ import annotations

import io
import sys
import types
from pathlib import Path

import arrow_files
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lossctl.sources.arrow import RecordBatches
from lossctl.sources.recent import RECENT

NUMBERS = np.random.default_rng(0).normal(size=1000)
TABLE = pa.table({"x": NUMBERS, "n": np.arange(1000), "l": NUMBERS.reshape(-1, 1).tolist(), "s": [str(i) for i in range(1000)]})


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
@pytest.mark.parametrize("rows", [7, 1000])
def test_compression_and_batches_change_no_bit(folder, compression, opened, rows):
    arrow_files.ipc(folder.path / "t.arrow", TABLE, rows, compression, opened)
    np.testing.assert_array_equal(folder.array("t.arrow:x").view("u8"), NUMBERS.view("u8"))
    np.testing.assert_array_equal(folder.array("t.arrow:l"), NUMBERS[:, None])
    assert folder.array("t.arrow:n").dtype == np.int64
    assert arrow_files.container(folder, "t.arrow").all_texts(3) == [str(i) for i in range(1000)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flags=st.lists(st.none() | st.booleans(), min_size=1, max_size=70),
    rows=st.integers(1, 40),
    ends=st.tuples(st.integers(0, 70), st.integers(0, 70)),
    kind=st.sampled_from(arrow_files.KINDS),
)
def test_any_range_of_bits_and_nulls(folder, flags, rows, ends, kind):
    name = arrow_files.write(folder, kind, pa.table({"x": pa.array(flags, pa.bool_())}), rows=rows)
    expected = np.array([np.nan if flag is None else float(flag) for flag in flags])[min(ends) : max(ends)]
    np.testing.assert_array_equal(folder.reader(f"{name}:x").read(min(ends), max(ends)).astype(float), expected)


def test_packed_batches_are_decoded_once(folder, monkeypatch):
    found = []
    monkeypatch.setattr(
        RecordBatches, "chunk", lambda *given, real=RecordBatches.chunk: found.append(given[1:]) or real(*given)
    )
    arrow_files.ipc(folder.path / "t.arrow", TABLE, 500, "lz4")
    reader = folder.reader("t.arrow:x")
    for start in range(0, 1000, 100):
        np.testing.assert_array_equal(reader.read(start, start + 100), NUMBERS[start : start + 100])
    assert found == [(0, [0]), (1, [0])]


@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
def test_plain_batches_are_neither_kept_nor_left_mapped(folder, opened):
    arrow_files.ipc(folder.path / "t.arrow", TABLE, 500, None, opened)
    reader = folder.reader("t.arrow:x")
    kept = reader.read(490, 510)
    np.testing.assert_array_equal(kept, NUMBERS[490:510])
    assert kept.flags.owndata
    owner = arrow_files.container(folder, "t.arrow").owner
    assert not any(key[0] is owner for key in RECENT._chunks)  # noqa: SLF001 - nothing else says it
    assert str(folder.path) not in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_a_packed_stream_is_read_once_for_all_columns(folder, monkeypatch):
    passes = []
    monkeypatch.setattr(
        RecordBatches, "batches", lambda *given, real=RecordBatches.batches: passes.append(given[1]) or real(*given)
    )
    schema = pa.schema([pa.field("x", pa.float64(), nullable=False), pa.field("n", pa.int64(), nullable=False)])
    arrow_files.ipc(folder.path / "t.arrows", TABLE.select(["x", "n"]).cast(schema), 100, "zstd", pa.ipc.new_stream)
    one, other = folder.reader("t.arrows:x"), folder.reader("t.arrows:n")
    np.testing.assert_array_equal(one.read(0, 1000), NUMBERS)
    np.testing.assert_array_equal(other.read(990, 1000), np.arange(990, 1000))
    np.testing.assert_array_equal(one.read(10, 20), NUMBERS[10:20])
    assert passes == [[0, 1]]


@pytest.mark.parametrize("kind", arrow_files.KINDS)
def test_standard_input(folder, kind, monkeypatch):
    name = arrow_files.write(folder, kind, TABLE, rows=300)
    content = (folder.path / name).read_bytes()
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(content)))
    np.testing.assert_array_equal(folder.array("-:x"), NUMBERS)
    np.testing.assert_array_equal(folder.array("-:n"), np.arange(1000))


@pytest.mark.parametrize("kind", arrow_files.KINDS)
def test_several_files_are_one_array(folder, kind):
    for stem, rows in (("part1", slice(0, 400)), ("part2", slice(400, 1000))):
        name = arrow_files.write(folder, kind, TABLE.take(pa.array(np.arange(1000)[rows])), stem=stem, rows=150)
    pattern = name.replace("part2", "part*")
    np.testing.assert_array_equal(folder.array(f"{pattern}:x"), NUMBERS)
    np.testing.assert_array_equal(folder.reader(f"{pattern}:l").read(390, 410), NUMBERS[390:410, None])
    assert folder.reader(f"{pattern}:x").place((400,)).endswith(f"{name}, row 0, column 'x'")


def test_a_dictionary_that_is_replaced_within_a_stream(folder):
    kind = pa.dictionary(pa.int8(), pa.int64())
    batches = [
        pa.record_batch(
            [pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(words))], schema=pa.schema([("x", kind)])
        )
        for words in ([10, 20], [30, 40])
    ]
    with pa.OSFile(str(folder.path / "t.arrows"), "wb") as file, pa.ipc.new_stream(file, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    assert folder.array("t.arrows").tolist() == [10, 20, 30, 40]


def test_lists_whose_offsets_lie(folder):
    arrow_files.ipc(folder.path / "t.arrow", pa.table({"x": [[1.0, 2.0], [3.0, 4.0]]}), 2)
    content = (folder.path / "t.arrow").read_bytes()
    offsets = np.array([0, 2, 4], np.int32).tobytes()
    assert content.count(offsets) == 1
    for lie in ([0, 2, 1 << 30], [0, 1 << 30, 2], [-2, 0, 2], [4, 2, 0]):
        folder.write("t.arrow", content.replace(offsets, np.array(lie, np.int32).tobytes()))
        folder.again()
        assert folder.fault("t.arrow").startswith("UnreadableFile: t.arrow is not an Arrow file that can be read: ")


@pytest.mark.parametrize("kind", ["f8", "f4", "i8", "u2", "i4"])
@pytest.mark.parametrize("suffix", ["arrows", "feather"])
def test_a_stream_of_the_other_byte_order_is_swapped(folder, kind, suffix):
    values = np.array([1, 2, 300], kind)
    nulls = arrow_files.swapped(values.astype("f8"), np.array([False, True, False]))
    batch = pa.record_batch({"x": arrow_files.swapped(values), "nulls": nulls})
    folder.write(f"big.{suffix}", arrow_files.of_the_other_order(batch))
    found = folder.array(f"big.{suffix}:x")
    assert found.dtype == kind
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(folder.array(f"big.{suffix}:nulls"), [1, np.nan, 300])
    np.testing.assert_array_equal(folder.reader(f"big.{suffix}:x").read(1, 3), values[1:])


def test_a_plain_file_of_many_columns_is_not_mapped_for_each(folder, monkeypatch):
    from pyarrow import feather

    from lossctl.sources import arrow as ours

    columns = {f"c{i}": np.arange(5.0) + i for i in range(600)}
    feather.write_feather(pa.table(columns), str(folder.path / "wide.feather"), compression="uncompressed")
    times = []
    monkeypatch.setattr(ours, "opened", lambda *given, really=ours.opened, **more: times.append(1) or really(*given, **more))
    (found,) = folder.files.listed("wide.feather")
    sums = [float(one.reader.read(1, 5).sum()) for one in found.listed]
    assert sums == [10.0 + 4 * i for i in range(600)]
    # The schema, the messages, and 256 columns at a time.
    assert len(times) == 2 + 3
