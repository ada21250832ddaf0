"""`*` takes the columns of numbers that can be one block, and says what it leaves out."""

import shlex

import numpy as np
import pytest
from told import told

TABLE = "id,a,b,y,name\n3,1.0,2.0,5,x\n7,2.0,4.0,6,y\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path


def block(capsys, line, *more):
    """The columns that the block of `pred` is made of, and what was said of it."""
    found = told(capsys, "compute", *shlex.split(line), *more, "-f", "json")
    return found.document["inputs"][0]["read"]["columns"], [text for text in found.said if "leaves out" in text]


TAKEN = {
    "an id, text, and the target of the same table": (
        "mse t.csv:* t.csv:y --broadcast",
        ["a", "b"],
        "lossctl: t.csv:* leaves out 'id' (an id), 'y' (the target), 'name' (text)",
    ),
    "the target by position": ("mse t.csv:* t.csv:#4 --broadcast", ["a", "b"], "'y' (the target)"),
    "the target by its well-known name": ("mse t.csv:* t.csv --broadcast", ["a", "b"], "'y' (the target)"),
    "the target of a path written otherwise": ("mse t.csv:* ./t.csv:y --broadcast", ["a", "b"], "'y' (the target)"),
    "the target elsewhere": ("mse t.csv:* [[0,0,0],[0,0,0]]", ["a", "b", "y"], "leaves out 'id' (an id), 'name' (text)"),
    "the target by its whole path": ("mse t.csv:* $PWD/t.csv:y --broadcast", ["a", "b"], "'y' (the target)"),
    "weights": ("mse t.csv:* [[0],[0]] --weights t.csv:b --broadcast", ["a", "y"], "'b' (the weights)"),
    "a mask": ("mse t.csv:* [[0],[0]] --mask m.csv:m --broadcast", ["a", "b", "y"], "'id' (an id)"),
    "groups": ("mse t.csv:* [[0],[0]] --by y --broadcast", ["a", "b"], "'y' (--by)"),
    "groups as a source": ("mse t.csv:* [[0],[0]] --by t.csv:y --broadcast", ["a", "b"], "'y' (--by)"),
    "the join key": ("mse j.csv:* j.csv:a --on n --broadcast", ["b"], "'n' (--on), 'a' (the target)"),
    "an index": ("mse i.csv:* [[0],[0]] --broadcast", ["a", "b"], "'' (an index)"),
    "an index as it is read again": ("mse u.csv:* [[0],[0]] --broadcast", ["a", "b"], "'Unnamed: 0' (an index)"),
    "an index of Parquet": ("mse p.parquet:* [[0],[0]] --broadcast", ["a", "b"], "'__index_level_0__' (an index)"),
    "other ids": ("mse o.csv:* [[0],[0]] --broadcast", ["a"], "'image_id' (an id), 'key' (an id)"),
    "row numbers without a name": ("mse r.csv:* [[0],[0],[0]] --broadcast", ["#2", "#3"], "'#1' (row numbers)"),
    "row numbers with a name": ("mse n.csv:* [[0],[0],[0]] --broadcast", ["a", "b"], "'sample' (row numbers)"),
    "tabs": ("mse t.tsv:* [[0],[0]] --broadcast", ["a", "b", "y"], "'id' (an id)"),
    "JSON lines": ("mse t.jsonl:* t.jsonl:y --broadcast", ["a", "b"], "'id' (an id), 'y' (the target)"),
    "shards": ("mse s/*.csv:* [[0],[0]] --broadcast", ["a", "b"], "'id' (an id)"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_it_takes(here, capsys, name):
    import pyarrow as pa
    from pyarrow import parquet

    (here / "m.csv").write_text("m\n1\n1\n")
    (here / "j.csv").write_text("n,a,b\n3,1,2\n7,2,4\n")
    (here / "i.csv").write_text(",a,b\n0,1,2\n1,2,4\n")
    (here / "u.csv").write_text("Unnamed: 0,a,b\n0,1,2\n1,2,4\n")
    (here / "o.csv").write_text("image_id,key,a\n10,1,2\n11,2,4\n")
    (here / "r.csv").write_text("0,.5,.5\n1,.25,.75\n2,.1,.9\n")
    (here / "n.csv").write_text("sample,a,b\n1,.5,.5\n2,.25,.75\n3,.1,.9\n")
    (here / "t.tsv").write_text(TABLE.replace(",", "\t"))
    (here / "t.jsonl").write_text('{"id": 3, "a": 1, "b": 2, "y": 5}\n{"id": 4, "a": 1, "b": 2, "y": 5}\n')
    (here / "s").mkdir()
    (here / "s" / "a.csv").write_text("id,a,b\n0,1,2\n")
    (here / "s" / "b.csv").write_text("id,a,b\n5,1,2\n")
    parquet.write_table(pa.table({"__index_level_0__": [4, 9], "a": [1.0, 2.0], "b": [2.0, 4.0]}), here / "p.parquet")
    line, columns, said = TAKEN[name]
    line = line.replace("$PWD", str(here))
    found, texts = block(capsys, line)
    assert found == columns
    assert len(texts) in {1, 2}
    assert said in texts[0]


def test_a_target_that_is_used_nowhere_is_said(here, capsys):
    said = "lossctl: l.csv:* takes in 'label', the name of a target; another pattern leaves it out"
    (here / "l.csv").write_text("a,label\n1,2\n3,4\n")
    (here / "y.csv").write_text("x,y\n1,2\n3,4\n")
    (here / "one.csv").write_text("id,label\n1,2\n3,4\n")
    for line, expected in (
        ("mse l.csv:* [[0],[0]] --broadcast", [said]),
        ("mse [[0],[0]] l.csv:* --broadcast", []),
        ("mse y.csv:* [[0],[0]] --broadcast", []),
        ("mse one.csv:* [[0],[0]]", []),
    ):
        found = told(capsys, "compute", *shlex.split(line), "-b").said
        assert [text for text in found if "takes in" in text] == expected


def test_an_id_is_not_proposed_as_a_prediction(here, capsys):
    (here / "x.csv").write_text("Id,Price,Rooms\n1,2.5,3\n2,3.5,4\n")
    assert "Name one: x.csv:Price" in told(capsys, "compute", "mse", "x.csv", "[1,2]").fault
    (here / "x.csv").write_text("0,2.5\n1,3.5\n2,4.5\n")
    assert "Name one: x.csv:#2" in told(capsys, "compute", "mse", "x.csv", "[1,2,3]").fault


def test_values_of_a_block_beside_its_own_labels(here, capsys):
    (here / "s.csv").write_text("id,c0,c1,label\n9,2.0,0.0,0\n8,0.0,2.0,1\n")
    # Each row is right by 2: log(1 + e^-2).
    found = told(capsys, "compute", "ce", "s.csv:*", "s.csv:label", "-b")
    assert found.value == pytest.approx(np.log1p(np.exp(-2)))
    assert told(capsys, "grad", "ce", "s.csv:*", "s.csv:label", "-f", "json").document["gradients"][0]["shape"] == [2, 2]
    assert told(capsys, "compare", "ce,multi_margin", "s.csv:*", "-t", "s.csv:label").code == 0


def test_what_a_comparison_names_is_left_out(here, capsys):
    (here / "w.csv").write_text("p,q,user,week,y\n" + "".join(f"{i}.5,{i}.25,{i // 2},{i},{i % 2}\n" for i in range(1, 9)))
    options = ("-t", "[[0]]", "--broadcast", "--cluster-by", "user", "--explain", "week", "-f", "json")
    found = told(capsys, "compare", "mse", "w.csv:*", "[[1,1,1]]", *options)
    assert "lossctl: w.csv:* leaves out 'user' (--cluster-by), 'week' (--explain)" in found.said


def test_other_patterns_take_what_they_name(capsys):
    found, said = block(capsys, "mse t.csv:[iab]* [[0],[0]] --broadcast")
    assert (found, said) == (["id", "a", "b"], [])


def test_a_name_is_a_name(here, capsys):
    (here / "x.csv").write_text("*,id\n1,2\n3,4\n")
    assert told(capsys, "compute", "mse", "x.csv:*", "x.csv:id", "-b").value == 1


def test_whole_numbers_are_no_row_numbers_where_others_are_whole_too(here, capsys):
    (here / "x.csv").write_text("0,5,5\n1,2,7\n2,1,9\n")
    assert block(capsys, "mse x.csv:* [[0],[0],[0]] --broadcast") == (["#1", "#2", "#3"], [])
    (here / "x.csv").write_text("0,.5,.5\n2,.2,.7\n1,.1,.9\n")
    assert block(capsys, "mse x.csv:* [[0],[0],[0]] --broadcast") == (["#1", "#2", "#3"], [])


def test_nothing_left_is_refused(here, capsys):
    (here / "x.csv").write_text("id,name\n1,a\n2,b\n")
    fault = told(capsys, "compute", "mse", "x.csv:*", "[1,2]").fault
    assert fault == (
        "3: lossctl: x.csv has no column that '*' could take: 'id' (an id), 'name' (text). "
        "Name what is meant, by a name or a pattern: 'x.csv:?*' takes what has a name."
    )


def test_an_index_is_no_candidate_where_no_column_is_named(here, capsys):
    (here / "p.csv").write_text(",0\n0,1.5\n1,2.5\n")
    (here / "y.csv").write_text("Unnamed: 0,y\n0,1\n1,2\n")
    assert told(capsys, "compute", "mse", "p.csv", "y.csv", "-b").value == 0.25
    (here / "p.csv").write_text("id,v\n0,1.5\n1,2.5\n")
    assert "2 columns of numbers ('id', 'v')" in told(capsys, "compute", "mse", "p.csv", "y.csv").fault


def test_it_is_said_once(here, capsys):
    (here / "v.csv").write_text("id,a,b\n7,1.5,2\n9,2.5,4\n")
    for line in (
        "identify --value 0 v.csv:* v.csv:*",
        "compute mse,l1,huber v.csv:* v.csv:*",
        "compute @regression v.csv:* v.csv:*",
    ):
        found = told(capsys, *shlex.split(line))
        assert found.code == 0
        assert sum("leaves out" in text for text in found.said) == 1


def test_inspect_and_recommend(capsys):
    found = told(capsys, "inspect", "t.csv:*", "-f", "json")
    assert [one["key"] for one in found.document["arrays"]] == ["a", "b", "y"]
    assert "leaves out 'id' (an id), 'name' (text)" in found.said[0]
    found = told(capsys, "recommend", "t.csv:*", "t.csv:y")
    assert any("'y' (the target)" in text for text in found.said)
