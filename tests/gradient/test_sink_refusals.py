"""What a format cannot hold is refused before anything is computed."""

import sys

import numpy as np
import pytest
from reading import TABLES, names, write

from lossctl.errors import MissingExtra, ShapeMismatch, UsageError
from lossctl.gradient.sinks import Field
from lossctl.gradient.writing import check_path as check
from lossctl.gradient.writing import opened


def field(name, *shape):
    return Field(name, shape, np.dtype(np.float64))


def refused(path, fields, kind=UsageError, **options):
    with pytest.raises(kind) as caught:
        check(path, fields, **options)
    return caught.value.paragraph()


def test_an_npy_holds_one_array():
    said = refused("out/g.npy", [field("pred", 3), field("target", 3)])
    assert "'out/g.npy' holds one array, and 2 are to be written: pred, target." in said
    assert "Write -o 'out/g.npz'" in said


@pytest.mark.parametrize("path", ["g.tsv", "g", "g.json"])
def test_other_suffixes_are_refused_with_the_list(path):
    assert ".safetensors" in refused(path, [field("pred", 3)])


@pytest.mark.parametrize("suffix", TABLES)
@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (((3,), (4,)), "b has shape (4,), and a has shape (3,)"),
        (((3, 2), ()), "b has shape (), and a has shape (3, 2)"),
        (((3, 25, 40), (3,)), "1,001 columns, and a table has at most 1,000"),
    ],
)
def test_what_is_no_table_is_sent_to_an_archive(suffix, shapes, said):
    fields = [field(name, *shape) for name, shape in zip("ab", shapes, strict=True)]
    paragraph = refused(f"g{suffix}", fields)
    assert said in paragraph
    assert "Write -o 'g.npz'" in paragraph
    check("g.npz", fields)
    check("g.safetensors", fields)


@pytest.mark.parametrize("suffix", TABLES)
def test_a_thousand_columns_are_a_table(tmp_path, suffix):
    check(f"g{suffix}", [field("a", 3, 1000)])
    write(tmp_path / f"g{suffix}", {"a": np.ones((3, 1000))})
    assert names(tmp_path) == [f"g{suffix}"]


def test_columns_of_one_name_are_refused():
    assert "two columns named 'a_1'" in refused("g.csv", [field("a", 3, 2), field("a_1", 3)])
    assert "two columns named 'id'" in refused("g.csv", [field("id", 3)], ids=["a", "b", "c"])
    check("g.csv", [field("id", 3)])
    check("g.csv", [field("id", 3)], ids=["a", "b", "c"], id_name="user")


def test_ids_are_one_for_each_row():
    assert "3 rows, but there are 2 ids" in refused("g.csv", [field("a", 3)], ShapeMismatch, ids=["a", "b"])


@pytest.mark.parametrize("suffix", TABLES)
def test_tables_need_pyarrow(suffix, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "needs the package 'pyarrow'" in refused(f"g{suffix}", [field("a", 3)], MissingExtra)
    check("g.npz", [field("a", 3)])


def test_opening_checks_first(tmp_path):
    with pytest.raises(UsageError), opened(str(tmp_path / "g.npy"), [field("a", 3), field("b", 3)]):
        pytest.fail("it was opened")
    assert names(tmp_path) == []
