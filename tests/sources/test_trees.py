"""JSON and YAML documents: arrays, records, nested keys, and documents that attack."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lossctl.errors import BadSpec
from lossctl.request.specfile import parse
from lossctl.sources.yaml import load


def test_json_arrays_records_and_mappings(folder):
    folder.write("a.json", "[[1, 2], [3, null]]")
    np.testing.assert_array_equal(folder.array("a.json"), [[1, 2], [3, math.nan]])
    folder.write("r.json", '[{"id": "a", "pred": 1, "p": [1, 0]}, {"id": "b", "pred": NaN, "p": [0, 1]}]')
    np.testing.assert_array_equal(folder.array("r.json:pred"), [1, math.nan])
    np.testing.assert_array_equal(folder.array("r.json:p"), [[1, 0], [0, 1]])
    np.testing.assert_array_equal(folder.array("r.json:#2"), [1, math.nan])
    folder.write(
        "m.json", '{"a": {"b": {"c": [1, 2]}}, "a.b": {"c": [3]}, "s": "-inf", "t": 2, "rows": [{"x": 1}, {"x": -Infinity}]}'
    )
    assert folder.array("m.json:a.b.c").tolist() == [3]
    assert folder.array("m.json:s").tolist() == -math.inf
    assert folder.array("m.json:rows.x").tolist() == [1, -math.inf]
    assert folder.array("m.json:t").dtype == np.int64


def test_an_exact_name_wins_over_points_and_globs(folder):
    folder.write("m.json", '{"a.b": [1], "a": {"b": [2]}, "x*": [3], "xy": [4]}')
    assert folder.array("m.json:a.b").tolist() == [1]
    assert folder.array("m.json:x*").tolist() == [3]
    assert folder.array("m.json:x?").tolist() == [[3, 4]]


def test_integers_and_truth_keep_their_type(folder):
    folder.write("m.json", '{"i": [1, 2], "b": [true, false], "big": [100000000000000000000]}')
    kinds = [folder.array(f"m.json:{key}").dtype.kind for key in ("i", "b", "big")]
    assert kinds == ["i", "b", "f"]


def test_one_numeric_leaf_needs_no_key(folder):
    folder.write("m.json", '{"model": "tiny", "values": [1, 2]}')
    assert folder.array("m.json", "weight").tolist() == [1, 2]
    assert "Known arrays: model, values." in folder.fault("m.json:value_")
    folder.write("a.json", "[1, 2]")
    assert "this JSON file holds one array and takes no key" in folder.fault("a.json:pred")


# Each word of a document, and what the core schema of YAML 1.2 reads it as (https://yaml.org/spec/1.2.2/#103-core-schema).
CORE = [
    ("014", 14), ("-014", -14), ("+7", 7), ("0o14", 12), ("0x1F", 31), ("1e3", 1000.0), ("1E-3", 0.001), (".5", 0.5),
    ("1.", 1.0),
    ("true", True), ("FALSE", False), ("~", None), ("Null", None), (".INF", math.inf), ("-.inf", -math.inf),
    ("!!float 2", 2.0), ("!!int 014", 14),
    *((word, word)
      for word in ("1:30", "190:20:30", "1_000", "0b11", "yes", "no", "on", "off", "2001-01-01", "0o8", "1e", "."))
]  # fmt: skip


@pytest.mark.parametrize(("word", "value"), CORE)
def test_data_and_specs_read_one_dialect_of_yaml(word, value):
    for read in (load, lambda text: parse("spec.yaml", text).value):
        found = read(f"a: [{word}, {word}]")["a"]
        assert found == [value, value]
        assert type(found[0]) is type(value)


def test_leading_zeros_are_decimal_in_data(folder):
    folder.write("a.yaml", "[014, 1]")
    np.testing.assert_array_equal(folder.array("a.yaml"), [14, 1])


@pytest.mark.parametrize(
    "content", ["a: &x [1]\nb: 2", "a: [1]\nb: *x", "a: !!set {x}", "a: !x [1]", "a: 1\na: 2", "a: !!int 1_0"]
)
def test_data_and_specs_refuse_the_same(folder, content):
    folder.write("a.yaml", content)
    assert "a.yaml, line " in folder.fault("a.yaml")
    with pytest.raises(BadSpec):
        parse("a.yaml", content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1,\n2,\n}", "bad.json, line 3, is not valid JSON: "),
        ('{"a": 1,\n"a": 2}', "the key 'a' occurs twice in one object"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 80 + "]" * 80, "bad.json"),
        ("[[1], [1, 2]]", "bad.json is ragged: a list of 1 stands beside a list of 2 (item 1)."),
        ("[[1, 2], 3]", "bad.json is ragged: a list of 2 stands beside a number (item 1)."),
        ('[1, "one"]', "bad.json holds 'one' at [1], which is not a number."),
        ('[[1], ["1"]]', "bad.json holds '1' at [1, 0], which is not a number."),
        ("[1" + "0" * 400 + "]", "too large for a float64"),
        ("[" + "9" * 5000 + "]", "bad.json"),
        ("", "bad.json is empty: it holds no byte."),
        (" ", "bad.json, line 1, is not valid JSON"),
        ("null", "bad.json holds nothing"),
        (b'["\xe9"]', "bad.json, line 1, is not UTF-8 text."),
    ],
)
def test_bad_json(folder, content, said):
    folder.write("bad.json", content)
    assert said in folder.fault("bad.json")


def test_documents_have_a_limit(folder, monkeypatch):
    monkeypatch.setattr("lossctl.sources.tree.LARGEST", 10)
    folder.write("a.json", "[1, 2, 3, 4, 5]")
    assert "Keep so many numbers in .npy" in folder.fault("a.json")


def test_yaml_reads_as_json_does(folder):
    folder.write("a.yaml", "pred: [1, 2e3, .nan, null, '-inf', 1E-3, .5e1]\nnested:\n  deep: [[1, 2], [3, 4]]\n")
    np.testing.assert_array_equal(folder.array("a.yaml:pred"), [1, 2000, math.nan, math.nan, -math.inf, 0.001, 5])
    assert folder.array("a.yaml:nested.deep").shape == (2, 2)
    folder.write("b.yml", "- {pred: 1, target: 2}\n- {pred: 3, target: 4}\n")
    assert folder.array("b.yml", "target").tolist() == [2, 4]
    assert folder.said == ["b.yml: using column 'target' as target"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: &x [1]\nb: *x\n", "line 1, is not valid YAML: '&x' is an alias or anchor"),
        ("a: 1\nb: 2\na: 3\n", "line 3, is not valid YAML: the key 'a' is already on line 1"),
        ("!!python/object/apply:os.system ['touch exploded']", "the tag '!!python/object/apply:os.system' is not read"),
        ("a: !!python/name:os.system ''", "the tag '!!python/name:os.system' is not read"),
        ("a: [1, 2\nb: 3", "bad.yaml, line 2, is not valid YAML"),
        ("a: 1\n--- \nb: 2\n", "is not valid YAML"),
        ("[1, two]", "bad.yaml holds 'two' at [1]"),
        ("? [1, 2]\n: 3\n", "bad.yaml"),
        ("[" * 5000, "bad.yaml"),
        ("\x00", "bad.yaml"),
    ],
)
def test_bad_yaml(folder, monkeypatch, content, said):
    monkeypatch.chdir(folder.path)
    folder.write("bad.yaml", content)
    assert said in folder.fault("bad.yaml")
    assert not (folder.path / "exploded").exists()


def test_a_billion_laughs_are_refused_at_once(folder):
    laughs = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
    folder.write("laughs.yaml", laughs)
    assert "is an alias or anchor" in folder.fault("laughs.yaml")
