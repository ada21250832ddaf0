"""Whole numbers that no label and no axis reaches are refused, and do not overflow."""

import pytest

from lossctl.cli.program import _run

BEYOND = (1 << 63, -(1 << 63), 10**30)
WITHIN = (1 << 63) - 1


@pytest.mark.parametrize("command", ["compute ce", "grad ce", "identify --value 1.5"])
@pytest.mark.parametrize("flag", ["--label-offset", "--ignore-index", "--class-dim"])
@pytest.mark.parametrize("value", BEYOND)
def test_beyond_64_bits(command, flag, value, capsys):
    line = [*command.split(), "[[1, 2], [3, 4]]", "[0, 1]", f"{flag}={value}"]
    assert _run(line) == 2
    out, err = capsys.readouterr()
    assert (out, f"{flag} is {value}" in err) == ("", True)


@pytest.mark.parametrize("flag", ["label_offset", "ignore_index", "class_dim"])
def test_in_a_spec(flag, tmp_path, capsys):
    path = tmp_path / "s.yaml"
    path.write_text(f"loss: ce\ninputs: {{pred: [[1, 2], [3, 4]], target: [0, 1]}}\n{flag}: {10**30}\n")
    assert _run(["compute", str(path)]) == 2
    assert capsys.readouterr().out == ""


def test_the_largest_is_a_label_like_any_other(capsys):
    assert _run(["compute", "ce", "[[0, 0], [0, 0]]", "[0, 1]", "--ignore-index", str(WITHIN), "-b"]) == 0
    # Two classes alike: ln 2.
    assert capsys.readouterr().out == "0.6931471805599453\n"
