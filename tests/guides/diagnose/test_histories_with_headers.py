"""First rows of histories: names, or the first loss."""

import pytest

from lossctl.guides.diagnose.reading import WantedColumns as Wanted
from lossctl.guides.diagnose.reading import read

LOSSES = "2.5\n2.25\n1.5\n"


def losses(tmp_path, text, **wanted):
    path = tmp_path / "h.csv"
    path.write_text(text)
    found = read(str(path), Wanted(**wanted))
    return found.loss.values.tolist(), [note for note in found.notes if "first row" in note]


@pytest.mark.parametrize("text", [f"0\n{LOSSES}", ",0\n0,2.5\n1,2.25\n2,1.5\n", "Unnamed: 0,err\n0,2.5\n1,2.25\n2,1.5\n"])
def test_pandas_headers_are_no_losses(tmp_path, text):
    assert losses(tmp_path, text)[0] == [2.5, 2.25, 1.5]


def test_what_is_uncertain_is_said(tmp_path):
    _, said = losses(tmp_path, f"0\n{LOSSES}")
    assert said[0].endswith(
        "h.csv: the first row (0) is taken for names, as pandas writes it above a column without a name; "
        "--header no takes it for a sample"
    )
    assert losses(tmp_path, LOSSES)[1] == []


def test_header_settles_it(tmp_path):
    assert losses(tmp_path, f"0\n{LOSSES}", header="no")[0] == [0, 2.5, 2.25, 1.5]
    assert losses(tmp_path, LOSSES, header="yes")[0] == [2.25, 1.5]
    assert losses(tmp_path, "7,8\n1,2\n3,4\n", header="yes", names={"loss": "8"})[0] == [2, 4]


def test_a_column_that_is_asked_for_by_name_tells(tmp_path):
    text = "run,2019,2020\na,2.5,3.5\nb,2.25,3.25\nc,1.5,2.5\n"
    assert losses(tmp_path, text, names={"loss": "2020"})[0] == [3.5, 3.25, 2.5]
