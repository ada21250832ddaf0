"""What a SOURCE string means: paths, keys, globs of files, inline values, and everything that is not there."""

from __future__ import annotations

import hashlib
import math
import os
import threading

import numpy as np
import pytest

from lossctl.errors import InputError, MissingFile, ShapeMismatch, UnreadableFile
from lossctl.sources.files import Files
from lossctl.sources.readers import Memory
from lossctl.sources.source import Given

TABLE = "id,pred,target\n1,2,3\n4,5,6\n"


def test_a_whole_path_wins_and_the_last_colon_that_works_splits(folder):
    folder.save("a.npy", np.zeros(1))
    folder.save("a.npy:b", np.ones(1))
    folder.write("c:d.csv", TABLE)
    folder.write("e.csv", "x:y,z\n1,2\n")
    assert folder.array("c:d.csv:pred").tolist() == [2, 5]
    assert folder.array("e.csv:x:y").tolist() == [1]
    assert folder.array("e.csv::x:y").tolist() == [1]
    folder.in_format = "npy"
    folder.again()
    assert folder.array("a.npy:b").tolist() == [1]


def test_absolute_paths_ignore_the_folder(folder, tmp_path):
    path = folder.write("a.csv", TABLE)
    assert Files("/nowhere").open(Given(f"{path}:pred"), "pred").shape == (2,)
    assert Files().open(Given(f"{tmp_path}/*.csv:pred"), "pred").shape == (2,)


def test_missing_files_come_with_the_nearest_name(folder):
    folder.write("preds.csv", TABLE)
    folder.write("sub/targets.csv", TABLE)
    assert folder.fault("pred.csv:yhat").startswith("MissingFile: There is no file 'pred.csv'. Did you mean 'preds.csv'?")
    assert "Did you mean 'targets.csv'?" in folder.fault("sub/target.csv")
    assert "there is no folder" in folder.fault("nowhere/target.csv")
    assert "No file matches 'x*.npy'" in folder.fault("x*.npy")
    assert folder.fault("").startswith("MissingFile")
    assert folder.fault("a\0b.npy").startswith("MissingFile")
    assert folder.fault("x" * 5000).startswith("MissingFile")


def test_colons_with_nothing_behind(folder):
    folder.write("sub/a.csv", TABLE)
    assert "Nothing stands after the colon of 'sub/a.csv:'" in folder.fault("sub/a.csv:")


def test_permission_denied(folder, monkeypatch):
    folder.save("a.npy", np.zeros(1))

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    assert folder.fault("a.npy").startswith("MissingFile: a.npy may not be read: permission denied.")


def test_other_faults_of_the_system(folder, monkeypatch):
    folder.save("a.npy", np.zeros(1))

    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    assert folder.fault("a.npy") == "UnreadableFile: a.npy could not be read: Input/output error."


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2.0", 2.0), ("[1, 2]", [1, 2]), ("-1e3", -1000), ("[[1,null]]", [[1, math.nan]]), ('["nan"]', [math.nan])]
    + [(f"[{text}, 1]", [-math.inf, 1]) for text in ("-inf", "-Infinity", "-.inf", "-Inf", "-.INF", "-INFINITY")]
    + [(f"[1,{text}]", [1, math.inf]) for text in ("inf", "Infinity", ".inf", "+inf", "+.Inf")]
    + [(f"[[1, 2.],[{text} ,.5]]", [[1, 2], [math.nan, 0.5]]) for text in ("nan", "NaN", ".nan", ".NaN", "null")]
    + [("-inf", -math.inf), ("Infinity", math.inf), ("nan", math.nan)],
)
def test_inline_literals(folder, text, expected):
    np.testing.assert_array_equal(folder.array(text), expected)
    assert folder.reader(text).name == text


def test_a_file_wins_over_a_literal(folder):
    folder.write("2.0", "[7]")
    assert folder.array("2.0").tolist() == [7]


@pytest.mark.parametrize(
    ("value", "expected", "name"),
    [
        (0.5, 0.5, "0.5"),
        ([1, "nan", "-inf", None], [1, math.nan, -math.inf, math.nan], "[1, 'nan', '-inf', None]"),
        ([], [], "[]"),
        ([[1], [2]], [[1], [2]], "[[1], [2]]"),
        (list(range(100)), range(100), f"{[*range(100)]}"[:39] + "…"),
    ],
)
def test_inline_values(value, expected, name):
    reader = Files().open(Given(value=value), "target")
    assert isinstance(reader, Memory)
    assert reader.name == name
    np.testing.assert_array_equal(reader.array, expected)


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ([[1, 2], [3]], ShapeMismatch, "The inline pred is ragged: a list of 2 stands beside a list of 1 (item 1)."),
        ([1, "x"], UnreadableFile, "The inline pred holds 'x' at [1], which is not a number."),
        ({"a": 1}, UnreadableFile, "holds a mapping with the keys a"),
        ([1, 2j], UnreadableFile, "which is not a number"),
        ("text", UnreadableFile, "holds 'text', which is not a number"),
    ],
)
def test_bad_inline_values(value, kind, said):
    with pytest.raises(kind) as caught:
        Files().open(Given(value=value), "pred")
    assert said in caught.value.paragraph()


def test_a_glob_joins_files_in_name_order(folder):
    for i in (2, 0, 1):
        folder.save(f"part{i}.npy", np.full((i + 1, 2), i, "f4" if i else "f8"))
    reader = folder.reader("part*.npy")
    assert (reader.shape, reader.dtype) == ((6, 2), np.float64)
    joined = reader.read(0, 6)
    assert joined[:, 0].tolist() == [0, 1, 1, 2, 2, 2]
    for start in range(7):
        for stop in range(start, 7):
            np.testing.assert_array_equal(reader.read(start, stop), joined[start:stop])
    np.testing.assert_array_equal(reader.read(1, 2, 1), joined[:, 1:])
    assert reader.place((3, 1)) == "part2.npy, [0, 1]"
    content = b"".join((folder.path / f"part{i}.npy").read_bytes() for i in range(3))
    assert reader.facts() == {"path": "part*.npy", "key": None, "sha256": hashlib.sha256(content).hexdigest()}


def test_a_glob_with_a_key_or_a_single_file(folder):
    folder.write("sub/a.csv", TABLE)
    assert folder.array("sub/*.csv:pred").tolist() == [2, 5]
    assert folder.reader("sub/*.csv:pred").facts()["path"] == "sub/a.csv"
    folder.write("sub/b.csv", TABLE.replace("2", "9"))
    folder.again()
    assert folder.array("sub/*.csv:pred").tolist() == [2, 5, 9, 5]
    assert folder.reader("sub/*.csv:pred").facts()["path"] == "sub/*.csv"
    assert folder.reader("sub/*.csv::pred").place((2,)) == "sub/b.csv, line 2, column 'pred'"


def test_files_that_do_not_join(folder):
    folder.save("p0.npy", np.zeros((2, 3)))
    folder.save("p1.npy", np.zeros((2, 4)))
    assert "'p*.npy' does not join: p1.npy has shape (2, 4), but p0.npy has (2, 3)." in folder.fault("p*.npy")


def test_a_suffix_that_says_nothing(folder):
    folder.save("array", np.arange(3))
    folder.write("table.dat", TABLE)
    folder.write("doc.out", "  [1, 2]")
    folder.write("junk.bin", b"\x7fELF\0\0\1\2")
    assert folder.array("array").tolist() == [0, 1, 2]
    assert folder.array("table.dat:pred").tolist() == [2, 5]
    assert folder.array("doc.out").tolist() == [1, 2]
    assert "junk.bin is in no format that lossctl knows" in folder.fault("junk.bin")
    assert "Known formats: npy, npz, csv" in folder.fault("junk.bin")


def test_in_format_overrides_the_suffix(folder):
    folder.in_format = "csv"
    folder.again()
    folder.write("a.json", "pred\n1\n")
    assert folder.array("a.json").tolist() == [1]


def test_a_file_is_opened_once(folder, monkeypatch):
    opened = []
    folder.write("a.csv", TABLE)
    from lossctl.sources import table

    monkeypatch.setattr(table, "read_layout", lambda *given, real=table.read_layout: opened.append(1) or real(*given))
    folder.array("a.csv:pred")
    folder.array("a.csv:target", "target")
    assert opened == [1]


def test_pipes_are_read_once_and_kept(folder):
    pipe = folder.path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(TABLE))
    writer.start()
    assert folder.array("pipe:pred").tolist() == [2, 5]
    assert folder.array("pipe:target").tolist() == [3, 6]
    writer.join()


def test_readers_work_from_several_threads(folder):
    from concurrent.futures import ThreadPoolExecutor

    folder.save("a.npy", np.arange(10_000))
    np.savez_compressed(folder.path / "z.npz", a=np.arange(10_000))
    for text in ["a.npy", "z.npz"]:
        reader = folder.reader(text)
        with ThreadPoolExecutor(4) as pool:
            parts = list(pool.map(lambda i, reader=reader: reader.read(i, i + 100), range(0, 10_000, 100)))
        np.testing.assert_array_equal(np.concatenate(parts), np.arange(10_000))


def test_every_error_exits_3():
    assert {InputError.code, MissingFile.code, ShapeMismatch.code, UnreadableFile.code} == {3}
