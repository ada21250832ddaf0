"""Files that are damaged, encrypted, or that would like to run code; and what is imported to read one."""

from __future__ import annotations

import pickle
import subprocess
import sys

import arrow_files
import golden
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from lossctl.errors import LossctlError
from lossctl.sources.files import Files
from lossctl.sources.source import Given
from lossctl.sources.stored import Stored

TABLE = pa.table(
    {
        "pred": np.random.default_rng(0).normal(size=300),
        "n": pa.array([None, *range(299)]),
        "l": [[1.0, 2.0]] * 300,
        "s": pa.array(["a", "b", None] * 100).dictionary_encode(),
    }
)


def outcome(folder, name):
    """Read everything; whatever goes wrong must be an error of ours."""
    folder.again()
    try:
        container = arrow_files.container(folder, name)
        for key in ("pred", "n", "l"):
            folder.array(f"{name}:{key}")
        container.all_texts(3)
    except LossctlError as error:
        return type(error).__name__
    return ""


@pytest.mark.parametrize("kind", arrow_files.KINDS)
def test_a_file_cut_anywhere_is_one_clear_error(folder, kind):
    name = arrow_files.write(folder, kind, TABLE, rows=100)
    content = (folder.path / name).read_bytes()
    found = set()
    for size in range(1, len(content) - 16, max(1, len(content) // 60)):
        folder.write(name, content[:size])
        found.add(outcome(folder, name))
    # A stream may end behind any batch.
    assert found - {""} == {"UnreadableFile"} or (kind == "arrows" and "UnreadableFile" in found)
    assert ("" in found) <= (kind == "arrows")


@pytest.mark.parametrize("kind", arrow_files.KINDS)
def test_flipped_bytes_never_end_in_a_traceback(folder, kind):
    name = arrow_files.write(folder, kind, TABLE, rows=100)
    content = (folder.path / name).read_bytes()
    chance = np.random.default_rng(1)
    for _ in range(150):
        damaged = bytearray(content)
        # One in the footer, where pyarrow's own questions about statistics can end the process.
        for at in (*chance.integers(0, len(content), 2), -1 - chance.integers(900)):
            damaged[at] = chance.integers(256)
        folder.write(name, bytes(damaged))
        # What is damaged may be a whole number that float64 does not hold.
        assert outcome(folder, name) in {"", "UnreadableFile", "UnknownKey", "ShapeMismatch", "TooLarge", "OutOfDomain"}


def test_what_a_user_reads(folder):
    folder.write("a.parquet", "hello, this is no table at all")
    assert folder.fault("a.parquet").startswith("UnreadableFile: a.parquet is not a Parquet file that can be read: ")
    folder.write("a.arrow", "hello, this is no table at all")
    assert folder.fault("a.arrow").startswith("UnreadableFile: a.arrow is not an Arrow file that can be read: ")
    folder.write("a.feather", b"FEA1" + bytes(40))
    assert "a.feather is a Feather file of version 1" in folder.fault("a.feather")


def test_an_encrypted_file_says_so(folder):
    folder.write("e.parquet", b"PARE" + bytes(40) + b"\x10\0\0\0PARE")
    assert "e.parquet is encrypted: " in folder.fault("e.parquet")


@pytest.mark.parametrize("kind", arrow_files.KINDS)
def test_formats_are_known_by_their_content(folder, kind):
    name = arrow_files.write(folder, kind, TABLE)
    (folder.path / name).rename(folder.path / "data")
    np.testing.assert_array_equal(folder.array("data:pred"), TABLE["pred"].to_numpy())


@pytest.mark.parametrize("kind", arrow_files.KINDS)
def test_bytes_within_other_bytes_have_no_path(folder, kind):
    name = arrow_files.write(folder, kind, TABLE)
    content = (folder.path / name).read_bytes()
    path = folder.write("all", b"before" + content + b"after")
    stored = Stored(name, len(content), str(path), None, len(b"before"))
    from lossctl.sources.opening import opener

    container = opener(stored, "")(stored)
    part = container.part(0)
    np.testing.assert_array_equal(part.read(0, 300), TABLE["pred"].to_numpy())
    assert container.part(1).dtype == np.float64


class Trap:
    def __reduce__(self):
        return print, ("trapped",)


@pytest.mark.parametrize("kind", arrow_files.KINDS)
def test_types_that_are_pickled_in_a_schema_are_left_alone(folder, kind, capsys):
    about = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickle.dumps(Trap())}
    schema = pa.schema([pa.field("x", pa.int64(), metadata=about)])
    name = arrow_files.write(folder, kind, pa.table({"x": [1, 2, 3]}, schema))
    assert folder.array(name).tolist() == [1, 2, 3]
    assert capsys.readouterr().out == ""


def test_extension_types_are_read_as_what_they_are_stored_as(folder):
    tensors = pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2))
    column = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int64(), (2,)), tensors)
    for kind in arrow_files.KINDS:
        assert folder.array(arrow_files.write(folder, kind, pa.table({"x": column}))).tolist() == [[1, 2], [3, 4]]


ALL = """
import sys
from lossctl.sources.files import Files
from lossctl.sources.source import Given
files = Files()
for path in sys.argv[1:]:
    container = files._container(path)
    for position in container.numeric():
        part = container.part(position)
        part.read(0, part.shape[0])
    for position in range(4, len(container.names)):
        container.all_texts(position)
print(sorted(name for name in ("pandas", "pyarrow.dataset", "pyarrow.fs") if name in sys.modules))
"""


def test_pandas_is_never_imported(folder, tmp_path):
    stub = tmp_path / "stub" / "pandas"
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text("raise RuntimeError('pandas was imported')")
    moments = pa.array([1, 2, None], pa.timestamp("ns", "UTC"))
    more = {
        "t": moments,
        "d": moments.cast(pa.date32()),
        "s": ["a", None, "c"],
        "w": pa.array(["a", "b", "a"]).dictionary_encode(),
    }
    table = pa.table({"f": [1.5, None, 2], "i": [1, None, 2], "b": [True, False, None], "l": [[1], None, [2]], **more})
    names = [arrow_files.write(folder, kind, table, stem=kind) for kind in arrow_files.KINDS]
    env = golden.environment(tmp_path, stub.parent)
    done = subprocess.run(
        [sys.executable, "-c", ALL, *names], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_huge_batch_that_is_compressed_is_refused(folder, monkeypatch):
    monkeypatch.setattr("lossctl.sources.arrow.MOST", 1 << 20)
    name = arrow_files.write(folder, "packed-arrow", pa.table({"x": np.zeros(200_000)}), rows=200_000)
    assert "has a compressed record batch of 200,000 rows, which would take 1 MiB." in folder.fault(f"{name}:x")
    name = arrow_files.write(folder, "packed-arrow", pa.table({"x": np.zeros(200_000)}), rows=100_000)
    assert Files(str(folder.path)).open(Given(f"{name}:x"), "pred").read(0, 5).tolist() == [0] * 5


def test_a_footer_that_claims_more_rows_than_there_are(folder):
    parquet.write_table(pa.table({"x": np.arange(100)}), folder.path / "t.parquet")
    content = (folder.path / "t.parquet").read_bytes()
    # 100 as a varint of Thrift, zigzag: the rows of the file and of its only group, and the values of the column.
    assert content.count(b"\xc8\x01") >= 2
    folder.write("t.parquet", content.replace(b"\xc8\x01", b"\xca\x01"))
    assert folder.fault("t.parquet").startswith("UnreadableFile: t.parquet")


def test_a_flipped_bit_is_seen_where_pages_have_checksums(folder):
    values = np.random.default_rng(0).normal(size=2000)
    parquet.write_table(pa.table({"x": values}), folder.path / "a.parquet", compression="none", write_page_checksum=True)
    np.testing.assert_array_equal(folder.array("a.parquet"), values)
    content = bytearray((folder.path / "a.parquet").read_bytes())
    content[content.index(values[1000].tobytes())] ^= 1
    folder.write("b.parquet", bytes(content))
    assert "CRC checksum verification failed" in folder.fault("b.parquet")
