import contextlib
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lossctl.errors import BadSpec
from lossctl.request.options import Options
from lossctl.request.spec import Gate, LossSpec, Term
from lossctl.request.specfile import parse, read_spec, spec_schema
from lossctl.sources.source import Given


@pytest.fixture
def read(tmp_path):
    def from_text(text):
        path = tmp_path / "spec.yaml"
        path.write_text(text)
        return read_spec(str(path))

    return from_text


def test_one_loss_with_everything(read, tmp_path):
    spec = read("""
loss: huber
params: {delta: 1e-3}
inputs:
  pred: [0.1, 5]
  target: {file: target.csv, column: y}
  third: a.npz:key
  fourth: {file: b.npz, key: k}
  fifth: {file: c.npy}
reduction: sum
gates: [{key: huber, max: 3}, {key: huber, expect: 2.2525, rtol: 1e-9, atol: .5}, {key: huber, min: -1}]
""")
    assert spec.losses == (LossSpec("huber", {"delta": 1e-3}),)
    assert spec.inputs == {
        "pred": Given(value=[0.1, 5]),
        "target": Given("target.csv::y"),
        "third": Given("a.npz:key"),
        "fourth": Given("b.npz::k"),
        "fifth": Given("c.npy"),
    }
    assert [type(item) for item in spec.inputs["pred"].value] == [float, int]
    assert spec.gates == (
        Gate("huber", "max", 3.0),
        Gate("huber", "expect", 2.2525, rtol=1e-9, atol=0.5),
        Gate("huber", "min", -1.0),
    )
    assert spec.options == Options(reduction="sum", allow_code=False)
    assert spec.folder == str(tmp_path)


def test_several_losses_in_both_forms(read):
    spec = read("losses: ['huber:delta=.5', {loss: focal, params: {pos-weight: [1, 2]}}, my.mod:Attr]")
    assert spec.losses == (
        LossSpec("huber", {"delta": ".5"}),
        LossSpec("focal", {"pos_weight": [1, 2]}),
        LossSpec("my.mod:Attr"),
    )
    assert not spec.options.allow_code


def test_the_whole_grammar_stands_behind_loss(read):
    assert read("loss: mse,huber:delta=.5,l1").losses == (LossSpec("mse"), LossSpec("huber", {"delta": ".5"}), LossSpec("l1"))
    assert read("loss: smooth_l1:beta=2\nparams: {x: '@w.npy'}").losses == (
        LossSpec("smooth_l1", {"beta": "2", "x": "@w.npy"}),
    )


def test_terms_have_names_weights_and_inputs(read):
    spec = read("""
terms:
  - {name: cls, loss: cross_entropy, inputs: {pred: out.npz:cls}}
  - {loss: 'smooth_l1:beta=.5', weight: 2}
""")
    assert spec.terms == (
        Term("cls", LossSpec("cross_entropy"), inputs={"pred": Given("out.npz:cls")}),
        Term("smooth_l1", LossSpec("smooth_l1", {"beta": ".5"}), 2.0),
    )
    assert spec.losses == ()


def test_options_have_the_words_of_the_command_line(read):
    spec = read("""
loss: mse
nan: skip
min_coverage: 0.5
broadcast: true
squeeze: true
class_dim: -1
label_offset: 1
ignore_index: -100
dtype: native
backend: torch
on: id
by: g.csv:site
weights: {file: w.csv, column: no}
mask: [true, false]
per_sample: true
worst: 3
best: 2
stats: true
""")
    assert spec.options == Options(
        nan="skip", min_coverage=0.5, broadcast=True, squeeze=True, class_dim=-1, label_offset=1, ignore_index=-100,
        dtype="native", backend="torch", on="id", by="g.csv:site", weights=Given("w.csv::no"), mask=Given(value=[True, False]),
        per_sample=True, worst=3, best=2, stats=True, allow_code=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-9", 1e-9), (".5", 0.5), ("5.", 5.0), ("-1.5E+3", -1500.0), ("010", 10), ("0x1f", 31), ("0o17", 15),
     ("-.inf", -math.inf), ("true", True), ("null", None), ("~", None), ("no", "no"), ("on", "on"), ("1:30", "1:30"),
     ("2011-01-01", "2011-01-01"), ("1_000", "1_000"), ("'5'", "5"), ("!!float 5", 5.0), ("none", "none")],
)  # fmt: skip
def test_words_read_as_people_expect(text, value):
    found = parse("x", f"a: {text}").value["a"]
    assert (found, type(found)) == (value, type(value))


def test_nan_reads_as_nan():
    assert math.isnan(parse("x", "[.nan]").value[0])


@given(st.floats(allow_nan=False) | st.integers())
def test_every_number_comes_back(number):
    text = repr(number).replace("inf", ".inf")
    found = parse("x", f"[{text}]").value[0]
    assert repr(found) == repr(number)


@given(st.text(alphabet=" \n-:[]{},&*!|>'\"#%@`ab1.", max_size=40))
def test_no_text_breaks_the_reader(text):
    with contextlib.suppress(BadSpec):
        parse("x", text)


def test_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "spec.yaml").write_bytes(b"\xef\xbb\xbfloss: mse\n")
    assert read_spec(str(tmp_path / "spec.yaml")).losses == (LossSpec("mse"),)


def test_a_bare_name_is_relative_to_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text("loss: mse")
    assert read_spec("spec.yaml").folder == "."


@pytest.mark.parametrize(
    ("spec", "right"),
    [
        (
            {"loss": "huber", "params": {"delta": 1.0}, "inputs": {"pred": [0.1, 5], "target": {"file": "a", "column": "y"}}},
            True,
        ),
        ({"losses": ["mse", {"loss": "huber", "params": {"delta": [1]}}]}, True),
        ({"terms": [{"loss": "mse", "weight": 0.5, "inputs": {"pred": "a.npy"}}], "gates": [{"key": "mse", "max": 1}]}, True),
        ({"loss": "mse", "weights": 2.0, "ignore_index": None}, True),
        ({}, False),
        ({"loss": "mse", "terms": [{"loss": "mse"}]}, False),
        ({"loss": "mse", "reducton": "mean"}, False),
        ({"loss": "mse", "nan": "drop"}, False),
        ({"loss": "mse", "gates": [{"key": "mse"}]}, False),
        ({"loss": "mse", "inputs": {"pred": {"column": "x"}}}, False),
        ({"loss": "mse", "inputs": {"pred": None}}, False),
        ({"loss": "mse", "params": {"a": {}}}, False),
    ],
)
def test_the_schema_for_editors_says_the_same(spec, right):
    schema = spec_schema()
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(spec) == right


def test_nothing_heavy_until_a_spec_is_read():
    code = "import sys, lossctl.request.specfile; print(*{'yaml', 'pydantic', 'torch', 'rich'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
