import json
import os
import stat

import pytest

from lossctl.errors import InputError, UsageError
from lossctl.report import Report, Style, format_of, write
from lossctl.sources import drafts

REPORT = Report(("loss", "value"), [{"loss": "mse", "value": 0.25}], document={"results": [{"loss": "mse", "value": 0.25}]})
STYLE = Style()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("path", "name"), [("a.json", "json"), ("a.JSONL", "jsonl"), ("b/a.csv", "csv"), ("a.txt", "tsv"), ("a.b.md", "markdown")]
)
def test_the_suffix_is_the_format(path, name):
    assert format_of(path) == name


@pytest.mark.parametrize(("path", "said"), [("a.xlsx", "the suffix .xlsx"), ("a", "no suffix")])
def test_other_suffixes_are_refused_with_the_list(path, said):
    with pytest.raises(UsageError, match=said) as caught:
        format_of(path)
    assert ".jsonl" in caught.value.hint


def test_what_is_written_is_the_format_of_the_suffix(tmp_path):
    write(REPORT, str(tmp_path / "r.json"), STYLE)
    write(REPORT, str(tmp_path / "r.tsv"), STYLE)
    assert json.loads((tmp_path / "r.json").read_bytes())["results"][0]["value"] == 0.25
    assert (tmp_path / "r.tsv").read_bytes() == b"loss\tvalue\nmse\t0.25\n"
    assert names(tmp_path) == ["r.json", "r.tsv"]


def test_a_name_that_is_no_utf_8_is_written_escaped(tmp_path):
    write(Report(("path",), [{"path": "a\udcff.npy"}]), str(tmp_path / "r.tsv"), STYLE)
    assert (tmp_path / "r.tsv").read_text() == "path\na\\udcff.npy\n"


def test_an_existing_file_is_replaced_and_keeps_its_mode(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("old")
    path.chmod(0o640)
    write(REPORT, str(path), STYLE)
    assert path.read_text() == "loss,value\nmse,0.25\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_gets_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write(REPORT, str(tmp_path / "r.csv"), STYLE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "r.csv").stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write(REPORT, str(tmp_path / "link.csv"), STYLE)
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("loss")


def test_a_failed_rename_leaves_no_draft(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(drafts.Path, "replace", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        write(REPORT, str(tmp_path / "r.csv"), STYLE)
    assert names(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no folder") as caught:
        write(REPORT, str(tmp_path / "no" / "r.csv"), STYLE)
    assert "mkdir -p" in caught.value.hint


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "r.csv").mkdir()
    with pytest.raises(InputError, match="no ordinary file"):
        write(REPORT, str(tmp_path / "r.csv"), STYLE)
