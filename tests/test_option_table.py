"""An option is one row: a row that is added is in the help, in specs and their schema, in signatures, and is replayed."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

import pytest
from golden import environment

from lossctl.errors import UsageError
from lossctl.request.options import HOW, check, option, rows

# A row for the engine, written into the table as anyone would, and the one line that uses it: every value is multiplied.
TOY = """
import importlib.util
import sys
from dataclasses import replace

spec = importlib.util.find_spec("lossctl.request.options")
head = "    engine: ClassVar = True\\n"
table = open(spec.origin, encoding="utf-8").read()
assert table.count(head) == 1
row = '    scale_by: float = option(1.0, "--scale-by X", HOW, "Multiply {what}.", min=0, **{use})\\n'
sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
exec(compile(table.replace(head, head + row), spec.origin, "exec"), vars(module))
import lossctl.engine.reduce as engine
import lossctl.commands.compute as compute
evaluate = engine.evaluate

def scaled(bounds, backend, options, selection):
    return [replace(one, value=one.value * options.scale_by) for one in evaluate(bounds, backend, options, selection)]

engine.evaluate = compute.evaluate = scaled
from lossctl.cli.program import main
main()
"""


@pytest.fixture
def toy(tmp_path):
    """Runs the program with a row more than it has."""
    (tmp_path / "spec.yaml").write_text("loss: mse\ninputs: {pred: [1, 2], target: [1, 4]}\nscale_by: 3.0\n")

    def run(*words, use="DATA"):
        code = TOY.replace("{use}", use).replace("{what}", "the value")
        line = [sys.executable, "-c", code, *words]
        done = subprocess.run(line, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


def test_it_is_in_the_help_and_in_the_signature_of_the_command(toy):
    assert "--scale-by X" in toy("compute", "--help")[1]
    assert toy("compute", "mse", "[1,2]", "[1,4]", "-b", "--scale-by", "3") == (0, "6.0\n", "")
    code, _, said = toy("compute", "mse", "[1,2]", "[1,4]", "--scale-by", "-1")
    assert (code, "--scale-by" in said) == (2, True)


def test_a_spec_holds_it_and_the_schema_says_so(toy):
    assert toy("compute", "spec.yaml", "-b") == (0, "6.0\n", "")
    assert toy("compute", "spec.yaml", "-b", "--scale-by", "2") == (0, "4.0\n", "")
    key = json.loads(toy("schema", "spec")[1])["properties"]["scale_by"]
    assert (key["type"], key["minimum"], key["default"], key["description"]) == ("number", 0, 1.0, "Multiply the value.")


def test_a_result_names_it_and_asks_for_it_again(toy, tmp_path):
    assert toy("compute", "spec.yaml", "-o", "r.json")[0] == 0
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["request"]["options"] == {"scale_by": 3.0}
    assert "|scale_by:3|" in document["signature"]
    assert toy("verify", "r.json")[0] == 0
    document["request"]["options"]["scale_by"] = 4.0
    (tmp_path / "r.json").write_text(json.dumps(document))
    assert toy("verify", "r.json")[0] == 1


def test_unless_its_row_says_so_a_file_may_not_ask_for_it(toy, tmp_path):
    assert "unknown key 'scale_by'" in toy("compute", "spec.yaml", use="{}")[2]
    assert toy("compute", "mse", "[1,2]", "[1,4]", "--scale-by", "3", "-o", "r.json", use="VERDICT")[0] == 0
    document = json.loads((tmp_path / "r.json").read_text())
    assert ("options" in document["request"], "scale_by" in document["signature"]) == (False, False)
    document["request"]["options"] = {"scale_by": 3.0}
    (tmp_path / "r.json").write_text(json.dumps(document))
    code, _, said = toy("verify", "r.json", use="VERDICT")
    assert (code, "request.options.scale_by" in said) == (3, True)


@dataclass(frozen=True)
class Toy:
    how: str = option("mean", "--how HOW", HOW, "{}.", choices="mean sum")
    join: str = option("", "-j --join-by COLUMN", HOW, "A column.")
    names: str = option("", "--names yes|no", HOW, "{}.", choices="yes no")
    library: str = option("numpy", "--library NAME", HOW, "{}.", choices="numpy torch", open=True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"how": "max"}, "--how takes mean, sum, not 'max'."),
        ({"how": ""}, "--how takes mean, sum, not ''."),
        ({"names": "maybe"}, "--names takes yes, no, not 'maybe'."),
        ({"names": ""}, "--names is empty."),
        ({"join": ""}, "--join-by is empty."),
        ({"how": "sum", "join": "id", "names": "no", "library": "anybody's"}, ""),
        ({}, ""),
    ],
)
def test_words_are_checked_in_one_place(given, said):
    values = asdict(Toy()) | given
    if not said:
        check(rows(Toy), values, given)
        return
    with pytest.raises(UsageError) as error:
        check(rows(Toy), values, given)
    assert error.value.message == said


def test_a_sentence_lists_the_choices():
    assert [row.help for row in rows(Toy).values()] == ["mean or sum.", "A column.", "yes or no.", "numpy or torch."]
