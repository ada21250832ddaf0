"""The command: what it prints, where it fails, and what people see."""

import json
import subprocess
import sys

import golden
import numpy as np
import pytest
import transcript

from lossctl.commands import diagnose as command
from lossctl.commands.diagnose import Diagnosing
from lossctl.commands.listing import info_page as info
from lossctl.errors import BadParameter, GateFailed, UnknownName

STEPS = np.arange(1, 101)
NOISE = np.random.default_rng(0).standard_normal(100)
FALLING = 0.2 + np.exp(-STEPS / 15) + 0.01 * NOISE


@pytest.fixture
def folder(tmp_path):
    def table(name, loss, lr):
        rows = "".join(f"{step},{one:.6g},{rate:.6g}\n" for step, one, rate in zip(STEPS, loss, lr, strict=True))
        (tmp_path / name).write_text("step,loss,lr\n" + rows)

    steady = np.full(100, 1e-3)
    table("healthy.csv", FALLING, steady)
    table("jump.csv", FALLING + 0.8 * (STEPS >= 60), np.where(STEPS == 60, 0.1, steady))
    table("plateau.csv", 0.9 + 0.1 * np.exp(-STEPS / 5) + 0.002 * NOISE, steady)
    return tmp_path


def run(path, say=lambda _: None, **options):
    return command.run(str(path), Diagnosing(**options), say, plain=False)


def test_findings_are_rows_and_a_document(folder):
    report, error = run(folder / "jump.csv")
    assert error is None
    assert [(row["code"], row["from"]) for row in report.rows] == [("D004", 60), ("D008", 60)]
    assert report.document["schema"] == "lossctl/diagnosis/1"
    assert report.document["history"] | {"path": ""} == {
        "path": "",
        "columns": {"step": "step", "loss": "loss", "lr": "lr"},
        "n": 100,
        "from": 1,
        "to": 100,
        "floor": None,
        "notes": [],
    }
    assert [one["code"] for one in report.document["findings"]] == ["D004", "D008"]


def test_people_see_the_curve_and_what_to_do(folder):
    report, _ = run(folder / "jump.csv")
    drawn, advised = report.more
    assert drawn.rows[0]["curve"][:2] == "█▇"
    assert drawn.rows[1] == {"": "D004", "curve": " " * 19 + "^"}
    assert [row[""] for row in drawn.rows] == ["loss", "D004", "D008", "lr"]
    assert advised.rows[0]["remedies"] == "lower the learning rate; use a learning-rate schedule"


def test_a_healthy_run_says_so(folder):
    said = []
    report, error = run(folder / "healthy.csv", said.append, fail_on="any")
    assert (report.rows, error, len(report.more)) == ([], None, 1)
    assert said == ["no findings in 100 losses"]


@pytest.mark.parametrize(
    ("fail_on", "jump", "plateau"),
    [
        ("", False, False),
        ("error", False, False),
        ("warning", True, False),
        ("any", True, True),
        ("d008", True, False),
        ("D001,D007", False, True),
        ("error, Warning", True, False),
    ],
)
def test_what_fails(folder, fail_on, jump, plateau):
    for name, fails in (("jump.csv", jump), ("plateau.csv", plateau), ("healthy.csv", False)):
        _, error = run(folder / name, fail_on=fail_on)
        assert isinstance(error, GateFailed) == fails


def test_the_failure_names_its_codes(folder):
    _, error = run(folder / "jump.csv", fail_on="any")
    assert error.paragraph() == "--fail-on finds D004, D008. lossctl info D004 explains it."


@pytest.mark.parametrize("word", ["errors", "D011", "info,huge"])
def test_a_word_that_is_none(folder, word):
    with pytest.raises(BadParameter, match="--fail-on knows no"):
        run(folder / "jump.csv", fail_on=word)


def test_the_floor_reaches_the_detectors(folder):
    assert run(folder / "plateau.csv")[0].rows[0]["code"] == "D007"
    assert run(folder / "plateau.csv", floor=0.88)[0].rows == []


def test_info_explains_a_finding():
    report = info("d004")
    texts = {row["what"]: row["text"] for row in report.rows}
    assert texts["finding"] == "D004: the loss jumps (warning)"
    assert texts["source"] == "document 001, section 6"
    assert report.document["code"] == "D004"
    with pytest.raises(UnknownName):
        info("D123")


def lossctl(folder, argv, **env):
    return subprocess.run(
        golden.command(argv),
        cwd=folder,
        env=golden.environment(folder) | env,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )


def test_json_is_strict_and_the_same_on_a_rerun(folder):
    first, again = (lossctl(folder, "diagnose jump.csv --format json --fail-on any") for _ in range(2))
    assert first.returncode == 1
    assert first.stdout == again.stdout
    assert json.loads(first.stdout)["command"] == "diagnose"


def test_a_terminal_without_unicode_gets_plain_signs(folder):
    plain = lossctl(folder, "diagnose jump.csv --format markdown", PYTHONUTF8="0", PYTHONIOENCODING="ascii").stdout
    assert "█" in lossctl(folder, "diagnose jump.csv --format markdown").stdout
    assert "| loss | @" in plain or "| loss | #" in plain
    assert plain.isascii()


def test_the_curve_fits_eighty_columns(folder, monkeypatch):
    monkeypatch.setitem(transcript.TERMINAL, "COLUMNS", "80")
    seen = transcript.rerun("$ lossctl diagnose jump.csv\n", folder)
    assert any(line.startswith(" loss ") and line.count("▁") > 3 for line in seen.splitlines())
    assert max(map(len, seen.splitlines())) <= 80


def test_the_table_of_findings_needs_no_numpy(tmp_path):
    code = "import sys; import lossctl.guides.diagnose.faults; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=golden.environment(tmp_path)).returncode == 0
