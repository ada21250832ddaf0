"""Several arrays one after another in a file, as numpy.save appends them and `cat` puts them into a pipe."""

from __future__ import annotations

import io
import pickle
import sys

import numpy as np
import pytest

ARRAYS = [np.arange(3.0), np.array([[1, 2], [3, 4]], order="F"), np.array(7, dtype=">i4")]


def saved(*arrays):
    file = io.BytesIO()
    for array in arrays:
        np.save(file, array)
    return file.getvalue()


@pytest.fixture(params=["file", "pipe"])
def given(folder, request, monkeypatch):
    def give(content):
        if request.param == "pipe":
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
            return folder, "-"
        folder.write("a.npy", content)
        return folder, "a.npy"

    return give


def test_arrays_are_numbered(given):
    folder, path = given(saved(*ARRAYS))
    for number, array in enumerate(ARRAYS, 1):
        reader = folder.reader(f"{path}:#{number}")
        assert (reader.shape, reader.dtype) == (array.shape, array.dtype.newbyteorder("="))
        np.testing.assert_array_equal(reader.read(0, 2), array[:2] if array.ndim else array)
    np.testing.assert_array_equal(folder.reader(f"{path}:#2").read(1, 2, 1), [[2], [4]])
    assert "has 3 arrays of numbers ('#1', '#2', '#3'), and none is certain to be pred." in folder.fault(path)
    assert "has no array '#4'" in folder.fault(f"{path}:#4")


def test_columns_and_records_among_them(given):
    records = np.array([(1, 2.5), (3, 4.5)], dtype=[("n", "i4"), ("x", "f8")])
    folder, path = given(saved(np.ones(2), records))
    assert folder.array(f"{path}:#2.x").tolist() == [2.5, 4.5]
    assert folder.array(f"{path}:*").tolist() == [[1, 1, 2.5], [1, 3, 4.5]]


def test_one_array_takes_no_key_whatever_follows_it(given):
    for rest in (b"", b"\0" * 5, b"garbage", b"\x93NUM"):
        folder, path = given(saved(ARRAYS[0]) + rest)
        folder.again()
        assert folder.array(path).tolist() == [0, 1, 2]
        assert "holds one array and takes no key" in folder.fault(f"{path}:#1")


def test_what_is_no_array_ends_them(given):
    folder, path = given(saved(*ARRAYS[:2]) + b"garbage")
    assert folder.array(f"{path}:#2").tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (saved(np.arange(9.0))[:-1], "#2 is cut short"),
        (b"\x93NUMPY\x01", "#2 is not a readable .npy"),
        (saved(np.array(["a"])).replace(b"<U1", b"|O "), "#2"),
    ],
)
def test_a_damaged_second_array_is_said(given, rest, said):
    folder, path = given(saved(ARRAYS[0]) + rest)
    fault = folder.fault(f"{path}:#1")
    assert fault.startswith(f"UnreadableFile: {path}:{said}")


def test_readers_survive_a_pickle(folder):
    folder.write("a.npy", saved(*ARRAYS))
    assert pickle.loads(pickle.dumps(folder.reader("a.npy:#2"))).read(0, 2).tolist() == [[1, 2], [3, 4]]  # noqa: S301 - our own
