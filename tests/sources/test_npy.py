"""Arrays in .npy: versions, orders, byte orders, ranges, records, and files that lie."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from pathlib import Path

import golden
import numpy as np
import pytest

from lossctl.sources.readers import whole

GRID = np.arange(24.0).reshape(2, 3, 4)
DTYPES = ["?", "u1", "<i2", ">i4", "<i8", "<f2", ">f4", "<f8", ">f8", "g"]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kind_of_array_comes_back(folder, version, order, dtype):
    array = np.asarray(GRID % 2, dtype, order=order)
    folder.save("a.npy", array, version)
    reader = folder.reader("a.npy")
    assert (reader.shape, reader.dtype) == (array.shape, np.dtype(dtype).newbyteorder("="))
    assert reader.dtype.isnative
    assert reader.read(0, 2).dtype == reader.dtype
    np.testing.assert_array_equal(whole(reader), array)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_ranges_along_every_axis(folder, order, axis):
    folder.save("a.npy", np.asarray(GRID, order=order))
    reader = folder.reader("a.npy")
    for start, stop in [(0, 1), (1, 2), (0, GRID.shape[axis]), (1, 1)]:
        expected = GRID[(slice(None),) * axis + (slice(start, stop),)]
        np.testing.assert_array_equal(reader.read(start, stop, axis), expected)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (1, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_scalars_and_empty_arrays(folder, shape, order):
    folder.save("a.npy", np.ones(shape, order=order))
    assert folder.array("a.npy").shape == shape
    assert folder.reader("a.npy").shape == shape


def test_what_is_read_belongs_to_the_caller(folder):
    folder.save("a.npy", np.zeros(3))
    folder.array("a.npy")[0] = 1
    assert folder.array("a.npy")[0] == 0


def test_fields_of_records_are_keys(folder):
    records = np.array(
        [(1, 2.0, "a", (1, 2)), (3, 4.0, "b", (3, 4))], [("日", ">i4"), ("pred", "f8"), ("t", "U1"), ("v", "f4", 2)]
    )
    with pytest.warns(UserWarning, match=r"format 3\.0"):
        folder.save("r.npy", records)
    assert folder.array("r.npy:日").tolist() == [1, 3]
    assert folder.array("r.npy").tolist() == [2.0, 4.0]
    assert folder.said == ["r.npy: using field 'pred' as pred"]
    assert folder.reader("r.npy:v").shape == (2, 2)
    np.testing.assert_array_equal(folder.array("r.npy:v"), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(folder.reader("r.npy:v").read(1, 2, 1), [[2], [4]])
    np.testing.assert_array_equal(folder.array("r.npy:#2"), [2, 4])
    assert "r.npy:t holds text" in folder.fault("r.npy:t")
    assert "'v' has shape (2, 2)" in folder.fault("r.npy:[pv]*")


def test_facts_place_and_name(folder):
    folder.save("a.npy", GRID)
    reader = folder.reader("a.npy")
    digest = hashlib.sha256((folder.path / "a.npy").read_bytes()).hexdigest()
    assert reader.facts() == {"path": "a.npy", "key": None, "sha256": digest}
    assert (reader.place((1, 2, 3)), reader.name) == ("[1, 2, 3]", "a.npy")


def test_an_npy_takes_no_key(folder):
    folder.save("a.npy", GRID)
    assert folder.fault("a.npy:pred") == (
        "UnknownKey: a.npy has no 'pred': an .npy file holds one array and takes no key. Write a.npy alone."
    )


@pytest.mark.parametrize(
    ("value", "said"), [(1j, "complex"), ("a", "text"), (b"a", "text"), (np.datetime64("2024-01-01"), "dates")]
)
def test_what_is_no_number_is_refused(folder, value, said):
    folder.save("a.npy", np.array([value]))
    assert folder.fault("a.npy").startswith(f"UnreadableFile: a.npy holds {said}")


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_pickles_are_never_opened(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    np.save(folder.path / "a.npy", np.array([Bomb()], object), allow_pickle=True)
    np.savez(folder.path / "a.npz", a=np.array([Bomb()], object))
    np.savez_compressed(folder.path / "c.npz", a=np.array([Bomb()], object))
    for text in ["a.npy", "a.npz:a", "c.npz:a"]:
        assert "holds pickled Python objects, which can run code; lossctl never unpickles." in folder.fault(text)
    assert "no array of numbers" in folder.fault("a.npz")
    assert not Path("exploded").exists()


def forged(header, data=b"", version=1):
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode() + data


def described(shape, descr="'<f8'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (forged(described("(3,)"), bytes(23)), "is cut short: its header claims"),
        (forged(described("(10**9,)")), "not a readable .npy"),
        (forged(described("(1000000000000, 1000000000000)")), "is cut short"),
        (forged(described("(-3,)")), "claims the shape (-3,)"),
        (forged(described("(3.0,)")), "not a readable .npy"),
        (forged(described("(3,)", "'spam'")), "not a readable .npy"),
        (forged(described("(1,)", "'|O'"), bytes(8)), "pickled"),
        (forged("__import__('os').system('true')\n"), "not a readable .npy"),
        (forged("(" * 5000 + "\n"), "not a readable .npy"),
        (forged(described("(1,)"), bytes(8), version=7), "format version 7.0"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 300_000, "not a readable .npy"),
        (b"\x93NUMPY", "not a readable .npy"),
        (b"\x93NUMPY\x01\x00\xff\xff", "not a readable .npy"),
        (b"not an array", "not a readable .npy"),
        (b"", "is empty: it holds no byte"),
    ],
)
def test_files_that_lie(folder, content, said):
    folder.write("a.npy", content)
    fault = folder.fault("a.npy")
    assert fault.startswith("UnreadableFile: a.npy")
    assert said in fault


def test_a_file_that_shrinks_while_it_is_read(folder):
    folder.save("a.npy", GRID)
    reader = folder.reader("a.npy")
    with (folder.path / "a.npy").open("r+b") as file:
        file.truncate(150)
    assert "another program has shortened it" in folder.fault("a.npy")
    assert reader.shape == GRID.shape


MEMORY = """
import sys
import numpy as np
from memory import peak
from lossctl.sources.files import Files
from lossctl.sources.source import Given
reader = Files().open(Given(sys.argv[1]), "pred")
before = peak()
total = sum(reader.read(i, i + (1 << 20)).sum() for i in range(0, reader.shape[0], 1 << 20))
assert total == 0
print((peak() - before) >> 20)
"""


def test_a_gigabyte_is_read_in_few_megabytes(tmp_path):
    path = tmp_path / "sparse.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 28,)})
        file.truncate(file.tell() + (1 << 30))
    env = golden.environment(tmp_path, golden.ROOT / "tests")
    done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], env=env, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40


@pytest.mark.parametrize("shape", ["(" + "1, " * 70 + ")", "(0, 9223372036854775807, 9223372036854775807)", f"({10**30}, 0)"])
def test_shapes_that_no_array_has_are_refused(folder, shape):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    folder.write("a.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8))
    assert "a.npy is not a readable .npy: its header claims the shape" in folder.fault("a.npy")
