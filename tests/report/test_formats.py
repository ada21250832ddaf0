import csv
import io
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lossctl.errors import UnknownName
from lossctl.report import RENDERERS, Report, Style, choose, render, strict

PLAIN = Style()
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
ROWS = [
    {"loss": "mse", "params": {"delta": 1.0}, "value": 0.1 + 0.2, "n": 4, "ok": True},
    {"loss": "a|b\tc\nd", "value": float("nan"), "n": 10**12, "ok": False},
    {"loss": "l1", "value": -1e-300, "n": None},
]
COLUMNS = ("loss", "params", "value", "n", "ok")


def report(rows=ROWS, columns=COLUMNS, **more):
    return Report(columns, rows, **more)


def one(value, **document):
    return Report(("loss", "value"), [{"loss": "mse", "value": value}], document=document)


def same(left, right):
    return repr(float(left)) == repr(float(right))


def test_auto_is_a_table_on_a_terminal_and_tsv_in_a_pipe():
    assert choose("auto", terminal=True) == "table"
    assert choose("auto", terminal=False) == "tsv"
    assert choose("csv", terminal=True) == "csv"


def test_an_unknown_format_is_refused_before_anything_runs():
    with pytest.raises(UnknownName, match="no format 'jsn'") as caught:
        choose("jsn", terminal=False)
    assert "Did you mean 'json'?" in caught.value.hint


def test_all_formats_are_there_and_end_with_a_newline():
    assert RENDERERS.names()[:7] == ["table", "value", "json", "jsonl", "csv", "tsv", "markdown"]
    assert all(render(report(), name, PLAIN).endswith("\n") for name in RENDERERS.names())


@pytest.mark.parametrize("name", ["tsv", "csv", "value", "json", "jsonl"])
def test_machine_formats_ignore_the_digits_for_people(name):
    assert render(report(), name, Style(sig=2, decimals=1, width=10, color=True)) == render(report(), name, PLAIN)


def test_tsv():
    assert render(report(), "tsv", PLAIN).splitlines() == [
        "loss\tparams\tvalue\tn\tok",
        'mse\t{"delta":1.0}\t0.30000000000000004\t4\ttrue',
        "a|b\\tc\\nd\t\tnan\t1000000000000\tfalse",
        "l1\t\t-1e-300\t\t",
    ]


def test_lists_are_compact_json_in_a_cell():
    assert render(one([[1.0, float("inf")], [2.5, 3.0]]), "tsv", PLAIN) == "loss\tvalue\nmse\t[[1.0,inf],[2.5,3.0]]\n"


def test_csv_quotes_and_ends_lines_with_a_newline_only():
    text = render(report(), "csv", PLAIN)
    assert "\r" not in text
    read = list(csv.reader(io.StringIO(text)))
    assert read[0] == list(COLUMNS)
    assert read[2] == ["a|b\tc\nd", "", "nan", "1000000000000", "false"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.30000000000000004\n"),
        (7, "7\n"),
        (float("-inf"), "-inf\n"),
        (None, "\n"),
        ([[1.5, float("nan")], [-0.0, 2]], "1.5\nnan\n-0.0\n2\n"),
        ([], ""),
    ],
)
def test_value_is_bare_and_one_number_a_line(value, text):
    assert render(one(value), "value", PLAIN) == text


def test_value_prints_the_bare_column_of_every_row():
    rows = [{"value": 1.0, "share": 0.25}, {"value": 2.0, "share": 0.75}]
    assert render(Report(("value",), rows, bare="share"), "value", PLAIN) == "0.25\n0.75\n"


@given(FLOATS)
def test_floats_come_back_from_tsv_csv_and_value(value):
    assert same(render(one(value), "tsv", PLAIN).split("\n")[1].split("\t")[1], value)
    assert same(list(csv.reader(io.StringIO(render(one(value), "csv", PLAIN))))[1][1], value)
    assert same(render(one(value), "value", PLAIN), value)


@given(st.recursive(FLOATS | st.integers() | st.none() | st.booleans() | st.text(), st.lists, max_leaves=20))
def test_json_holds_what_strict_left_and_stays_the_same(value):
    document = {"results": [{"params": {}, "value": value}], "warnings": []}
    text = render(one(1.0, **document), "json", PLAIN)
    assert text == render(one(1.0, **document), "json", PLAIN)
    read = json.loads(text, parse_constant=pytest.fail)
    assert repr(read) == repr(strict(document))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_tsv_keeps_one_row_on_one_line(text):
    table = render(Report(("a", "b"), [{"a": text, "b": 1}]), "tsv", PLAIN)
    assert [line.count("\t") for line in table.removesuffix("\n").split("\n")] == [1, 1]


@given(st.text())
def test_csv_gives_every_text_back(text):
    read = csv.reader(io.StringIO(render(Report(("a", "b"), [{"a": text, "b": 1}]), "csv", PLAIN), newline=""))
    assert list(read)[1] == [text, "1"]


def test_json_puts_what_holds_no_object_on_one_line():
    document = {
        "schema": "s",
        "inputs": [{"role": "pred", "shape": [2, 2]}],
        "results": [{"params": {"delta": 1.0}, "value": [[1.0, 4.0], [2.0, 3.0]]}],
        "checks": [],
    }
    assert render(one(1.0, **document), "json", PLAIN).split("\n") == [
        "{",
        '  "schema": "s",',
        '  "inputs": [',
        '    {"role": "pred", "shape": [2, 2]}',
        "  ],",
        '  "results": [',
        "    {",
        '      "params": {"delta": 1.0},',
        '      "value": [[1.0, 4.0], [2.0, 3.0]]',
        "    }",
        "  ],",
        '  "checks": []',
        "}",
        "",
    ]


def test_json_without_a_document_gives_the_rows():
    assert json.loads(render(one(float("nan")), "json", PLAIN)) == [{"loss": "mse", "value": None, "status": "nan"}]
    assert render(Report(("a",), []), "json", PLAIN) == "[]\n"


def test_jsonl_gives_results_or_rows():
    assert render(one(1.0, results=[{"a": float("inf")}, {"a": 2}]), "jsonl", PLAIN) == (
        '{"a": null, "statuses": {"a": "inf"}}\n{"a": 2}\n'
    )
    assert render(one(float("nan")), "jsonl", PLAIN) == '{"loss": "mse", "value": null, "status": "nan"}\n'


def test_markdown_escapes_pipes_and_sets_numbers_to_the_right():
    assert render(report(), "markdown", PLAIN).splitlines() == [
        "| loss | params | value | n | ok |",
        "| --- | --- | ---: | ---: | --- |",
        "| mse | delta=1 | 0.3 | 4 | yes |",
        "| a\\|b\\tc\\nd |  | nan | 1000000000000 | no |",
        "| l1 |  | -1e-300 |  |  |",
    ]


def seen(text):
    """The cells of a row as a reader of Markdown sees them."""
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    table = [
        one for one in reader.parse(render(Report(("a", "b"), [{"a": text, "b": "end"}]), "markdown", PLAIN)) if one.children
    ]
    return [
        "".join(part.content if part.type in {"text", "text_special"} else f"({part.type})" for part in one.children)
        for one in table
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a\\|b", "a|b", "\\\\|", "end\\", "`code`", "*bold*", "_u_", "__u__", "a_b", "~~no~~", "<b>h</b>", "&lt;", "&#124;",
        "[a](http://b)", "![a](b)", "[1, 2]", "<http://a>", "x <= 0.5", "# h", "- i", "|", "\\",
        "cross_entropy:weight=1,2", "0.1 * (a - b) * 2", "a*b*c", "a && b",
    ],
)  # fmt: skip
def test_markdown_shows_a_cell_as_it_is(text):
    assert seen(text) == ["a", "b", text, "end"]


@given(st.text(alphabet="ab \\|`*_~$<>&;#[](){}!-/=1", max_size=12))
def test_no_text_breaks_a_row_of_markdown(text):
    assert seen(f"x{text}y") == ["a", "b", f"x{text}y", "end"]


def test_tsv_holds_nothing_that_a_terminal_obeys():
    text = render(Report(("a",), [{"a": "\x1b[31mred\x9b2J\x07"}]), "tsv", PLAIN)
    assert text == "a\n\\x1b[31mred\\x9b2J\\x07\n"


def test_no_rows_still_have_a_header():
    assert render(report([]), "tsv", PLAIN) == "loss\tparams\tvalue\tn\tok\n"
    assert "loss" in render(report([]), "table", PLAIN)


@pytest.mark.parametrize(
    ("name", "absent"), [("tsv", ["rich", "json", "csv"]), ("json", ["rich", "csv"]), ("value", ["rich", "json", "csv"])]
)
def test_a_format_imports_only_what_it_needs(name, absent):
    code = (
        "import sys\n"
        "from lossctl.report import Style, render\n"
        "from lossctl.report import Report\n"
        f"render(Report(('value',), [{{'value': 1.0}}], document={{'a': [1.0]}}), {name!r}, Style())\n"
        f"heavy = {{*{absent!r}, 'torch', 'pydantic', 'yaml', 'numpy'}} & sys.modules.keys()\n"
        "print(*sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
