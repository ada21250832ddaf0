"""Names or the first sample: what the first row of a table means, by itself and beside the other inputs of a command.

Values are calculated by hand beside each case, with the arithmetic shown.
"""

import gzip
import math
import shlex

import numpy as np
import pytest
from told import told


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(here, files):
    for name, content in files.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (here / name).write_text(content, newline="")
        elif isinstance(content, bytes):
            (here / name).write_bytes(content)
        else:
            np.save(here / name, np.asarray(content))


FLOATS = {"p.csv": "0\n1.5\n2.5\n", "t.csv": "0\n1.0\n2.0\n"}
LABELS = {"p.csv": "0\n1\n0\n1\n", "t.csv": "0\n1\n1\n1\n"}
MIXED = "a01,1.0,2.0\na02,2,2\na03,3,3\n"
# Scores of three classes for two samples, each right: ce is -log softmax, log(1 + 2 e^-1) for both.
SCORES = "1.0,0.0,0.0\n0.0,1.0,0.0\n"
CE = math.log(1 + 2 * math.exp(-1))
INDEXED = ",0,1,2\n0,1.0,0.0,0.0\n1,0.0,1.0,0.0\n"
VOTES = "0,1\n1,0\n1,1\n"
COUNTRIES = "country,2019,2020\nFR,1.5,2.5\nDE,3.5,5.5\n"

VALUES = {
    # Twice .5 squared, over 2.
    "pandas' header above one column of floats": (FLOATS, "mse p.csv t.csv", 0.25, 2),
    "written with an exponent": ({"p.csv": "0\n1e-05\n2.5\n", "t.csv": "0\n0.0\n2.0\n"}, "l1 p.csv t.csv", (1e-5 + 0.5) / 2, 2),
    "with blanks": ({"p.csv": "0\n1.5\nnan\n2.5\n", "t.csv": "0\n1.0\n1.0\n2.0\n"}, "mse p.csv t.csv --nan skip", 0.25, 2),
    # (0 + 1) / 2; as a sample (1 + 0 + 1) / 3.
    "numbers above a column of words": ({"t.csv": "1,2,3\na,.5,.5\nb,1,2\n"}, "mse t.csv:#2 t.csv:#3", 0.5, 2),
    # (1 + 0) / 2: cells with thousands separators are no words.
    "numbers above numbers for people": ({"t.csv": '999,1\n"1,000",2\n', "t.npy": [2, 2]}, "mse t.csv:#2 t.npy", 0.5, 2),
    "tabs": ({"p.tsv": "0\n1.5\n2.5\n", "t.tsv": "0\n1.0\n2.0\n"}, "mse p.tsv t.tsv", 0.25, 2),
    "white space": ({"p.txt": "0 1\n1.5 2.5\n0.5 1.5\n", "t.npy": [[1, 2], [0, 1]]}, "mse p.txt:* t.npy", 0.25, 2),
    "semicolons": ({"p.csv": "0;1\n1.5;2.5\n0.5;1.5\n", "t.npy": [[1, 2], [0, 1]]}, "mse p.csv:* t.npy", 0.25, 2),
    "a byte order mark": ({"p.csv": "\ufeff0\n1.5\n2.5\n", "t.csv": "\ufeff0\n1.0\n2.0\n"}, "mse p.csv t.csv", 0.25, 2),
    "Windows' line ends": ({"p.csv": "0\r\n1.5\r\n2.5\r\n", "t.npy": [1, 2]}, "mse p.csv t.npy", 0.25, 2),
    "packed": ({"p.csv.gz": gzip.compress(b"0\n1.5\n2.5\n"), "t.npy": [1, 2]}, "mse p.csv.gz t.npy", 0.25, 2),
    "comments above it": ({"p.txt": "# made\n0\n1.5\n2.5\n", "t.npy": [1, 2]}, "mse p.txt t.npy", 0.25, 2),
    "shards, each with a header": (
        {"s/a.csv": "0\n1.5\n", "s/b.csv": "0\n2.5\n", "t.npy": [1, 2]},
        "mse s/*.csv t.npy",
        0.25,
        2,
    ),
    "shards, one of which looks otherwise": (
        {"s/a.csv": "p\n5\n", "s/b.csv": "0\n2.5\n3.5\n", "t.npy": [5, 3, 4]},
        "l1 s/*.csv:#1 t.npy",
        1 / 3,
        3,
    ),
    "a table cut into pieces": (
        {"s/a.csv": "id,p\nx,1.0\ny,2.0\n", "s/b.csv": "z,3.0\nw,5.0\n", "t.npy": [1, 2, 3, 4]},
        "mse s/*.csv:#2 t.npy",
        0.25,
        4,
    ),
    # Labels: samples from the first row on, one of four is wrong.
    "headerless labels that begin with 0": (LABELS, "zero_one p.csv t.csv", 0.25, 4),
    "headerless floats that do not begin with 0": ({"p.csv": "0.0\n1.5\n", "t.csv": "0.5\n1.0\n"}, "mse p.csv t.csv", 0.25, 2),
    "0 above whole numbers and others": ({"p.csv": "0\n1.5\n2\n", "t.npy": [1, 1.5, 2]}, "mse p.csv t.npy", 1 / 3, 3),
    # Blocks.
    "a block": ({"l.csv": f"0,1,2\n{SCORES}", "y.csv": "y\n0\n1\n"}, "ce l.csv:* y.csv", CE, 2),
    "a block and labels with pandas' header": ({"l.csv": f"0,1,2\n{SCORES}", "y.csv": "0\n0\n1\n"}, "ce l.csv:* y.csv", CE, 2),
    "a block and headerless labels": ({"l.csv": f"0,1,2\n{SCORES}", "y.csv": "0\n1\n"}, "ce l.csv:* y.csv", CE, 2),
    "a block with an index": ({"l.csv": INDEXED, "y.csv": "y\n0\n1\n"}, "ce l.csv:* y.csv", CE, 2),
    "a block and labels with an index": ({"l.csv": INDEXED, "y.csv": ",0\n0,0\n1,1\n"}, "ce l.csv:* y.csv", CE, 2),
    "a block and labels with an index and a name": ({"l.csv": INDEXED, "y.csv": ",y\n0,0\n1,1\n"}, "ce l.csv:* y.csv", CE, 2),
    "an index as pandas reads it again": (
        {"l.csv": INDEXED.replace(",0,1,2", "Unnamed: 0,0,1,2"), "y.npy": [0, 1]},
        "ce l.csv:* y.npy",
        CE,
        2,
    ),
    "an index of text": ({"l.csv": ",0,1,2\na,1.0,0.0,0.0\nb,0.0,1.0,0.0\n", "y.npy": [0, 1]}, "ce l.csv:* y.npy", CE, 2),
    "a headerless block": ({"l.csv": SCORES, "y.csv": "0\n1\n"}, "ce l.csv:* y.csv", CE, 2),
    "a block of text and floats": ({"l.csv": "0,1\na,1.5\nb,2.5\n", "t.npy": [1, 2]}, "mse l.csv:1 t.npy", 0.25, 2),
    "an id above 0, 1": ({"l.csv": "id,0,1\na,1.5,1.0\nb,2.5,2.0\n"}, "mse l.csv:0 l.csv:1", 0.25, 2),
    # Settled by the lengths of the other inputs.
    "floats from 0 on, as long as the others": ({"p.csv": "0\n1.5\n2.5\n", "t.npy": [0, 1, 2]}, "mse p.csv t.npy", 0.5 / 3, 3),
    "a block from 0, 1, 2 on, as long as the others": (
        {"l.csv": f"0,1,2\n{SCORES}", "y.npy": [2, 0, 1]},
        "ce l.csv:* y.npy",
        (math.log(1 + math.exp(-1) + math.exp(-2)) + 2 * CE) / 3,
        3,
    ),
    "votes with pandas' header": ({"v.csv": VOTES, "t.npy": [[1, 0], [1, 0]]}, "mse v.csv:* t.npy", 0.25, 2),
    "votes without a header": ({"v.csv": VOTES, "t.npy": [[0, 1], [1, 0], [1, 0]]}, "mse v.csv:* t.npy", 1 / 6, 3),
    "whole numbers under 0": ({"y.csv": "0\n7\n9\n", "t.npy": [7, 8]}, "mse y.csv t.npy", 0.5, 2),
    "weights of other length": ({**FLOATS, "w.npy": [1, 1, 2]}, "l1 p.csv t.csv --weights w.npy", (0 + 0.5 + 2 * 0.5) / 4, 3),
    "both readings, one value": ({"v.csv": VOTES}, "mse v.csv:* v.csv:*", 0, 3),
    "only one reading has a value": (
        {"v.csv": "0,1\n1,1\n1,1\n"},
        "log_loss v.csv:#2 v.csv:#1 --domain ignore --header no",
        None,
        3,
    ),
    # Text beside numbers.
    "ids without a header": ({"f.csv": MIXED}, "mse f.csv:#2 f.csv:#3", 1 / 3, 3),
    "ids without a header, and tabs": ({"f.tsv": MIXED.replace(",", "\t")}, "mse f.tsv:#2 f.tsv:#3", 1 / 3, 3),
    "two columns of text": ({"f.csv": "a,x,1.0,3\nb,y,2.5,2\n"}, "l1 f.csv:#3 f.csv:#4", 1.25, 2),
    "dates without a header": ({"f.csv": "2024-01-01,1.0,3\n2024-01-02,2.5,2\n"}, "l1 f.csv:#2 f.csv:#3", 1.25, 2),
    "a blank in the first row": ({"f.csv": "a,,1.0,3\nb,7,2.5,2\n"}, "l1 f.csv:#3 f.csv:#4", 1.25, 2),
    "a word for nothing": ({"f.csv": "a,n/a,1.0,3\nb,7,2.5,2\n"}, "l1 f.csv:#3 f.csv:#4", 1.25, 2),
    "bool cells": ({"f.csv": "True,1.0,3\nFalse,2.5,2\n"}, "l1 f.csv:#2 f.csv:#3", 1.25, 2),
    "names above it all": ({"f.csv": "id,p,y\na,1.0,3\nb,2.5,2\n"}, "l1 f.csv:#2 f.csv:#3", 1.25, 2),
    "names above an empty column": ({"f.csv": "id,p,y,note\na,1.0,3,\nb,2.5,2,\n"}, "l1 f.csv:p f.csv:y", 1.25, 2),
    "years in a header, asked for by name": ({"f.csv": COUNTRIES}, "l1 f.csv:2019 f.csv:2020", 1.5, 2),
    "years beside an id": ({"f.csv": COUNTRIES.replace("country", "id")}, "l1 f.csv:2019 f.csv:2020", 1.5, 2),
    "quoted numbers above others": ({"f.csv": '"5","3"\n1,3\n2,5\n'}, "l1 f.csv:5 f.csv:3", 2.5, 2),
    "everything in quotes": ({"f.csv": '"5","3"\n"1","3"\n'}, "l1 f.csv:#1 f.csv:#2", 2, 2),
    "two columns of one name": ({"f.csv": "p,p\n1,3\n2.5,2\n"}, "l1 f.csv:#1 f.csv:#2", 1.25, 2),
    "one row": ({"f.csv": "1.5,2\n"}, "l1 f.csv:#1 f.csv:#2", 0.5, 1),
    "one row of 0, 1": ({"f.csv": "0,1\n"}, "l1 f.csv:#1 f.csv:#2", 1, 1),
    # As one is told.
    "--header yes": ({"f.csv": VOTES}, "l1 f.csv:#1 f.csv:#2 --header yes", 0.5, 2),
    "--header no": ({"f.csv": VOTES}, "l1 f.csv:#1 f.csv:#2 --header no", 2 / 3, 3),
    "--header yes, by names": ({"f.csv": "3,4\n1,3\n2,5\n"}, "l1 f.csv:3 f.csv:4 --header yes", 2.5, 2),
    "--header no, of pandas' header": (FLOATS, "mse p.csv t.csv --header no", 0.5 / 3, 3),
    "--header yes, of shards": ({"s/a.csv": "5\n1.5\n", "s/b.csv": "5\n2.5\n"}, "mse s/*.csv [1,2] --header yes", 0.25, 2),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(here, capsys, name):
    files, line, value, n = VALUES[name]
    write(here, files)
    found = told(capsys, "compute", *shlex.split(line), "-f", "json").document["results"][0]
    assert found["n"] == n
    if value is not None:
        assert found["value"] == pytest.approx(value, rel=1e-12)


REFUSED = {
    "both readings fit": (
        {"f.csv": VOTES},
        "mse f.csv:#1 f.csv:#2",
        # As names: (1 + 0)/2; as a sample: (1 + 1 + 0)/3.
        "equally long both ways. As names the loss is 0.5, as a sample 0.666667. Say which it is: --header yes, or",
    ),
    "of two files": ({"a.csv": VOTES, "b.csv": "0,1\n1,1\n1,1\n"}, "l1 a.csv:* b.csv:*", "Say which it is: --header yes"),
    "with labels that may have one too": ({"a.csv": VOTES, "b.csv": "0\n1\n1\n"}, "zero_one a.csv:#2 b.csv", "--header yes"),
    "a name that is not there": ({"f.csv": MIXED}, "mse f.csv:p f.csv:#3", "has no column 'p'"),
    "a name in a first row of samples": (
        {"f.csv": MIXED},
        "mse f.csv:a01 f.csv:#3",
        "It stands in the first row, which was taken for a sample: --header yes takes it for names.",
    ),
    "other lengths": ({"p.csv": "0\n1.5\n2.5\n", "t.npy": [1, 2, 3, 4]}, "mse p.csv t.npy", "4"),
    "no column named without a header": ({"f.csv": "p,y\n1,2\n"}, "mse f.csv:p f.csv:y --header no", "has no column 'p'"),
    "another word": (FLOATS, "mse p.csv t.csv --header maybe", "2: lossctl: --header takes yes, no, not 'maybe'."),
    "no word": (FLOATS, "mse p.csv t.csv --header=", "2: lossctl: --header is empty."),
    "a header alone": ({"p.csv": "p,y\n"}, "mse p.csv:p p.csv:y", "4: "),
    "nothing": ({"p.csv": "\n\n"}, "mse p.csv [1]", "3: "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(here, capsys, name):
    files, line, said = REFUSED[name]
    write(here, files)
    assert said in told(capsys, "compute", *shlex.split(line)).fault


def votes(count):
    """A first row of 0,1 above `count` rows that are all apart by 1, but for the last."""
    return "0,1\n" + "1,0\n" * (count - 1) + "1,1\n"


# Four samples are a block here.
@pytest.mark.parametrize(
    ("count", "numbers"),
    [
        (3, " As names the loss is 0.666667, as a sample 0.75."),
        (4, " As names the loss of the first 4 samples is 0.75, as a sample 1."),
        (5, " As names the loss of the first 4 samples is 1, as a sample 1."),
    ],
)
def test_both_readings_are_computed_of_one_block(here, capsys, monkeypatch, count, numbers):
    monkeypatch.setattr("lossctl.engine.opening.BLOCK", 4)
    write(here, {"f.csv": votes(count)})
    assert f"equally long both ways.{numbers} Say which" in told(capsys, "compute", "l1", "f.csv:#1", "f.csv:#2").fault


def test_a_loss_of_all_samples_is_not_computed_of_many(here, capsys, monkeypatch):
    write(here, {"f.csv": votes(5)})
    assert "As names the loss is" in told(capsys, "compute", "r2", "f.csv:#1", "f.csv:#2").fault
    monkeypatch.setattr("lossctl.engine.opening.BLOCK", 4)
    assert "equally long both ways. Say which" in told(capsys, "compute", "r2", "f.csv:#1", "f.csv:#2").fault


def test_a_first_row_that_a_loss_refuses_holds_names_however_many_follow(here, capsys, monkeypatch):
    monkeypatch.setattr("lossctl.engine.opening.BLOCK", 2)
    write(here, {"f.csv": "0,1\n1,1\n1,1\n1,1\n"})
    found = told(capsys, "compute", "gamma_deviance", "f.csv:#1", "f.csv:#2")
    assert (found.code, "\t0.0\t3" in found.out) == (0, True)
    assert any("since the other reading gives no value" in text for text in found.said)


SAID = {
    "pandas' header": (
        FLOATS,
        "mse p.csv t.csv",
        "p.csv: the first row (0) is taken for names, as pandas writes it above a column without a name; --header no takes",
    ),
    "by length": (
        {"p.csv": "0\n1.5\n2.5\n", "t.npy": [0, 1, 2]},
        "mse p.csv t.npy",
        "p.csv: the first row (0) is taken for a sample, since all inputs are equally long so; --header yes takes it for names",
    ),
    "years": (
        {"f.csv": "2019,2020,2021\n5,7,9\n4,8,1\n3,3,3\n"},
        "mse f.csv:#1 f.csv:#2",
        "though it stands out; --header yes",
    ),
    "years beside text": ({"f.csv": COUNTRIES}, "mse f.csv:#2 f.csv:#3", "though its numbers stand out; --header yes"),
    "years that are asked for": (
        {"f.csv": COUNTRIES},
        "mse f.csv:2019 f.csv:#3",
        "is taken for names, since '2019' is asked for",
    ),
    "whole numbers that are never 0": ({"f.csv": "0\n5\n7\n3\n"}, "mse f.csv 1 --broadcast", "though no other is 0"),
    "groups with a name": (
        {"t.npy": [1, 2], "g.txt": "who\nann\nbob\n"},
        "mse t.npy t.npy --by g.txt",
        "g.txt: the first row (who) is taken for names, since its words occur nowhere below it; --header no takes",
    ),
    "groups without": (
        {"t.npy": [1, 2, 3], "g.txt": "ann\nbob\nann\n"},
        "mse t.npy t.npy --by g.txt",
        "g.txt: the first row (ann) is taken for a sample, since its words occur below it too; --header yes takes it for names",
    ),
    "groups of one each": (
        {"t.npy": [1, 2, 3], "g.txt": "cid\nbob\nann\n"},
        "mse t.npy t.npy --by g.txt",
        "g.txt: the first row (cid) is taken for a sample, since all inputs are equally long so; --header yes takes",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_said(here, capsys, name):
    files, line, said = SAID[name]
    write(here, files)
    found = told(capsys, "compute", *shlex.split(line))
    assert found.code == 0
    assert sum(said in text for text in found.said) == 1
    assert not told(capsys, "compute", *shlex.split(line), "-q").said


QUIET = {
    "names": ({"f.csv": "id,p,y\na,1.0,3\nb,2.5,2\n"}, "l1 f.csv:p f.csv:y"),
    "no names": ({"f.csv": "0.5,2\n1.5,3\n"}, "l1 f.csv:#1 f.csv:#2"),
    "ids and no names": ({"f.csv": MIXED}, "mse f.csv:#2 f.csv:#3"),
    "labels": (LABELS, "zero_one p.csv t.csv"),
    "row numbers": ({"f.csv": "0\n1\n2\n3\n"}, "mse f.csv 1 --broadcast"),
    "as told": (FLOATS, "mse p.csv t.csv --header yes"),
    "rising windows": ({"f.csv": "1,2,3\n2,3,4\n3,4,5\n4,5,6\n"}, "mse f.csv:#1 f.csv:#2"),
}


@pytest.mark.parametrize("name", QUIET)
def test_what_is_plain_is_not_said(here, capsys, name):
    files, line = QUIET[name]
    write(here, files)
    assert not [text for text in told(capsys, "compute", *shlex.split(line)).said if "first row" in text]


def test_groups_of_a_file_without_a_header_are_all_there(here, capsys):
    write(here, {"t.npy": [1.0, 2.0, 4.0], "g.txt": "b\na\nb\n"})
    found = told(capsys, "compute", "mse", "t.npy", "0", "--broadcast", "--by", "g.txt", "-f", "json").document["results"]
    assert [(one.get("group"), one["value"], one["n"]) for one in found[1:]] == [("a", 4.0, 1), ("b", 8.5, 2)]


def test_a_large_table_is_read_alike(here, capsys, monkeypatch):
    monkeypatch.setattr("lossctl.sources.table.LARGE", -1)
    for name in (
        "pandas' header above one column of floats",
        "votes without a header",
        "ids without a header",
        "a block with an index",
    ):
        test_values(here, capsys, name)


def test_standard_input(here, capsys, monkeypatch):
    import io
    import sys

    write(here, {"t.npy": [1, 2]})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"0\n1.5\n2.5\n")))
    found = told(capsys, "compute", "mse", "-", "t.npy", "-b")
    assert found.value == 0.25
    assert found.said[0].startswith("lossctl: Standard input: the first row (0) is taken for names")


def test_every_command_takes_it(here, capsys):
    write(here, {"p.csv": "5\n1\n2\n3\n4\n", "t.npy": [1.0, 2.0, 3.0, 5.0], "v.csv": VOTES})
    yes = ("--header", "yes")
    assert told(capsys, "grad", "mse", "p.csv", "t.npy", *yes, "-f", "json").document["gradient"] == [0, 0, 0, -0.5]
    assert told(capsys, "compare", "mse", "p.csv", "t.npy", *yes, "-b").value == 0.25
    assert "mse" in told(capsys, "identify", "--value", "0.25", "p.csv", "t.npy", *yes).out
    assert told(capsys, "inspect", "p.csv", *yes, "-f", "json").document["arrays"][0]["shape"] == [4]
    assert told(capsys, "recommend", "p.csv", *yes, "-f", "json").document["facts"]["n"] == 4
    assert told(capsys, "recommend", "p.csv", "t.npy", *yes).code == 0
    write(here, {"x.csv": "5\n" + "1\n2\n" * 15, "y.npy": [2.0, 3.0] * 14 + [1.0, 4.0]})
    line = ("trial", "x.csv", "y.npy", *yes, "--task", "regression", "--steps", "1", "--seeds", "2", "-f", "json")
    assert sum(told(capsys, *line).document["rows"].values()) == 30
    assert told(capsys, "inspect", "v.csv", "-f", "json").document["arrays"][0]["shape"] == [3]
    assert "may hold names" in told(capsys, "trial", "v.csv:#1", "v.csv:#2", "--task", "regression").fault


def test_a_result_says_it_and_is_verified(here, capsys):
    write(here, FLOATS)
    found = told(capsys, "compute", "mse", "p.csv", "t.csv", "--header", "no", "-o", "r.json", "-f", "json").document
    assert "|header:no|" in found["signature"]
    assert found["request"]["options"] == {"header": "no"}
    assert [one["read"]["header"] for one in found["inputs"]] == [False, False]
    assert told(capsys, "verify", "r.json").code == 0


def test_a_spec_says_it(here, capsys):
    write(here, FLOATS)
    for word, value in (("yes", 0.25), ("no", 0.5 / 3), ("true", 0.25)):
        (here / "s.yaml").write_text(f"loss: mse\ninputs: {{pred: p.csv, target: t.csv}}\nheader: {word}\n")
        assert told(capsys, "compute", "s.yaml", "-b").value == pytest.approx(value)
    assert told(capsys, "compute", "s.yaml", "--header", "no", "-b").value == pytest.approx(0.5 / 3)
    (here / "s.yaml").write_text("loss: mse\ninputs: {pred: p.csv, target: t.csv}\nheader: perhaps\n")
    assert "'header' should be" in told(capsys, "compute", "s.yaml", "-b").fault
