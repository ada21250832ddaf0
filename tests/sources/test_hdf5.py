"""Datasets of HDF5: paths, ranges, records, links that lead astray, and files that lie."""

from __future__ import annotations

import io
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import h5py
import numpy as np
import pytest

from lossctl.errors import InputError, MissingExtra

GRID = np.arange(24.0).reshape(2, 3, 4)


@pytest.fixture
def written(folder):
    def write(fill, name="a.h5"):
        with h5py.File(folder.path / name, "w") as file:
            fill(file)
        folder.again()
        return folder

    return write


def names(folder):
    return folder.files.listed("a.h5")[0].container.names


def test_paths_are_names(written):
    folder = written(lambda file: [file.create_dataset(name, data=GRID) for name in ("deep/er/x", "pred", "a.b")])
    assert names(folder) == ["a.b", "deep/er/x", "pred"]
    assert folder.array("a.h5:deep/er/x").tolist() == GRID.tolist()
    assert folder.array("a.h5").tolist() == GRID.tolist()
    assert folder.said == ["a.h5: using array 'pred' as pred"]


@pytest.mark.parametrize("dtype", ["?", "u1", "<i4", ">i8", "<f2", ">f4", "<f8"])
@pytest.mark.parametrize("options", [{}, {"chunks": (1, 2, 3), "compression": "gzip", "shuffle": True}])
def test_every_type_in_ranges_along_every_axis(written, dtype, options):
    array = (GRID % 2).astype(dtype)
    reader = written(lambda file: file.create_dataset("x", data=array, **options)).reader("a.h5")
    assert (reader.shape, reader.dtype) == ((2, 3, 4), np.dtype(dtype).newbyteorder("="))
    for axis in range(3):
        for start, stop in [(0, 1), (1, 2), (0, GRID.shape[axis]), (1, 1)]:
            found = reader.read(start, stop, axis)
            np.testing.assert_array_equal(found, array[(slice(None),) * axis + (slice(start, stop),)])
            assert found.dtype == reader.dtype


def test_single_numbers_and_texts(written):
    def fill(file):
        file["one"] = 3.5
        file["t"] = ["a", "é"]
        file["b"] = np.array([b"x", b"yz"])

    folder = written(fill, "a.hdf5")
    assert folder.array("a.hdf5:one").tolist() == 3.5
    container = folder.files.listed("a.hdf5")[0].container
    assert [container.all_texts(i) for i in (0, 2)] == [["x", "yz"], ["a", "é"]]
    assert "a.hdf5:t holds text" in folder.fault("a.hdf5:t")


def test_fields_of_records(written):
    kind = np.dtype([("id", h5py.string_dtype()), ("pred", ">f4"), ("v", "i4", (2,))])
    rows = np.array([("a", 1.5, (1, 2)), ("b", 2.5, (3, 4))], dtype=kind)
    folder = written(lambda file: file.create_dataset("g/table", data=rows))
    assert names(folder) == ["g/table.id", "g/table.pred", "g/table.v"]
    assert folder.array("a.h5:g/table.pred").tolist() == [1.5, 2.5]
    assert folder.array("a.h5:g/table.v").tolist() == [[1, 2], [3, 4]]
    assert folder.reader("a.h5:g/table.v").read(1, 2, 1).tolist() == [[2], [4]]
    assert folder.files.listed("a.h5")[0].container.all_texts(0) == ["a", "b"]


def test_links_stay_in_the_file_and_cycles_end(written):
    written(lambda file: file.create_dataset("x", data=GRID), "other.h5")

    def fill(file):
        file["g/x"] = GRID
        file["g/again"] = file["g"]
        file["soft"] = h5py.SoftLink("/g/again/x")
        file["group"] = h5py.SoftLink("g")
        file["out"] = h5py.ExternalLink("other.h5", "/")
        file["round"] = h5py.SoftLink("/out/x")
        file["lost"] = h5py.SoftLink("/nowhere")
        file["self"] = h5py.SoftLink("/self")

    folder = written(fill)
    assert names(folder) == ["g/x", "group/x", "soft"]
    assert folder.array("a.h5:soft").tolist() == GRID.tolist()


def test_links_that_multiply_are_refused(written):
    def fill(file):
        for level in range(30):
            for side in "ab":
                file[f"{level}/{side}"] = h5py.SoftLink(f"/{level + 1}")

    assert "has more than 100000 links" in written(fill).fault("a.h5")


def test_what_lies_elsewhere_or_nowhere_is_refused(written):
    def fill(file):
        file.create_dataset("ext", (4,), "f4", external=[("secret.bin", 0, h5py.h5f.UNLIMITED)])
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("secret.h5", "x", (4,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("never", (1 << 40,), "f4")
        file["none"] = h5py.Empty("f4")
        file["complex"] = np.ones(2) * 1j
        file.create_dataset("ragged", (1,), h5py.vlen_dtype("f8"))[0] = np.ones(2)

    folder = written(fill)
    for name in ("ext", "virtual"):
        assert "takes its numbers from other files, which are not opened" in folder.fault(f"a.h5:{name}")
    assert "nothing was ever written to it" in folder.fault("a.h5:never")
    assert "it has no shape" in folder.fault("a.h5:none")
    assert "holds complex numbers" in folder.fault("a.h5:complex")
    assert "not real numbers" in folder.fault("a.h5:ragged")
    assert {bool(one.why) for one in folder.files.listed("a.h5")[0].listed} == {True}


def test_datasets_that_would_fill_memory_are_refused(written):
    def fill(file):
        file.create_dataset("sparse", (1 << 40,), "u1", chunks=(1 << 10,))[:5] = 1
        file.create_dataset("chunk", (1 << 28,), "u1", chunks=(1 << 28,), compression="gzip")[:5] = 1

    folder = written(fill)
    assert "claims 1099511627776 bytes, of which the file holds 1024" in folder.fault("a.h5:sparse")
    assert "is stored in chunks of 256 MiB; up to 128 MiB are read" in folder.fault("a.h5:chunk")


def test_threads_read_the_same(written):
    array = np.random.default_rng(0).normal(size=(5000, 7))
    reader = written(lambda file: file.create_dataset("x", data=array, chunks=(99, 7), compression="gzip")).reader("a.h5")
    spans = [(start, start + 50) for start in range(0, 5000, 50)] * 3
    with ThreadPoolExecutor(4) as pool:
        for span, found in zip(spans, pool.map(lambda span: reader.read(*span), spans), strict=True):
            np.testing.assert_array_equal(found, array[slice(*span)])


def test_readers_survive_a_pickle_and_see_a_new_file(written):
    folder = written(lambda file: file.create_dataset("x", data=GRID))
    reader = pickle.loads(pickle.dumps(folder.reader("a.h5")))  # noqa: S301 - our own
    assert reader.read(0, 2).tolist() == GRID.tolist()
    written(lambda file: file.create_dataset("x", data=GRID + 1, chunks=True), "b.h5")
    (folder.path / "b.h5").replace(folder.path / "a.h5")
    assert reader.read(0, 2).tolist() == (GRID + 1).tolist()


def test_damaged_files_are_errors(written):
    folder = written(lambda file: file.create_dataset("x", data=GRID, chunks=(1, 3, 4), compression="gzip"))
    good, draws = (folder.path / "a.h5").read_bytes(), np.random.default_rng(0)
    for content in (b"junk", good[:100], good[:-1]):
        folder.write("b.h5", content)
        assert folder.fault("b.h5").startswith("UnreadableFile: b.h5 is not a readable .h5")
    for number in range(200):
        damaged = bytearray(good)
        damaged[draws.integers(len(good))] = draws.integers(256)
        folder.write(f"{number}.h5", bytes(damaged))
        with suppress(InputError):
            folder.array(f"{number}.h5:x")


def test_a_pipe_is_recognised(written, monkeypatch):
    folder = written(lambda file: file.create_dataset("x", data=GRID, chunks=True, compression="gzip"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder.path / "a.h5").read_bytes())))
    np.testing.assert_array_equal(folder.reader("-:x").read(1, 3, 1), GRID[:, 1:3])


def test_h5py_is_an_extra(written, monkeypatch):
    folder = written(lambda file: file.create_dataset("x", data=GRID))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"a\.h5 needs the package 'h5py'") as caught:
        folder.reader("a.h5")
    assert caught.value.hint == "Run: pip install 'lossctl[h5]'"
