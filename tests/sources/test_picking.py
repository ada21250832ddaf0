"""Which column is taken: by name, position, glob, or a name that is well known; never simply the first."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("role", "header", "position"),
    [
        ("pred", "id,yhat,y", 1),
        ("pred", "id,Y_Pred,y", 1),
        ("pred", "y,probs,n", 1),
        ("target", "id,yhat,y", 2),
        ("target", "ground_truth,yhat,n", 0),
        ("weight", "pred,target,weight", 2),
        ("var", "pred,VAR,target", 1),
    ],
)
def test_well_known_names_are_used_and_said(folder, role, header, position):
    folder.write("a.csv", f"{header}\n0,1,2\n")
    assert folder.array("a.csv", role).tolist() == [position]
    assert folder.said == [f"a.csv: using column '{header.split(',')[position]}' as {role}"]


@pytest.mark.parametrize(
    ("role", "header"), [("pred", "a,b,c"), ("pred", "pred,score,y"), ("target", "x,pred,n"), ("weight", "a,pred,y")]
)
def test_what_is_not_certain_is_not_guessed(folder, role, header):
    folder.write("a.csv", f"{header}\n0,1,2\n")
    fault = folder.fault("a.csv", role)
    assert fault.startswith("UnknownKey: a.csv has 3 columns of numbers")
    assert f"none is certain to be {role}" in fault
    assert all(f"'{name}'" in fault for name in header.split(","))


def test_one_column_of_numbers_needs_no_key_unless_it_is_something_else(folder):
    folder.write("a.csv", "name,value\nx,1\n")
    assert folder.array("a.csv", "target").tolist() == [1]
    folder.write("b.csv", "label,pred\ncat,1\n")
    assert "has one column of numbers ('pred'), and by its name it is not target" in folder.fault("b.csv", "target")
    folder.write("c.csv", "pred\n1\n")
    assert folder.array("c.csv", "target").tolist() == [1]
    assert folder.said == []
    folder.write("d.csv", "a,b\nx,y\n")
    assert "d.csv has no column of numbers to use as pred: 'a', 'b'." in folder.fault("d.csv")


def test_positions_names_and_globs(folder):
    folder.write("a.csv", "3,#1,l*,la\nx,1,2,3\n")
    assert folder.array("a.csv:#1").tolist() == [1]
    assert folder.array("a.csv:l*").tolist() == [2]
    assert folder.array("a.csv:l?").tolist() == [[2, 3]]
    assert folder.array("a.csv:*").tolist() == [[1, 2, 3]]
    assert folder.array("a.csv:#4").tolist() == [3]
    assert "line 2, column '3': 'x' is not a number" in folder.fault("a.csv:3")
    assert "has no column '2'. For a position write a.csv:#2." in folder.fault("a.csv:2")
    assert "has no column 'z*'" in folder.fault("a.csv:z*")
    assert "has no column '#0'" in folder.fault("a.csv:#0")
