"""Lines of JSON, in one piece and in many: both must give the same numbers and say the same sentences."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
from folders_of_files import Folder
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lossctl.errors import LossctlError, OutOfDomain
from lossctl.sources import jsonl
from lossctl.sources.files import Files
from lossctl.sources.source import Given

NAN, INF = math.nan, math.inf


@pytest.fixture(params=["one piece", "many pieces"])
def lines(request, tmp_path, monkeypatch):
    """A folder whose lines of JSON are all read in one piece, or all in pieces of a few lines."""
    if request.param == "many pieces":
        monkeypatch.setattr("lossctl.sources.spool.PIECE", 64)
        monkeypatch.setattr("lossctl.sources.spool.KEPT", 256)
    return Folder(tmp_path)


GOOD = {
    "records": ('{"a": 1, "b": 2.5}\n{"a": 3}\n', [1, 3]),
    "no line end": ('{"a": 1}\n{"a": 3}', [1, 3]),
    "blank lines": ('\n {"a": 1}\r\n\n  \n\t{"a": 3} \n\n', [1, 3]),
    "byte order mark": ('\ufeff{"a": 1}\n', [1]),
    "missing and null": ('{"b": 1}\n{"a": null}\n{}\n{"a": 4}\n', [NAN, NAN, NAN, 4]),
    "words of Python": ('{"a": NaN}\n{"a": Infinity}\n{"a": -Infinity}\n', [NAN, INF, -INF]),
    "words in quotes": ('{"a": "nan"}\n{"a": " -Inf "}\n{"a": 1}\n', [NAN, -INF, 1]),
    "truth": ('{"a": true}\n{"a": false}\n{"a": 0.5}\n', [1, 0, 0.5]),
    "limits": ('{"a": 1e400}\n{"a": -1e400}\n{"a": 1e-400}\n{"a": 4.9e-324}\n', [INF, -INF, 0, 5e-324]),
    "integers": ('{"a": 9007199254740992}\n{"a": 1180591620717411303424}\n{"a": -0}\n', [2.0**53, 2.0**70, -0.0]),
    "five thousand digits": ('{"a": 1, "b": %s}\n' % ("9" * 5000), [1]),
    "text beside it": ('{"note": "x, {\\"a\\": 7}", "a": 1}\n{"note": "Info: NaN", "a": 3}\n', [1, 3]),
    "other scripts": ('{"é": "日本", "a": 1}\n{"\\u0061": 2}\n', [1, 2]),
    "lists": ('{"a": [1, 2]}\n{"a": [3, null]}\n{"a": null}\n{}\n', [[1, 2], [3, NAN], [NAN, NAN], [NAN, NAN]]),
    "lists of lists": ('{"a": [[1, 2], [3, 4]]}\n{"a": [[5, 6], [7, true]]}\n', [[[1, 2], [3, 4]], [[5, 6], [7, 1]]]),
    "empty lists": ('{"a": []}\n{"a": []}\n', [[], []]),
    "a null first": ('{"a": null}\n{"a": [1, 2]}\n', [[NAN, NAN], [1, 2]]),
    "nothing but null": ('{"a": null}\n{"a": null}\n', [NAN, NAN]),
}


@pytest.mark.parametrize(("content", "expected"), GOOD.values(), ids=GOOD.keys())
def test_what_is_read(lines, content, expected):
    lines.write("a.jsonl", content)
    array = lines.array("a.jsonl:a")
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, np.array(expected, float))
    np.testing.assert_array_equal(np.signbit(array), np.signbit(np.array(expected, float)))


def test_nested_names_in_file_order(lines):
    lines.write("a.jsonl", '{"p": {"x": 1}, "q": 2}\n{"r": 5, "p": {"y": {"z": 4}, "x": 3}}\n{"p": null, "q": 6}\n')
    container = lines.files.listed("a.jsonl")[0].container
    assert container.names == ["p.x", "p.y.z", "q", "r"]
    np.testing.assert_array_equal(lines.array("a.jsonl:p.x"), [1, 3, NAN])
    np.testing.assert_array_equal(lines.array("a.jsonl:*"), [[1, NAN, 2, NAN], [3, 4, NAN, 5], [NAN, NAN, 6, NAN]])
    np.testing.assert_array_equal(lines.array("a.jsonl:#3"), [2, NAN, 6])


def test_bare_numbers_and_lists_are_one_array(lines):
    lines.write("n.ndjson", "1\n\n2.5\nnull\nNaN\n")
    np.testing.assert_array_equal(lines.array("n.ndjson"), [1, 2.5, NAN, NAN])
    lines.write("l.jsonl", "[1, 2]\n[3, 4]\n[5, 6]\n" * 20)
    reader = lines.reader("l.jsonl")
    assert reader.shape == (60, 2)
    np.testing.assert_array_equal(reader.read(1, 4), [[3, 4], [5, 6], [1, 2]])
    np.testing.assert_array_equal(reader.read(1, 2, 1)[:3], [[2], [4], [6]])
    assert "this file of JSON lines holds one array and takes no key" in lines.fault("l.jsonl:a")


def test_texts_and_ids_are_as_they_are_written(lines):
    lines.write("a.jsonl", '{"id": 12345678901234567890, "pred": 1}\n{"id": "x", "pred": 2}\n{"id": null, "pred": 3}\n' * 9)
    container = lines.files.listed("a.jsonl")[0].container
    assert container.all_texts(0)[:3] == ["12345678901234567890", "x", ""]
    assert container.numeric() == [1]
    assert lines.array("a.jsonl").tolist()[:3] == [1, 2, 3]
    lines.write("l.jsonl", '{"id": [1]}\n')
    with pytest.raises(LossctlError, match="is no list of ids"):
        lines.files.listed("l.jsonl")[0].container.all_texts(0)


def test_places_name_line_column_and_element(lines):
    lines.write("a.jsonl", '{"p": [1, 2], "q": 1}\n{"p": [3, 4], "q": 2}\n' * 9)
    lines.write("gap.jsonl", '{"q": 1}\n\n{"q": 2}\n' * 9)
    assert lines.reader("a.jsonl:p").place((2, 1)) == "line 3, column 'p', [1]"
    assert lines.reader("a.jsonl:q*").place((3, 0)) == "line 4, column 'q'"
    assert [lines.reader("gap.jsonl:q").place((i,)) for i in (0, 1, 2, 17)] == [f"line {n}, column 'q'" for n in (1, 3, 4, 27)]
    lines.write("b.jsonl", "1\n2\n")
    assert lines.reader("b.jsonl").place((1,)) == "line 2"


MORE = '{"a": 1}\n' * 30
BAD = {
    "no JSON": (MORE + '{"a": 1,}\n', "UnreadableFile: a.jsonl, line 31, is not valid JSON: "),
    "two on a line": ('{"a": 1} {"a": 2}\n', "line 1, is not valid JSON: Extra data"),
    "two on a line, none on another": ('{"a": 1}{"a": {\n}}\n', "line 1, is not valid JSON: Extra data"),
    "Inf without quotes": (MORE + '{"a": Inf}\n', "line 31, is not valid JSON"),
    "doubled key": (MORE + '{"b": 1, "b": 2}\n', "line 31, is not valid JSON: the key 'b' occurs twice in one object."),
    "doubled key in a list": (MORE + '{"b": [{"c": 1, "c": 2}]}\n', "line 31, is not valid JSON: the key 'c' occurs twice"),
    "no UTF-8": (MORE.encode() + b'{"b": "\xe9", "a": 1}\n', "line 31, is not UTF-8 text."),
    "zero byte": (MORE + '{"a": 1\0}\n', "line 31, is not valid JSON"),
    "too deep": (MORE + '{"b": ' + "[" * 50_000 + "]" * 50_000 + "}\n", "line 31, is nested too deeply"),
    "text": (MORE + '{"a": "one"}\n', "a.jsonl, line 31, column 'a' holds 'one', which is not a number."),
    "digits in quotes": (MORE + '{"a": "1"}\n', "a.jsonl, line 31, column 'a' holds '1', which is not a number."),
    "object": (MORE + '{"a": {"x": 1}}\n', "line 31, column 'a' holds a mapping with the keys x, which is not a number."),
    "list": (
        MORE + '{"a": [1, 2]}\n',
        "ShapeMismatch: a.jsonl, line 31, column 'a', holds a list of shape (2,), but lines before it a number.",
    ),
    "ragged": (
        '{"a": [1, 2]}\n' * 20 + '{"a": [1]}\n',
        "line 21, column 'a', holds a list of shape (1,), but lines before it a list of shape (2,).",
    ),
    "ragged inside": ('{"a": [[1, 2], [3]]}\n', "line 1, column 'a' is ragged"),
    "mixed": (MORE + "7\n", "line 31, is no object, but lines before it are."),
    "mixed the other way": ("7\n" * 40 + MORE, "line 41, is an object, but lines before it are not."),
    "blank": (" \n\n", "a.jsonl holds nothing: all its lines are blank."),
    "one document": ('{\n"a": 1\n}\n', "line 1, is not valid JSON: Expecting property name"),
}


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD.keys())
def test_what_is_refused(lines, content, said):
    lines.write("a.jsonl", content)
    assert said in lines.fault("a.jsonl:a")


def test_only_columns_that_are_asked_for_must_hold_numbers(lines):
    lines.write("a.jsonl", (MORE + '{"a": 2, "b": "x"}\n{"b": 1}\n'))
    assert lines.array("a.jsonl:a").shape == (32,)
    assert "column 'b' holds 'x'" in lines.fault("a.jsonl:b")
    assert "'p' holds lists" in (lines.write("l.jsonl", '{"p": [1], "q": 1}\n'), lines.fault("l.jsonl:*"))[1]


def test_readers_survive_a_pickle_without_their_numbers(lines):
    lines.write("a.jsonl", "".join(f'{{"a": {i}, "p": [{i}, 1]}}\n' for i in range(300)))
    reader = lines.reader("a.jsonl:p")
    assert reader.read(299, 300).tolist() == [[299, 1]]
    kept = pickle.dumps(reader)
    assert len(kept) < 2000
    assert pickle.loads(kept).read(299, 300).tolist() == [[299, 1]]  # noqa: S301 - our own


LATER = {
    "text": ('{"a": "x"}', "a", "column 'a' holds 'x', which is not a number."),
    "a longer list": ('{"b": [1, 2, 3]}', "b", "holds a list of shape (3,), but lines before it a list of shape (2,)."),
}


@pytest.mark.parametrize(("line", "column", "said"), LATER.values(), ids=LATER.keys())
def test_what_a_later_line_spoils_is_said_and_the_others_are_read(lines, line, column, said):
    lines.write("a.jsonl", '{"a": 0.5, "b": [1, 2], "c": 7}\n' * 40 + line + "\n")
    assert said in lines.fault(f"a.jsonl:{column}")
    np.testing.assert_array_equal(lines.array("a.jsonl:c"), [7] * 40 + [NAN])


def test_a_whole_number_that_a_later_line_would_round(lines):
    lines.write("a.jsonl", '{"a": 0.5, "c": 7}\n' * 40 + '{"a": 9007199254740993}\n')
    with pytest.raises(OutOfDomain, match=r"line 41, column 'a', the number is 9007199254740993|A number in a.jsonl is 90071"):
        lines.array("a.jsonl:a")
    np.testing.assert_array_equal(lines.array("a.jsonl:c"), [7] * 40 + [NAN])


def test_columns_that_only_later_lines_have(lines):
    lines.write("a.jsonl", '{"a": 1}\n' * 40 + '{"a": 2, "b": [3, 4]}\n')
    np.testing.assert_array_equal(lines.array("a.jsonl:a"), [1] * 40 + [2])
    np.testing.assert_array_equal(lines.array("a.jsonl:b"), [[NAN, NAN]] * 40 + [[3, 4]])


@pytest.mark.parametrize("width", [jsonl.WIDEST, jsonl.WIDEST + 1])
def test_lines_of_many_numbers(lines, width):
    rows = np.arange(3.0 * width).reshape(3, width)
    lines.write("a.jsonl", "".join(json.dumps({"x": row[0], "y": list(row[1:])}) + "\n" for row in rows))
    assert (lines.files.listed("a.jsonl")[0].container.kept is None) == (width > jsonl.WIDEST)
    np.testing.assert_array_equal(lines.array("a.jsonl:x"), rows[:, 0])
    np.testing.assert_array_equal(lines.array("a.jsonl:y"), rows[:, 1:])
    reader = lines.reader("a.jsonl:y")
    np.testing.assert_array_equal(reader.read(2, 5, 1), rows[:, 3:6])
    assert reader.place((1, 0)) == "line 2, column 'y', [0]"


numbers = st.one_of(
    st.floats(), st.integers(-(10**25), 10**25), st.booleans(), st.none(), st.sampled_from(["nan", "inf", "x", "Inf x", "1"])
)
values = st.recursive(
    numbers | st.lists(numbers, max_size=2),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c.d"]), inner, max_size=2) | st.lists(inner, max_size=2),
    max_leaves=4,
)
records = st.dictionaries(st.sampled_from(["a", "b", "d"]), values, max_size=3).map(json.dumps)
usual = st.fixed_dictionaries({"a": st.floats() | st.integers(), "d": st.none() | st.text()}).map(json.dumps)
odd = st.sampled_from(
    ["", " ", '{"a": 1} {"a": 2}', '{"a":-0}', '{"a":1', "}", '{"a":\r1}', "\f{}", "[1]", "[1, 2]", "null", "1e400", '"nan"']
)
anything = st.lists(records | usual | odd | values.map(json.dumps), min_size=1, max_size=12)


def outcome(path, piece, monkeypatch):
    """All that is read of a file, or the first sentence about what is wrong with it."""
    monkeypatch.setattr("lossctl.sources.spool.PIECE", piece)
    try:
        container = Files().listed(str(path))[0].container
    except LossctlError as error:
        return error.paragraph()
    names = container.names or ["bare"]
    return names, container.numeric(), [one(path, name, container.names) for name in names if names.count(name) == 1]


def one(path, name, names):
    try:
        reader = Files().open(Given(f"{path}::{name}" if names else str(path)), "pred")
        array = reader.read(0, reader.shape[0])
    except OutOfDomain:
        # Of a whole number beyond 2^53 among fractions only a file in one piece knows the line.
        return "rounded"
    except LossctlError as error:
        return error.paragraph()
    return reader.shape, np.where(np.isnan(array), 0, array).tobytes(), np.isnan(array).tobytes()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(content=["[0.0, null]", "", ""])
@given(content=anything | st.lists(usual, min_size=5, max_size=12) | st.lists(values.map(json.dumps), min_size=1, max_size=9))
def test_both_ways_agree_on_any_lines(tmp_path, monkeypatch, content):
    path = tmp_path / "any.jsonl"
    path.write_bytes("\n".join(content).encode() or b"\n")
    whole = outcome(path, 1 << 20, monkeypatch)
    for piece in (8, 64):
        assert outcome(path, piece, monkeypatch) == whole
