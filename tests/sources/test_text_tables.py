"""Text tables, the small way and the large way: both must give the same numbers and say the same sentences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lossctl.sources.files import Files
from lossctl.sources.source import Given

NAN, INF = math.nan, math.inf
LONG = "".join(f"r{i},{i}.5,{-i}\n" for i in range(100))

GOOD = {
    "header": ("a.csv", "pred,target\n1,2\n3,4\n", [1, 3]),
    "no line end": ("a.csv", "pred,target\n1,2\n3,4", [1, 3]),
    "byte order mark": ("a.csv", "\ufeffpred,target\n1,2\n3,4\n", [1, 3]),
    "windows": ("a.csv", "pred,target\r\n1,2\r\n3,4\r\n", [1, 3]),
    "old mac": ("a.csv", "pred,target\r1,2\r3,4\r", [1, 3]),
    "blank lines": ("a.csv", "\n\npred,target\n1,2\n\n3,4\n\n  \n", [1, 3]),
    "quotes": ("a.csv", '"pred","note"\n"1","a,b"\n"3","say ""no"""\n', [1, 3]),
    "quoted line ends": ("a.csv", 'pred,"no\nte"\n1,"two\nlines"\n3,"\n\n"\n', [1, 3]),
    "stray quote": ("a.csv", 'pred,size\n1,5" pipe\n3,x\n', [1, 3]),
    "spaces": ("a.csv", "pred , target\n 1 ,2\n\t3 ,4\n", [1, 3]),
    "exponents": ("a.csv", "pred,t\n1e3,2\n-2.5E-3,4\n+.5,1\n5.,1\n", [1000, -0.0025, 0.5, 5]),
    "words": ("a.csv", "pred,t\ninf,2\n-Infinity,4\n+inf,1\nnan,1\n", [INF, -INF, INF, NAN]),
    "blanks": ("a.csv", "pred,t\n,2\nNA,4\nNaN,1\nnull,1\n  ,1\nNULL,1\nNa,1\n1,1\n", [NAN] * 7 + [1]),
    "limits": ("a.csv", "pred,t\n1e400,2\n1e-400,4\n4.9e-324,1\n", [INF, 0, 5e-324]),
    "semicolons": ("a.csv", "pred;t\n1;2\n3;4\n", [1, 3]),
    "tabs": ("a.tsv", "pred\tt\n1\ta b\n3\tc\n", [1, 3]),
    "tabs in csv": ("a.csv", "pred\tt\n1\t2\n3\t4\n", [1, 3]),
    "white space": ("a.txt", "pred t\n 1   2\n3\t4\n", [1, 3]),
    "comments": ("a.txt", "# made by hand\npred,t\n1,2\n# more\n3,4\n#5,6\n", [1, 3]),
    "one column": ("a.csv", "pred\n1\n3\n", [1, 3]),
    "one column with a gap": ("a.csv", "pred\n1\n\n3\n\n\n", [1, NAN, 3]),
    "one column with a gap of spaces": ("a.csv", "pred\n1\n  \n3\n \n", [1, NAN, 3]),
    "one column, windows": ("a.csv", "pred\r\n1\r\n\r\n3\r\n\r\n", [1, NAN, 3]),
    "one column, no header": ("a.csv", "1\n3", [1, 3]),
    "one column, byte order mark": ("a.csv", "\ufeff1\n3\n", [1, 3]),
    "one column, quoted": ("a.csv", 'pred\n"1"\n\n3\n\n', [1, NAN, 3]),
    "text beside it": ("a.csv", "when,pred,n\n2024-01-01,1,é\n2024-01-02,3,日本\n", [1, 3]),
    "no rows": ("a.csv", "pred,target\n", []),
    "long": ("a.csv", "id,pred,target\n" + LONG, [i + 0.5 for i in range(100)]),
    "long white space": ("a.txt", "id pred target\n" + LONG.replace(",", " "), [i + 0.5 for i in range(100)]),
    "long and quoted": ("a.csv", "id,pred,target\n" + LONG.replace("r", '"r').replace(",", '",', 1), None),
}
del GOOD["long and quoted"]


@pytest.mark.parametrize(("name", "content", "expected"), GOOD.values(), ids=GOOD.keys())
def test_what_is_read(table, name, content, expected):
    table.write(name, content)
    array = table.array(name)
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, np.array(expected, float))


BAD = {
    "decimal comma": (
        "a.csv",
        "pred;t\n1;2\n1,5;2\n",
        "line 3, column 'pred': '1,5' is not a number. Write decimals with a point: 1.5.",
    ),
    "underscore": (
        "a.csv",
        "pred,t\n1,2\n1_000,2\n",
        "line 3, column 'pred': '1_000' is not a number. Write plain decimal digits",
    ),
    "hexadecimal": (
        "a.csv",
        "pred,t\n1,2\n0x1F,2\n",
        "line 3, column 'pred': '0x1F' is not a number. Write plain decimal digits",
    ),
    "text": ("a.csv", 'id,pred\n"a\nb",1\n\n"c",oops\n', "line 5, column 'pred': 'oops' is not a number. Blank, NA, NaN"),
    "other digits": ("a.csv", "pred,t\n1,2\n\u0661,2\n", "line 3, column 'pred': '\u0661' is not a number."),
    "a word of pyarrow's": ("a.csv", "pred,t\n1,2\nnan(3),2\n", "line 3, column 'pred': 'nan(3)' is not a number."),
    "short row": ("a.csv", "pred,t\n1,2\n3\n4,5\n", "a.csv, line 3, has 1 cell, but the first row has 2."),
    "long row": ("a.csv", "pred,t\n1,2\n3,4,5\n", "a.csv, line 3, has 3 cells, but the first row has 2."),
    "late text": ("a.csv", "id,pred,target\n" + LONG + "x,oops,1\n", "line 102, column 'pred': 'oops' is not a number."),
    "late ragged": ("a.csv", "id,pred,target\n" + LONG + "x,1\n", "line 102, has 2 cells, but the first row has 3."),
    "late zero byte": ("a.csv", "id,pred,target\n" + LONG + "\0,1,2\n", "line 102, holds a zero byte: this is no text table."),
    "late latin": ("a.csv", ("id,pred,target\n" + LONG).encode() + b"\xe9,1,2\n", "line 102, is not UTF-8 text"),
    "utf-16": (
        "a.csv",
        "pred,t\n1,2\n".encode("utf-16"),
        "a.csv is UTF-16 text, and tables are read as UTF-8. Convert it: iconv",
    ),
    "empty": ("a.csv", "", "a.csv is empty: it holds no byte."),
    "blank": ("a.csv", "\n \n\n", "a.csv is empty: it has no rows."),
    "binary": ("a.csv", bytes(range(256)) * 10, "is binary, no text table"),
    "open quote": ("a.csv", 'pred,note\n1,"a\n2,b\n3,c\n', "a.csv, line 2, opens a quote that no later line closes."),
    "open quote, strays": (
        "a.csv",
        'pred,note\n0,5"\n1,"a\n2,b\n3,c\n',
        "a.csv, line 3, opens a quote that no later line closes.",
    ),
    "late open quote": (
        "a.csv",
        "id,pred,note\n" + LONG + 'x,1,"\n' + LONG,
        "line 102, opens a quote that no later line closes.",
    ),
    "late open quote, strays": ("a.csv", 'id,pred,note\nx,1,5"\n' + LONG + 'x,1,"\n' + LONG, "line 103, opens a quote"),
    "huge cell": ("a.csv", f'pred,t\n1,2\n"{"x" * 200_000}",2\n', "is not"),
}


@pytest.mark.parametrize(("name", "content", "said"), BAD.values(), ids=BAD.keys())
def test_what_is_refused(table, name, content, said):
    table.write(name, content)
    key = ":pred" if isinstance(content, str) and "pred" in content else ""
    fault = table.fault(f"{name}{key}")
    assert fault.startswith("UnreadableFile: a.csv")
    assert said in fault


def test_columns_without_a_header_are_numbered(table):
    table.write("a.csv", "1,2,3\n4,5,6\n")
    np.testing.assert_array_equal(table.array("a.csv:#2"), [2, 5])
    np.testing.assert_array_equal(table.array("a.csv:*"), [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(table.reader("a.csv:*").read(1, 3, 1), [[2, 3], [5, 6]])
    assert "'#1', '#2', '#3'" in table.fault("a.csv")
    assert "Known columns: #1, #2, #3" in table.fault("a.csv:#4")


def test_blocks_of_columns_in_file_order(table):
    table.write("a.csv", "y,logit_b,id,logit_a\n" + "".join(f"{i},{i}.25,x,{-i}\n" for i in range(50)))
    block = table.reader("a.csv:logit_*")
    expected = [[i + 0.25, -i] for i in range(50)]
    assert (block.shape, block.dtype) == ((50, 2), np.float64)
    np.testing.assert_array_equal(block.read(0, 50), expected)
    np.testing.assert_array_equal(block.read(40, 45), expected[40:45])
    np.testing.assert_array_equal(table.array("a.csv:*")[:, 1:], expected)
    assert table.reader("a.csv:logit_[a]").shape == (50, 1)
    assert block.place((3, 1)) == "line 5, column 'logit_a'"


def test_places_count_lines_not_rows(table):
    table.write("plain.csv", "id,pred\n" + "".join(f"x,{i}\n" for i in range(50)))
    table.write("odd.csv", '\nid,pred\n"a\nb",1\n\n"c",2\nd,3\n' + "".join(f"x,{i}\n" for i in range(50)))
    table.write("gap.csv", "\n\npred\n1\n\n3\n")
    plain, odd, gap = (table.reader(f"{name}.csv") for name in ("plain", "odd", "gap"))
    for reader in (plain, odd, gap):
        reader.read(0, 1)
    assert plain.place((40,)) == "line 42, column 'pred'"
    assert [odd.place((i,)) for i in (0, 1, 2, 40)] == [f"line {n}, column 'pred'" for n in (3, 6, 7, 45)]
    assert [gap.place((i,)) for i in (0, 1, 2)] == [f"line {n}, column 'pred'" for n in (4, 5, 6)]


def test_a_quote_that_is_never_closed_loses_no_rows(folder, monkeypatch):
    # Two stray quotes make their number even, and pyarrow is content with a last cell that never ends.
    monkeypatch.setattr("lossctl.sources.table.LARGE", -1)
    folder.write("a.csv", 'id,pred,note\nx,1,5"\n' + LONG + 'x,1,"\n' + LONG)
    assert "line 103, opens a quote that no later line closes." in folder.fault("a.csv:pred")


def test_doubled_names_matter_only_when_asked_for(table):
    table.write("a.csv", "pred,x,x\n1,2,3\n")
    assert table.array("a.csv:pred").tolist() == [1]
    assert table.array("a.csv:#3").tolist() == [3]
    assert table.fault("a.csv:x") == "UnknownKey: a.csv has 2 columns named 'x'. Name it by its position: a.csv:#2 or a.csv:#3."


def test_two_columns_of_a_large_table_are_parsed_in_one_pass(folder, monkeypatch):
    from lossctl.sources import bulk

    passes = []
    monkeypatch.setattr("lossctl.sources.table.LARGE", -1)
    monkeypatch.setattr(bulk, "convert", lambda *given, real=bulk.convert: passes.append(given[2]) or real(*given))
    folder.write("a.csv", "pred,target\n1,2\n3,4\n")
    pred, target = folder.reader("a.csv:pred"), folder.reader("a.csv:target", "target")
    assert (pred.read(0, 2).tolist(), target.read(0, 2).tolist()) == ([1, 3], [2, 4])
    assert [len(groups) for groups in passes] == [2]


def test_the_threads_keep_the_order(folder, monkeypatch):
    monkeypatch.setattr("lossctl.sources.bulk.PIECE", 1 << 10)
    folder.write("a.csv", "pred,x\n" + "".join(f"{i},text\n" for i in range(200_000)))
    np.testing.assert_array_equal(folder.array("a.csv"), np.arange(200_000))


floats = st.floats(width=64) | st.floats(width=32) | st.floats(-1e300, 1e300)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(floats, floats), min_size=1, max_size=40), quoted=st.booleans())
def test_floats_come_back_bit_for_bit(table, rows, quoted):
    name = ['"pred"', '"target"'] if quoted else ["pred", "target"]
    table.write(
        "h.csv", f"{name[0]},{name[1]}\n" + "".join(f'"{a!r}",{b!r}\n' if quoted else f"{a!r},{b!r}\n" for a, b in rows)
    )
    table.again()
    expected = np.array(rows)
    for column, key in enumerate(["pred", "target"]):
        read = table.array(f"h.csv:{key}")
        numbers = ~np.isnan(read)
        assert (np.isnan(expected[:, column]) == ~numbers).all()
        assert (read[numbers].view("u8") == np.ascontiguousarray(expected[numbers, column]).view("u8")).all()


cells = st.sampled_from(
    ["1", "2.5", "", " ", "NA", "+1", "x", "1,2", '"3"', '"a\nb"', '"', "\r", "\n", "1_0", "nan(1)", "é", "-inf", "#"]
)
lines = st.lists(st.lists(cells, min_size=1, max_size=3).map(",".join), max_size=8)


def outcome(path, threshold, piece, monkeypatch):
    from lossctl.errors import InputError

    monkeypatch.setattr("lossctl.sources.table.LARGE", threshold)
    monkeypatch.setattr("lossctl.sources.bulk.PIECE", piece)
    monkeypatch.setattr("lossctl.sources.layout.SAMPLE", 1)
    try:
        reader = Files().open(Given(f"{path}:#1"), "pred")
        return [repr(x) for x in reader.read(0, reader.shape[0]).tolist()], [reader.place((i,)) for i in range(reader.shape[0])]
    except InputError as error:
        return error.paragraph()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(lines.map("\n".join), min_size=1, max_size=2).map("\n".join), suffix=st.sampled_from(["csv", "txt"]))
def test_both_ways_agree_on_any_text(tmp_path, monkeypatch, content, suffix):
    path = tmp_path / f"any.{suffix}"
    path.write_bytes(content.encode())
    small = outcome(path, 1 << 20, 0, monkeypatch)
    for piece in (8, 32, 1 << 20):
        assert outcome(path, -1, piece, monkeypatch) == small
