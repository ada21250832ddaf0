import pytest

from lossctl.errors import BadSpec, MissingFile
from lossctl.request.specfile import read_spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loss: mse\n\nreducton: mean", "line 3: unknown key 'reducton'. Did you mean 'reduction'?"),
        ("loss: mse\nallow_code: true", "line 2: unknown key 'allow_code'."),
        ("los: mse", "line 1: unknown key 'los'. Did you mean 'loss'?"),
        ("loss: mse\ninputs:\n  pred: {file: a, colum: b}", "line 3: unknown key 'colum'. Did you mean 'column'?"),
        ("terms:\n- loss: a\n  wieght: 2", "line 3: unknown key 'wieght'. Did you mean 'weight'?"),
        ("losses:\n- loss: a\n  parms: {}", "line 3: unknown key 'parms'. Did you mean 'params'?"),
        ("loss: a\ngates:\n- {key: a, maxi: 2}", "line 3: unknown key 'maxi'. Did you mean 'max'?"),
        ("loss: mse\nnan: skip\nloss: l1", "line 3: the key 'loss' is already on line 1."),
        ("loss: a\ninputs:\n  x: 1\n  x: 2", "line 4: the key 'x' is already on line 3."),
        ("loss: mse\nreduction: median", "line 2: 'reduction' should be 'mean', 'sum', 'none' or 'batchmean', not 'median'."),
        ("loss: mse\nworst: two", "line 2: 'worst' should be a valid integer, not 'two'."),
        ("loss: mse\nworst: -1", "line 2: 'worst' should be greater than or equal to 0, not -1."),
        ("loss: mse\nstats: yes", "line 2: 'stats' should be true or false, not 'yes'."),
        ("loss: mse\nmin_coverage: 2", "line 2: 'min_coverage' should be less than or equal to 1, not 2."),
        ("loss: 3", "line 1: 'loss' should be text, not 3. Put it in quotes"),
        ("terms: mse", "line 1: 'terms' should be a list, not 'mse'."),
        ("terms:\n- mse", "line 2: 'terms[0]' should be a mapping of keys to values, not 'mse'."),
        ("losses: []", "line 1: 'losses' should not be empty."),
        ("loss: a\ninputs: {pred: ''}", "line 2: 'inputs.pred' should not be empty, not ''."),
        ("loss: a\ninputs:\n  pred: [1,\n    [x]]", "line 3: 'inputs.pred' should be numbers, a file, or {file:, column:}"),
        ("loss: a\ninputs:\n  pred:", "line 3: 'inputs.pred' should be numbers, a file, or {file:, column:}, and holds n"),
        ("loss: a\ninputs:\n  p: {file: a, column: b, key: c}", "line 3: 'key' cannot stand beside 'column'."),
        ("loss: a\nparams: {w: {b: c}}", "line 2: 'params.w' should be a number, a word, a list of numbers"),
        ("loss: a\nparams: 3", "line 2: 'params' should be a mapping of names to values, not 3."),
        ("loss: mse,l1\nparams: {a: 1}", "line 2: 'params' belongs to a single loss, and 'mse,l1' names 2."),
        ("losses: [mse]\nparams: {a: 1}", "line 2: 'params' belongs to a single 'loss'."),
        ("loss: a:x=1\nparams:\n  x: 1", "line 3: the parameter 'x' is already in 'a:x=1'."),
        ("loss: a=b", "line 1: 'a=b' is not a loss."),
        ("losses:\n- mse\n- a=b", "line 3: 'a=b' is not a loss."),
        ("terms:\n- loss: a,b", "line 2: a term has one loss, and 'a,b' names 2."),
        ("terms:\n- loss: a\n- loss: a", "line 3: two terms are called 'a'."),
        ("loss: mse\nterms: [{loss: l1}]", "line 2: 'terms' cannot stand beside 'loss'."),
        ("reduction: mean", "line 1: one of loss, losses and terms is missing."),
        ("loss: a\ngates:\n- {key: a, max: 1, min: 0}", "line 3: 'min' cannot stand beside 'max'."),
        ("loss: a\ngates:\n- {key: a}", "line 3: one of max, min, expect, max_abs, max_rel and require is missing."),
        ("loss: a\ngates:\n- {max: 1}", "line 3: the key 'key' is missing."),
        ("loss: a\ngates:\n- {key: a, max: .nan}", "line 3: 'gates[0].max' should be a finite number, not nan."),
        ("loss: a\ngates:\n- {key: a, max: 1,\n   rtol: 1e-3}", "line 4: 'rtol' belongs to 'expect', and this gate has 'max'."),
        ("", "line 1: the spec is empty."),
        ("# nothing\n", "line 1: the spec is empty."),
        ("- mse", "line 1: a spec is a mapping of keys to values."),
        ("loss: &a mse", "line 1: '&a' is an alias or anchor"),
        ("loss: mse\nby: *a", "line 2: '*a' is an alias or anchor"),
        ("loss: mse\nby: !!python/name:os.system x", "line 2: the tag '!!python/name:os.system' is not read."),
        ("loss: mse\nby: !!binary aGk=", "line 2: the tag '!!binary' is not read."),
        ("loss: mse\nworst: !!int abc", "line 2: 'abc' does not read as int."),
        ("loss: mse\n? [a]\n: b", "line 2: a key must be a word."),
        ("loss: mse\n  by: x", "line 2: mapping values are not allowed here."),
        ("loss: mse\nby: @x", "line 2: while scanning for the next token, found character '@'"),
        ("loss: a\n---\nloss: b", "line 2: expected a single document in the stream, but found another document."),
        ("loss: mse\nby: \x01", "line 2: the sign U+0001 is not allowed in YAML."),
        ("[" * 5000, "line 1: the nesting is too deep."),
    ],
)  # fmt: skip
def test_every_fault_has_its_line(tmp_path, text, said):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(BadSpec) as caught:
        read_spec(str(path))
    assert caught.value.paragraph().startswith(f"{path}, {said}")


def test_a_byte_that_is_no_utf_8_has_its_line(tmp_path):
    (tmp_path / "spec.yaml").write_bytes(b"loss: mse\nby: \xff\n")
    with pytest.raises(BadSpec, match=r"line 2: the byte 0xff is not UTF-8"):
        read_spec(str(tmp_path / "spec.yaml"))


@pytest.mark.parametrize("name", ["no.yaml", "."])
def test_a_spec_that_is_not_there(tmp_path, name):
    with pytest.raises(MissingFile, match=r"could not be read|There is no spec"):
        read_spec(str(tmp_path / name))
