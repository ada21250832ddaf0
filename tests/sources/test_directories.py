"""Folders and recursive patterns: all data files of one format, in the order of their paths, as one source."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from lossctl.sources.source import split

ROWS = "yhat,y\n{0},1\n"


@pytest.fixture
def spark(folder):
    """What Spark leaves behind: parts in sub-folders, markers and checksums beside them."""
    for place, value in {"p1": 1, "p10": 10, "p2": 2, "part=1/q": 7, "part=0/q": 6}.items():
        folder.write(f"preds/{place}.csv", ROWS.format(value))
    for junk in ("_SUCCESS", ".p1.csv.crc", "p1.csv.crc", "README.md", "_temporary/p9.csv", "part=0/.hidden/p8.csv", ".p7.csv"):
        folder.write(f"preds/{junk}", "junk")
    return folder


def test_all_data_files_are_joined_in_path_order(spark):
    spark.write("preds/p3.csv.gz", gzip.compress(ROWS.format(3).encode()))
    wanted = [1, 10, 2, 3, 6, 7]
    for text in (
        "preds/:yhat",
        "preds:yhat",
        "preds::yhat",
        "./preds/:yhat",
        f"{spark.path}/preds:yhat",
        f"{spark.path}/preds/:yhat",
    ):
        spark.again()
        assert spark.array(text).tolist() == wanted, text
    assert spark.array("preds").tolist() == wanted
    reader = spark.reader("preds/:yhat")
    assert reader.place((4,)) == "preds/part=0/q.csv, line 2, column 'yhat'"
    assert reader.facts()["path"] == "preds/"
    assert [one.container.stored.name for one in spark.files.listed("preds")][:2] == ["preds/p1.csv", "preds/p10.csv"]


def test_the_working_folder_and_names_that_hide_above_it(spark):
    from lossctl.sources.files import Files
    from lossctl.sources.source import Given

    inside = Files(str(spark.path / "preds" / "part=1"))
    assert inside.open(Given(".:yhat"), "pred").read(0, 9).tolist() == [7]
    (spark.path / "preds").rename(spark.path / "_out")
    assert spark.array("_out/:yhat").tolist() == [1, 10, 2, 6, 7]


def test_ids_and_groups_come_from_folders_too(spark):
    from lossctl.sources.source import Given

    assert spark.files.labels("y", Given("preds/:yhat")) == ["1"] * 5
    assert spark.files.labels("preds/:yhat", Given("[1]")) == ["1", "10", "2", "6", "7"]


def test_two_formats_are_refused_with_a_pattern_for_each(folder):
    folder.write("mixed/a.csv.gz", gzip.compress(b"a\n1\n"))
    folder.write("mixed/sub/b.tsv", "a\n1\n")
    assert folder.fault("mixed/:a") == (
        "InputError: The folder mixed/ holds files of several formats: csv (a.csv.gz) and tsv (sub/b.tsv). "
        "Name those that are meant by a pattern: 'mixed/*.csv.gz' or 'mixed/**/*.tsv'."
    )
    assert folder.array("mixed/*.csv.gz:a").tolist() == [1]
    assert folder.array("mixed/**/*.tsv:a").tolist() == [1]


def test_two_suffixes_of_one_format_are_one(folder):
    folder.write("docs/a.yaml", "[1, 2]")
    folder.write("docs/b.yml", "[3]")
    assert folder.array("docs").tolist() == [1, 2, 3]


def test_nothing_to_read(folder):
    folder.write("empty/_SUCCESS", "")
    folder.write("plain/part-00000", "a\n1\n")
    assert "MissingFile: The folder empty holds no file of a format that lossctl knows." in folder.fault("empty")
    assert "--in-format" in folder.fault("plain/:a")
    folder.in_format = "csv"
    folder.again()
    assert folder.array("plain/:a").tolist() == [1]
    assert folder.fault("empty").startswith("MissingFile: The folder empty holds no file.")


def test_endless_folders_are_refused(folder, monkeypatch):
    monkeypatch.setattr("lossctl.sources.folders.MOST", 3)
    for i in range(3):
        folder.write(f"many/{i}.csv", "a\n1\n")
    assert "The folder many holds 3 files or more" in folder.fault("many")


def test_links_to_folders_are_not_followed(folder):
    folder.write("loop/a.csv", "a\n1\n")
    (folder.path / "loop" / "again").symlink_to(folder.path / "loop")
    assert folder.array("loop:a").tolist() == [1]


def test_recursive_patterns_find_files_and_no_folders(spark):
    assert spark.array("preds/**/q.csv:yhat").tolist() == [6, 7]
    np.testing.assert_array_equal(spark.array("preds/part=*/*.csv:yhat"), [6, 7])
    spark.write("deep/x/y/z.csv", ROWS.format(5))
    assert spark.array("deep/**:yhat").tolist() == [5]


def test_a_pattern_that_matches_folders_means_what_is_in_them(spark):
    assert spark.array("preds/part=*:yhat").tolist() == [6, 7]


def test_results_are_not_written_over_files_of_a_folder(spark, monkeypatch, capsys):
    from lossctl.cli.program import _run

    monkeypatch.chdir(spark.path)
    before = (spark.path / "preds" / "part=1" / "q.csv").read_bytes()
    line = ["compute", "mse", "preds/:yhat", "preds/:yhat", "-o"]
    assert _run([*line, str(spark.path / "preds" / "part=1" / "q.csv")]) == 2
    assert "would write over an input" in capsys.readouterr().err
    assert (spark.path / "preds" / "part=1" / "q.csv").read_bytes() == before
    assert _run([*line, str(spark.path / "preds" / "new.csv")]) == 0


def test_file_addresses_are_paths(spark):
    assert spark.array(f"file://{spark.path}/preds/p1.csv:yhat").tolist() == [1]
    assert spark.array(f"file://localhost{spark.path}/preds/part=*/*.csv:yhat").tolist() == [6, 7]


@pytest.mark.parametrize(
    ("text", "address", "key"),
    [
        ("s3://bucket/a.parquet:p", "s3://bucket/a.parquet", "p"),
        ("s3://bucket/a.parquet", "s3://bucket/a.parquet", None),
        ("https://host:8080/x.npy", "https://host:8080/x.npy", None),
        ("https://host:8080", "https://host:8080", None),
        ("https://u:p@host:8080/x.npz:a", "https://u:p@host:8080/x.npz", "a"),
        ("https://host/x.csv?token=a:b:yhat", "https://host/x.csv?token=a:b:yhat", None),
        ("https://host/x.csv?token=a:b::yhat", "https://host/x.csv?token=a:b", "yhat"),
        ("https://[::1]:80/x.csv:y", "https://[::1]:80/x.csv", "y"),
        ("https://host/x.h5:group/data", "https://host/x.h5", "group/data"),
        ("https://host/data:p", "https://host/data", "p"),
        ("https://host/t.csv.gz:#2", "https://host/t.csv.gz", "#2"),
        ("s3://bucket/2026-01-01T12:30.csv", "s3://bucket/2026-01-01T12:30.csv", None),
        ("s3://bucket/12:30.csv:y", "s3://bucket/12:30.csv", "y"),
        ("s3://bucket/preds/:yhat", "s3://bucket/preds/", "yhat"),
        ("s3://bucket/preds:yhat", "s3://bucket/preds", "yhat"),
        ("s3://bucket/preds/*.parquet:p", "s3://bucket/preds/*.parquet", "p"),
        ("s3://bucket/p?.csv:p", "s3://bucket/p?.csv", "p"),
        ("s3://bucket/day:1/a.npz:x:y", "s3://bucket/day:1/a.npz", "x:y"),
        ("s3://bucket/a.npz:b.npy", "s3://bucket/a.npz", "b.npy"),
        ("s3://bucket/a.npz::", "s3://bucket/a.npz", ""),
    ],
)
def test_where_an_address_ends_and_its_key_begins(text, address, key):
    assert split(text) == (address, key)
