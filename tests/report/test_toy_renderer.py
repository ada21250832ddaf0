"""An output format that follows CONTRIBUTING to the letter, as a row of ours and as a package's: -f, -o, help, errors."""

import hashlib
import json

import contributing
import golden
import pytest

FUNCTION = """
def render(report, style):
    return "".join(f"{row['loss']} is {row['value']!r}\\n" for row in report.rows)
"""
FORMATS = """
import json
from lossctl.report import Format

def document(report, style):
    return json.dumps([one["sha256"] for one in report.document["inputs"]]) + "\\n"

HASHES = Format(document, (".hashes", ".sums"), document=True, json=True)
ROWS = Format(document, (".rows",))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package with the format of CONTRIBUTING, and with a package that has three more and one that is broken."""
    folder = contributing.follow("Add an output format", tmp_path_factory.mktemp("copy"))
    (folder / "said.py").write_text(FUNCTION)
    (folder / "hashed.py").write_text(FORMATS)
    entries = {"said": "said:render", "hashes": "hashed:HASHES", "rows": "hashed:ROWS", "broken": "no_such_package:render"}
    contributing.package(folder, "lossctl.renderers", **entries)
    return folder


@pytest.fixture
def lossctl(copy, tmp_path):
    (tmp_path / "a.json").write_text("[1, 3]")
    (tmp_path / "b.json").write_text("[1, 1]")

    def run(argv, **env):
        outcome = golden.run({"argv": argv, "env": {"PYTHONPATH": str(copy), **env}}, tmp_path)
        return outcome.code, outcome.stdout, outcome.stderr

    return run


ORG = "| loss | value | n |\n| mse | 2 | 2 |\n"


def test_it_is_asked_for_by_name(lossctl):
    assert lossctl("compute mse a.json [1,1] -f org")[:2] == (0, ORG)
    assert lossctl("compute mse a.json [1,1]", LOSSCTL_FORMAT="org")[:2] == (0, ORG)
    assert lossctl("compute mse a.json [1,1] -f said")[:2] == (0, "mse is 2.0\n")


@pytest.mark.parametrize(("path", "text"), [("r.org", ORG), ("R.ORG", ORG), ("r.said", "mse is 2.0\n")])
def test_a_suffix_names_it(lossctl, tmp_path, path, text):
    assert lossctl(f"compute mse a.json [1,1] -q -o {path}") == (0, "loss\tvalue\tn\nmse\t2.0\t2\n", "")
    assert (tmp_path / path).read_text() == text


def test_it_is_in_the_help(lossctl):
    words = " ".join(lossctl("compute --help")[1].split())
    assert "github, org, said, hashes, rows or broken." in words


def test_messages_know_it(lossctl):
    code, _, said = lossctl("compute mse a.json [1,1] -o r.orgs")
    assert (code, said.partition("Known suffixes: ")[2]) == (
        2,
        ".json, .jsonl, .csv, .tsv, .txt, .md, .markdown, .xml, .org, .said, .hashes, .sums, .rows.\n",
    )
    assert "Did you mean 'hashes'?" in lossctl("compute mse a.json [1,1] -f hashs")[2]
    assert "no_such_package" in lossctl("compute mse a.json [1,1] -f broken")[2]


def test_what_only_a_document_holds_is_made_for_it(lossctl, tmp_path):
    expected = [hashlib.sha256(b"[1, 3]").hexdigest(), hashlib.sha256(b"[1, 1]").hexdigest()]
    assert json.loads(lossctl("compute mse a.json b.json -f hashes")[1]) == expected
    assert lossctl("compute mse a.json b.json -q -o r.sums")[0] == 0
    assert json.loads((tmp_path / "r.sums").read_text()) == expected
    assert lossctl("compute mse a.json b.json -f rows")[1] == "[]\n"


@pytest.mark.parametrize(("name", "is_json"), [("hashes", True), ("rows", False), ("org", False), ("broken", False)])
def test_errors_are_json_where_it_is_json(lossctl, name, is_json):
    code, out, said = lossctl(f"compute mse no.npy [1] -f {name}")
    assert (code, out) == (3 if name != "broken" else 2, "")
    assert said.startswith('{"error": {' if is_json else "lossctl: ")
