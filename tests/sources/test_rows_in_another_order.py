"""Rows are paired by their order, unless ids say that they are not the same rows: then it is refused, in every format."""

import json
from datetime import datetime, timedelta

import h5py
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from lossctl.cli.program import program
from lossctl.errors import LossctlError

# Predictions 0, 3, 6, 9 of targets .5, 3.5, 6.5, 9.5: every difference is .5 if rows are joined. The targets stand in reverse,
# so that by order they are 9.5, 3.5, -2.5 and -8.5: (90.25 + 12.25 + 6.25 + 72.25) / 4 = 45.25.
PRED, TARGET = [0, 3, 6, 9], [9.5, 6.5, 3.5, 0.5]
JOINED, BY_ORDER = 0.25, 45.25
DAYS = ["2024-01-01", "2024-01-02", "2024-02-01", "2024-03-01"]
IDS = {
    "text": ["a", "b", "c", "d"],
    "whole": [10, 20, 30, 4],
    "dates": DAYS,
    "negative": [-1, 0, 1, 2],
    "large": [2**60, 2**60 + 1, 5, 6],
    "zeros": ["01", "1", "001", "2"],
    "mixed": ["1", "2", "x", "y"],
}


def csv(path, columns, delimiter=","):
    rows = [delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([delimiter.join(columns), *rows]) + "\n")


def tsv(path, columns):
    csv(path, columns, "\t")


def txt(path, columns):
    csv(path, columns, " ")


def records(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def jsonl(path, columns):
    path.write_text("".join(json.dumps(one) + "\n" for one in records(columns)))


def as_json(path, columns):
    path.write_text(json.dumps(records(columns)))


def lists(path, columns):
    path.write_text(json.dumps(columns))


def npz(path, columns):
    np.savez(path, **{name: np.asarray(values) for name, values in columns.items()})


def to_parquet(path, columns):
    parquet.write_table(pa.table(columns), path)


def arrow(path, columns):
    feather.write_feather(pa.table(columns), path)


def h5(path, columns):
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = values


WRITE = {
    "csv": csv,
    "tsv": tsv,
    "txt": txt,
    "jsonl": jsonl,
    "json": as_json,
    "lists.json": lists,
    "npz": npz,
    "parquet": to_parquet,
    "arrow": arrow,
    "feather": arrow,
    "h5": h5,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ask(capsys):
    """Run a command: its exit code, what it printed, and what it said."""

    def run(*words):
        try:
            printed = program()([*words], prog_name="lossctl", standalone_mode=False)
            out, error = printed.text.strip(), printed.error
        except LossctlError as raised:
            out, error = "", raised
        said = capsys.readouterr().err.strip()
        return (0, out, said) if error is None else (error.code, out, f"{said} {error.paragraph()}".strip())

    return run


def write(folder, ids=IDS["text"], *, name="id", formats=("csv", "csv"), other=None, stem=""):  # noqa: PLR0913 - all of a case
    """Predictions with their ids, and targets with the same ids, or others, in reverse order."""
    files = [f"{stem}p.{formats[0]}", f"{stem}y.{formats[1]}"]
    WRITE[formats[0]](folder / files[0], {name: list(ids), "pred": [float(one) for one in PRED]})
    WRITE[formats[1]](folder / files[1], {name: list(other or ids[::-1]), "y": TARGET})
    return [f"{files[0]}:pred", f"{files[1]}:y"]


def refused(answer, name="id", *, on=True):
    code, out, err = answer
    assert (code, out) == (3, "")
    assert "hold the same ids in another order" in err
    assert "--row-order" in err
    assert (f"--on {name}." in err) == on
    return True


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("suffix", WRITE)
def test_each_format_and_kind_of_id(folder, ask, suffix, kind):
    sources = write(folder, IDS[kind], formats=(suffix, suffix), stem=kind)
    assert refused(ask("compute", "mse", *sources))
    assert ask("compute", "mse", *sources, "--on", "id", "-b")[:2] == (0, str(JOINED))
    assert ask("compute", "mse", *sources, "--row-order", "-b")[:2] == (0, str(BY_ORDER))


@pytest.mark.parametrize(
    ("formats", "ids", "other"),
    [
        (("csv", "jsonl"), [1, 2, 3, 4], ["4", "3", "2", "1"]),
        (("json", "npz"), ["1", "2", "3", "4"], [4, 3, 2, 1]),
        (("parquet", "csv"), [1.0, 2.0, 3.0, 4.0], [4, 3, 2, 1]),
        (("csv", "parquet"), DAYS, [datetime.fromisoformat(day) for day in DAYS[::-1]]),
        (("csv", "feather"), DAYS, [datetime.fromisoformat(day).date() for day in DAYS[::-1]]),
        (("csv", "csv"), DAYS, [f"{day} 00:00:00" for day in DAYS[::-1]]),
        (("csv", "jsonl"), [f"{day}T06:30:00Z" for day in DAYS], [f"{day} 06:30" for day in DAYS[::-1]]),
        (("tsv", "csv"), [" a", "b ", "c", "d"], ["d", "c", "b", "a"]),
    ],
)
def test_ids_of_two_formats(folder, ask, formats, ids, other):
    sources = write(folder, ids, formats=formats, other=other, stem="of-two-")
    assert refused(ask("compute", "mse", *sources))
    assert ask("compute", "mse", *sources, "--on", "id", "-b")[:2] == (0, str(JOINED))


@pytest.mark.parametrize("name", ["id", "image_id", "key", "index", "date", "sampleId", "name", "file"])
def test_names_of_ids_and_unique_text(folder, ask, name):
    assert refused(ask("compute", "mae", *write(folder, name=name)), name)


@pytest.mark.parametrize(
    "names", [("Id", "id"), ("ID", "Id"), ("image_id", "imageId"), ("ImageID", "image-id"), ("Date", "date")]
)
def test_names_of_ids_are_one_however_they_are_written(folder, ask, names):
    for name, path, columns in zip(names, "py", ({"pred": PRED}, {"y": TARGET}), strict=True):
        csv(folder / f"{path}.csv", {name: IDS["text"][:: 1 if path == "p" else -1], **columns})
    code, out, err = ask("compute", "mse", "p.csv:pred", "y.csv:y")
    assert (code, out, "hold the same ids in another order" in err) == (3, "", True)
    assert f"name the column alike in both files, which is '{names[0]}' and '{names[1]}', and use --on" in err
    assert ask("compute", "mse", "p.csv:pred", "y.csv:y", "--row-order", "-b")[:2] == (0, str(BY_ORDER))
    # A file with both means two columns.
    csv(folder / "p.csv", {names[0]: IDS["text"], names[1]: IDS["text"][::-1], "pred": PRED})
    assert ask("compute", "mse", "p.csv:pred", "y.csv:y", "-b")[:2] == (0, str(BY_ORDER))


@pytest.mark.parametrize(
    ("ids", "other", "code"),
    [
        (["001", "002", "010", "020"], [20, 10, 2, 1], 3),
        ([1, 2, 10, 20], ["20", "10", "02", "01"], 3),
        # In the same order, other ids, and ids that no program took for numbers.
        (["001", "002", "010", "020"], [1, 2, 10, 20], 0),
        (["001", "002", "010", "020"], [20, 10, 2, 3], 0),
        (["001", "002", "010", "020"], ["0020", "0010", "0002", "0001"], 0),
        (["001", "002", "010", "x"], [4, 10, 2, 1], 0),
    ],
)
def test_ids_that_lost_their_leading_zeros(folder, ask, ids, other, code):
    answer = ask("compute", "mse", *write(folder, ids, other=other), "-b")
    assert (answer[0], "but for leading zeros" in answer[2]) == (code, code == 3)
    assert ask("compute", "mse", *write(folder, ids, other=other), "-b", "--row-order")[:2] == (0, str(BY_ORDER))


def test_rows_in_the_same_order_are_no_matter(folder, ask):
    sources = write(folder, other=IDS["text"])
    assert ask("compute", "mse", *sources, "-b") == (0, str(BY_ORDER), "")


@pytest.mark.parametrize("first", ["", "Unnamed: 0"])
def test_an_index_without_a_name(folder, ask, first):
    csv(folder / "p.csv", {"": [0, 1, 2, 3], "pred": PRED})
    csv(folder / "y.csv", {first: [3, 2, 1, 0], "y": TARGET})
    assert refused(ask("compute", "mse", "p.csv:pred", "y.csv:y"), "'#1'")
    assert ask("compute", "mse", "p.csv:pred", "y.csv:y", "--on", "#1", "-b")[:2] == (0, str(JOINED))


def test_an_id_in_order_counts_more_than_other_columns_and_row_numbers_count_for_nothing(folder, ask):
    same = {"id": ["u", "v", "w", "x"]}
    csv(folder / "p.csv", {**same, "rank": [1, 2, 3, 4], "pred": PRED})
    csv(folder / "y.csv", {**same, "rank": [4, 2, 3, 1], "y": TARGET})
    assert ask("compute", "mse", "p.csv:pred", "y.csv:y", "-b") == (0, str(BY_ORDER), "")
    # Rows that are numbered by an id belong together whatever their ranks, though not whatever their names.
    for name, code in (("id", 0), ("index", 3), ("", 3)):
        csv(folder / "p.csv", {name: [1, 2, 3, 4], "rank": [1, 2, 3, 4], "pred": PRED})
        csv(folder / "y.csv", {name: [1, 2, 3, 4], "rank": [4, 2, 3, 1], "y": TARGET})
        assert ask("compute", "mse", "p.csv:pred", "y.csv:y", "-b")[0] == code
    csv(folder / "p.csv", {"id": [1, 2, 3, 4], "file": IDS["text"], "pred": PRED})
    csv(folder / "y.csv", {"id": [1, 2, 3, 4], "file": IDS["text"][::-1], "y": TARGET})
    assert refused(ask("compute", "mse", "p.csv:pred", "y.csv:y"), "file")
    for begin in (0, 1):
        index = {"": range(begin, begin + 4)}
        csv(folder / "p.csv", {**index, "id": IDS["text"], "pred": PRED})
        csv(folder / "y.csv", {**index, "id": IDS["text"][::-1], "y": TARGET})
        assert refused(ask("compute", "mse", "p.csv:pred", "y.csv:y"))


def test_ids_that_repeat_are_refused_by_name_alone(folder, ask):
    days = ["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-03"]
    _, out, err = ask("compute", "mse", *write(folder, days, name="date"))
    assert (out, "'date' repeats itself" in err, "--on" in err) == ("", True, False)
    # Of a column without such a name, order says nothing: a fold, a group.
    code, out, _ = ask("compute", "mse", *write(folder, [1, 1, 2, 3], name="fold"), "-b")
    assert (code, out) == (0, str(BY_ORDER))


@pytest.mark.parametrize("values", [[0.5, 1.5, 2.5, 3.5], ["", "", "a", "b"], [1, 2, 2, 3]])
def test_columns_that_tell_nothing_apart(folder, ask, values):
    code, out, err = ask("compute", "mse", *write(folder, values, name="x"), "-b")
    assert (code, out, err) == (0, str(BY_ORDER), "")


def test_a_column_that_is_compared_is_no_id(folder, ask):
    csv(folder / "p.csv", {"rank": [1, 2, 3, 4], "y": [5, 6, 7, 9]})
    csv(folder / "y.csv", {"rank": [4, 3, 2, 1], "y": [9, 7, 6, 5]})
    assert ask("compute", "mse", "p.csv:rank", "y.csv:rank", "-b", "--ignore", "L043")[:2] == (3, "")
    csv(folder / "y.csv", {"rank": [4, 3, 2, 1]})
    csv(folder / "p.csv", {"rank": [1, 2, 3, 4]})
    assert ask("compute", "mse", "p.csv:rank", "y.csv:rank", "-b")[:2] == (0, "5.0")


def test_other_ids_are_another_matter(folder, ask):
    for other in (["e", "f", "g", "h"], ["d", "x", "y", "z"]):
        assert ask("compute", "mse", *write(folder, other=other), "-b") == (0, str(BY_ORDER), "")
    code, _, err = ask("compute", "mse", *write(folder, other=["b", "c", "d", "e"]))
    assert code == 0
    assert (
        "L053 the column 'id' of p.csv and y.csv differs in 4 of 4 rows, although 3 ids are in both: row 1 has 'a' and 'b'"
        in err
    )
    assert "L053" not in ask("compute", "mse", *write(folder, other=["b", "c", "d", "e"]), "--ignore", "L053")[2]
    assert ask("compute", "mse", *write(folder, other=["b", "c", "d", "e"]), "--strict")[0] == 1


def test_files_of_another_length_do_not_fit(folder, ask):
    csv(folder / "p.csv", {"id": IDS["text"], "pred": PRED})
    csv(folder / "y.csv", {"id": ["b", "a"], "y": [1, 2]})
    code, _, err = ask("compute", "mse", "p.csv:pred", "y.csv:y")
    assert (code, "another order" in err) == (3, False)


@pytest.fixture
def tables(folder):
    """Predictions p and q, targets y in reverse, and weights, masks and groups in either order."""
    write(folder)
    csv(folder / "q.csv", {"id": IDS["text"], "pred": [1, 3, 6, 9]})
    csv(folder / "plain.csv", {"t": [0, 3, 6, 10]})
    for name, ids in (("same", IDS["text"]), ("moved", IDS["text"][::-1])):
        csv(folder / f"{name}.csv", {"id": ids, "w": [1, 2, 3, 4], "m": [1, 1, 0, 1], "g": ["u", "u", "v", "v"]})


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    "words",
    [
        ("compute", "mse,mae", "p.csv:pred", "y.csv:y"),
        ("grad", "mse", "p.csv:pred", "y.csv:y"),
        ("compare", "mse", "p.csv:pred", "q.csv:pred", "-t", "y.csv:y"),
        ("compare", "mse,mae", "p.csv:pred", "-t", "y.csv:y"),
        # The target has no id, and the systems have.
        ("compare", "mse", "p.csv:pred", "moved.csv:w", "-t", "plain.csv:t"),
        ("compute", "mse", "p.csv:pred", "plain.csv:t", "--weights", "moved.csv:w"),
        ("compute", "mse", "p.csv:pred", "plain.csv:t", "--mask", "moved.csv:m"),
        ("compute", "mse", "p.csv:pred", "plain.csv:t", "--by", "moved.csv:g"),
        ("compute", "mse", "plain.csv:t", "p.csv:pred", "--by", "moved.csv:g"),
        ("compare", "mse", "p.csv:pred", "q.csv:pred", "-t", "plain.csv:t", "--cluster-by", "moved.csv:g"),
        ("compute", "gaussian_nll", "p.csv:pred", "plain.csv:t", "moved.csv:w"),
        ("compute", "gaussian_nll", "p.csv:pred", "plain.csv:t", "-i", "var=moved.csv:w"),
        ("identify", "--value", "0.25", "p.csv:pred", "y.csv:y"),
    ],
)
def test_every_input_that_is_paired(ask, words):
    assert refused(ask(*words))
    assert ask(*words, "--row-order")[0] == 0
    assert "another order" not in ask(*words, "--on", "id")[2]


@pytest.mark.usefixtures("tables")
def test_commands_that_cannot_join(ask):
    assert refused(ask("recommend", "p.csv:pred", "y.csv:y"), on=False)
    assert ask("recommend", "p.csv:pred", "y.csv:y", "--row-order")[0] == 0


def test_features_and_target_of_a_trial(folder, ask):
    ids = list(range(40))
    csv(folder / "x.csv", {"id": ids, "a": [one * one % 17 for one in ids]})
    csv(folder / "y.csv", {"id": ids[::-1], "y": [one * one % 13 + 0.5 for one in ids]})
    assert refused(ask("trial", "x.csv", "y.csv:y", "--steps", "2"), on=False)
    assert ask("trial", "x.csv", "y.csv:y", "--steps", "2", "--seeds", "1", "--row-order")[0] == 0


@pytest.mark.usefixtures("tables")
def test_the_same_weights_mask_and_groups(ask):
    words = (
        "compute",
        "mse",
        "p.csv:pred",
        "plain.csv:t",
        "--weights",
        "same.csv:w",
        "--mask",
        "same.csv:m",
        "--by",
        "same.csv:g",
    )
    code, _, err = ask(*words)
    assert (code, err) == (0, "")


@pytest.mark.usefixtures("tables")
def test_specs_and_results(folder, ask):
    inputs = "inputs: {pred: 'p.csv:pred', target: 'y.csv:y'}\n"
    (folder / "s.yaml").write_text(f"loss: mse\n{inputs}")
    assert refused(ask("compute", "s.yaml"))
    (folder / "s.yaml").write_text(f"loss: mse\nrow_order: true\n{inputs}")
    code, out, _ = ask("compute", "s.yaml", "--format", "json", "-o", "r.json")
    found = json.loads(out)
    assert (code, found["results"][0]["value"], "row" in found["signature"]) == (0, BY_ORDER, False)
    assert ask("verify", "r.json")[0] == 0
    # The terms of a weighted sum have rows of their own.
    terms = [{"name": n, "loss": "mse", "inputs": {"pred": f"{n}.csv:{c}", "target": t}} for n, c, t in SUM]
    (folder / "s.yaml").write_text(json.dumps({"terms": terms}))
    assert ask("compute", "s.yaml")[0] == 0
    terms[0]["inputs"]["target"] = "y.csv:y"
    (folder / "s.yaml").write_text(json.dumps({"terms": terms}))
    assert refused(ask("compute", "s.yaml"))


SUM = [("p", "pred", "plain.csv:t"), ("y", "y", "plain.csv:t")]


def test_how_rows_were_matched_stands_in_the_result(folder, ask):
    found = json.loads(ask("compute", "mse", *write(folder), "--on", "id", "--format", "json")[1])
    assert [one["read"]["rows_matched"] for one in found["inputs"]] == ["on id", "on id"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "npz"])
def test_large_files(folder, ask, suffix):
    count = 60_000
    begin = datetime(1900, 1, 1)  # noqa: DTZ001 - a day as tables hold it
    ids = [f"{begin + timedelta(days=day):%Y-%m-%d}" for day in range(count)]
    order = np.random.default_rng(1).permutation(count).tolist()
    WRITE[suffix](folder / f"p.{suffix}", {"date": ids, "pred": [float(day) for day in range(count)]})
    WRITE[suffix](folder / f"y.{suffix}", {"date": [ids[day] for day in order], "y": [day + 0.5 for day in order]})
    assert suffix != "csv" or (folder / "p.csv").stat().st_size > 1 << 20
    sources = (f"p.{suffix}:pred", f"y.{suffix}:y")
    assert refused(ask("compute", "mse", *sources), "date")
    assert ask("compute", "mse", *sources, "--on", "date", "-b")[:2] == (0, "0.25")


def test_files_in_pieces(folder, ask):
    for part in (0, 1):
        half = slice(2 * part, 2 * part + 2)
        csv(folder / f"p{part}.csv", {"id": IDS["text"][half], "pred": PRED[half]})
        csv(folder / f"y{part}.csv", {"id": IDS["text"][::-1][half], "y": TARGET[half]})
    assert refused(ask("compute", "mse", "p*.csv:pred", "y*.csv:y"))


def test_beyond_so_many_rows_nobody_looks_and_says_so(folder, ask, monkeypatch):
    sources = write(folder)
    monkeypatch.setattr("lossctl.sources.rows.MOST", 4)
    assert refused(ask("compute", "mse", *sources))
    monkeypatch.setattr("lossctl.sources.rows.MOST", 3)
    code, out, err = ask("compute", "mse", *sources, "-b")
    assert (code, out) == (0, str(BY_ORDER))
    assert "p.csv and y.csv: nobody looked whether 'id' is in the same order in both, since 4 rows are more than 3" in err
