"""What files hold, array by array, and text beside numbers."""

import zipfile

import numpy as np
import pytest

from lossctl.errors import UnknownKey, UnreadableFile
from lossctl.sources.files import Files
from lossctl.sources.table import LARGE


def listed(folder, text):
    return Files(folder=str(folder)).listed(text)


def described(folder, text):
    """The names of all that there is, and whether each is numbers, text or neither."""
    return {
        one.name: "numbers" if one.reader is not None else "neither" if one.why else "text"
        for found in listed(folder, text)
        for one in found.listed
    }


def test_columns_of_a_table_in_its_order(tmp_path):
    (tmp_path / "t.csv").write_text("a,name,b\n1,x,2\n3,y,4\n")
    assert described(tmp_path, "t.csv") == {"t.csv:a": "numbers", "t.csv:name": "text", "t.csv:b": "numbers"}
    (found,) = listed(tmp_path, "t.csv")
    assert [list(row) for row in found.cells()] == [["x"], ["y"]]
    assert [one.reader.read(0, 2).tolist() for one in found.listed if one.reader] == [[1, 3], [2, 4]]


@pytest.mark.parametrize("rows", [200, LARGE // 8])
def test_text_below_numbers_spoils_no_other_column(tmp_path, rows):
    lines = [f"{i},{'oops' if i == rows - 2 else i},{i / 2}" for i in range(rows)]
    (tmp_path / "t.csv").write_text("\n".join(["a,late,b", *lines]) + "\n")
    assert described(tmp_path, "t.csv") == {"t.csv:a": "numbers", "t.csv:late": "text", "t.csv:b": "numbers"}
    (found,) = listed(tmp_path, "t.csv")
    assert found.listed[2].reader.read(rows - 1, rows).tolist() == [(rows - 1) / 2]
    assert "oops" in [row[0] for row in found.cells()]


def test_members_of_an_archive(tmp_path):
    np.savez(tmp_path / "f.npz", a=np.ones(2), text=np.array(["x", "y"]), cplx=np.ones(2) * 1j, square=np.array([["x"]]))
    kinds = {"f.npz:a": "numbers", "f.npz:text": "text", "f.npz:cplx": "neither", "f.npz:square": "neither"}
    assert described(tmp_path, "f.npz") == kinds
    (found,) = listed(tmp_path, "f.npz")
    assert "complex" in found.listed[2].why
    assert [list(row) for row in found.cells()] == [["x"], ["y"]]


def test_pickled_and_damaged_members_are_said_and_the_others_read(tmp_path):
    np.savez(tmp_path / "f.npz", a=np.ones(2), evil=np.array([{}], dtype=object))
    with zipfile.ZipFile(tmp_path / "f.npz", "a") as archive:
        archive.writestr("cut.npy", b"\x93NUMPY\x01")
    assert described(tmp_path, "f.npz") == {"f.npz:a": "numbers", "f.npz:evil": "neither", "f.npz:cut": "neither"}
    assert "never unpickles" in listed(tmp_path, "f.npz")[0].listed[1].why


def test_leaves_of_a_document(tmp_path):
    (tmp_path / "d.yaml").write_text("a: {b: [1, 2], c: [x, y]}\nname: base\nodd: [[1], [2, 3]]\n")
    assert described(tmp_path, "d.yaml") == {
        "d.yaml:a.b": "numbers",
        "d.yaml:a.c": "text",
        "d.yaml:name": "text",
        "d.yaml:odd": "neither",
    }
    (found,) = listed(tmp_path, "d.yaml")
    assert [list(row) for row in found.cells()] == [["x", "base"], ["y", None]]


def test_fields_of_records(tmp_path):
    np.save(tmp_path / "r.npy", np.array([(1.5, "x")], dtype=[("p", "f4"), ("q", "U1")]))
    assert described(tmp_path, "r.npy") == {"r.npy:p": "numbers", "r.npy:q": "text"}


def test_a_file_that_is_one_array_of_text(tmp_path):
    np.save(tmp_path / "names.npy", np.array(["x", "y"]))
    assert described(tmp_path, "names.npy") == {"names.npy": "text"}


@pytest.mark.parametrize("array", [np.ones(2) * 1j, np.array([["x"]])])
def test_a_file_that_is_neither_is_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UnreadableFile, match=r"complex numbers|text"):
        listed(tmp_path, "a.npy")


def test_a_key_narrows(tmp_path):
    (tmp_path / "t.csv").write_text("p_a,p_b,y\n1,2,3\n")
    assert list(described(tmp_path, "t.csv:p_*")) == ["t.csv:p_a", "t.csv:p_b"]
    assert list(described(tmp_path, "t.csv:#3")) == ["t.csv:y"]
    with pytest.raises(UnknownKey, match="no column 'q'"):
        listed(tmp_path, "t.csv:q")


def test_names_that_occur_twice_are_positions(tmp_path):
    (tmp_path / "t.csv").write_text("x,y,x\n1,2,3\n")
    assert list(described(tmp_path, "t.csv")) == ["t.csv:#1", "t.csv:y", "t.csv:#3"]
    for name in described(tmp_path, "t.csv"):
        assert list(described(tmp_path, name)) == [name]


def test_each_file_of_a_glob(tmp_path):
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.ones(2))
    assert described(tmp_path, "*.npy") == {"a.npy": "numbers", "b.npy": "numbers"}


def test_numbers_in_place(tmp_path):
    (found,) = listed(tmp_path, "[1, 2]")
    assert found.listed[0].reader.read(0, 2).tolist() == [1, 2]
    assert list(found.cells()) == []
