"""--on: rows go together by id. --by: groups as text."""

from __future__ import annotations

import numpy as np
import pytest

from lossctl.errors import InputError
from lossctl.sources.readers import whole
from lossctl.sources.source import Given


def join(folder, *texts, on="id"):
    roles = ["pred", "target", "weight"]
    givens = [(role, Given(text)) for role, text in zip(roles, texts, strict=False)]
    return dict(zip(roles, folder.files.open_joined(givens, on), strict=False))


def fault(folder, *texts, on="id"):
    with pytest.raises(InputError) as caught:
        join(folder, *texts, on=on)
    return f"{type(caught.value).__name__}: {caught.value.paragraph()}"


def test_rows_follow_the_first_input(table):
    table.write("p.csv", "id,pred\nb,1\na,2\nc,3\n")
    table.write("t.csv", "target,id\n10,a\n20,b\n30,c\n")
    readers = join(table, "p.csv", "t.csv:target")
    assert whole(readers["pred"]).tolist() == [1, 2, 3]
    target = readers["target"]
    assert (target.name, target.shape, target.dtype) == ("t.csv:target", (3,), np.float64)
    assert target.read(0, 2).tolist() == [20, 10]
    assert target.place((0,)) == "line 3, column 'target'"
    assert target.facts()["key"] == "target"
    assert len(target.facts()["sha256"]) == 64


def test_the_id_column_is_no_candidate(folder):
    folder.write("p.csv", "id,value\n1,5\n2,6\n")
    folder.write("t.json", '[{"id": 2, "v": [1, 2]}, {"id": 1.0, "v": [3, 4]}]')
    readers = join(folder, "p.csv", "t.json")
    assert whole(readers["pred"]).tolist() == [5, 6]
    assert whole(readers["target"]).tolist() == [[3, 4], [1, 2]]


def test_how_ids_are_compared(folder):
    folder.write("p.csv", "id,pred\n7,1\n8.0,2\n 9 ,3\n007,4\n1.50,5\n")
    folder.write("t.csv", "id,target\n1.50,5\n007,4\n9,3\n 8,2\n7.00,1\n")
    assert whole(join(folder, "p.csv", "t.csv")["target"]).tolist() == [1, 2, 3, 4, 5]
    folder.write("u.csv", "id,target\n1.5,5\n007,4\n9,3\n8,2\n7,1\n")
    assert "u.csv lacks id '1.50' of p.csv; p.csv lacks id '1.5' of u.csv" in fault(folder, "p.csv", "u.csv")


def test_single_numbers_need_no_id(folder):
    folder.write("p.csv", "id,pred\n2,1\n1,2\n")
    assert whole(join(folder, "p.csv", "3.5")["target"]).tolist() == 3.5


def test_archives_and_several_files_join_too(folder):
    folder.write("p0.csv", "id,pred\n1,1\n")
    folder.write("p1.csv", "id,pred\n2,2\n")
    np.savez(folder.path / "t.npz", id=np.array([2, 1]), target=np.array([20, 10]))
    readers = join(folder, "p?.csv", "t.npz")
    assert (whole(readers["pred"]).tolist(), whole(readers["target"]).tolist()) == ([1, 2], [10, 20])
    np.savez(folder.path / "s.npz", id=np.array(["2", "1"]), target=np.array([20, 10]))
    assert whole(join(folder, "p?.csv", "s.npz")["target"]).tolist() == [10, 20]


def test_ids_that_do_not_fit(folder):
    folder.write("p.csv", "id,pred\n1,1\n2,2\n")
    folder.write("t.csv", "id,target\n" + "".join(f"{i},{i}\n" for i in range(2, 9)))
    said = fault(folder, "p.csv", "t.csv")
    assert said.startswith("ShapeMismatch: The ids do not fit: t.csv lacks id '1' of p.csv; ")
    assert "p.csv lacks ids '3', '4', '5', … (6 ids) of t.csv" in said
    folder.write("d.csv", "id,target\n1,1\n2,2\n1.0,3\n")
    assert "d.csv: id '1' in column 'id' occurs more than once." in fault(folder, "p.csv", "d.csv")
    assert fault(folder, "p.csv", "d.csv", on="idx").startswith("UnknownKey: p.csv has no column 'idx'. Did you mean 'id'?")
    folder.save("a.npy", np.zeros(2))
    assert fault(folder, "p.csv", "a.npy").startswith("UnknownKey: a.npy has no column 'id': an .npy file holds one array.")
    assert "[1, 2] is written in place and has no column 'id'" in fault(folder, "p.csv", "[1, 2]")
    np.savez(folder.path / "t.npz", id=np.array([2, 1]), target=np.array([20, 10, 0]))
    assert "t.npz has shape (3,), but there are 2 ids" in fault(folder, "p.csv", "t.npz")


def test_labels_from_beside_or_from_a_source(table):
    table.write("p.csv", "city,pred\nBonn,1\n é ,2\n,3\n")
    table.write("g.csv", "group\na\nb\na\n")
    table.write("two.csv", "group,x\na,1\n")
    table.write("g.json", '["x", 1, null]')
    beside = Given("p.csv:pred")
    labels = table.files.labels
    assert labels("city", beside) == ["Bonn", " é ", ""]
    assert labels("g.csv", beside) == ["a", "b", "a"]
    assert labels("two.csv:group", beside) == ["a"]
    table.write("h.csv", "city,group\n,n\n é ,e\nBonn,b\n")
    assert labels("h.csv:group", beside, "city") == ["b", "e", "n"]
    assert labels("g.json", Given(value=[1, 2, 3])) == ["x", "1", ""]
    with pytest.raises(InputError, match=r"neither a column beside 'p\.csv:pred' nor a file"):
        labels("citty", beside)
    with pytest.raises(InputError, match="has 2 columns, and none is named"):
        labels("two.csv", beside)
