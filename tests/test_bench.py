"""scripts/bench runs, says what it measured, and leaves nothing behind; no time is asserted."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
from golden import ROOT

sys.path.append(str(ROOT / "scripts"))

from benching.data import Data
from benching.kernels import read_share
from benching.lines import Case, Failed, Line, Section, as_json, from_json
from benching.page import page, write
from benching.plot import plot
from benching.running import LOSSCTL, PASS, PYTHON, Runner, check_answers, script

BENCH = [sys.executable, str(ROOT / "scripts" / "bench")]
TABLES = ["Start-up", "Kernels", "Large files", "Gradients, several losses, many pairs", "Accuracy"]
LARGE = "import numpy; numpy.ones(150_000_000, numpy.uint8); print(1)"
MACHINE = {
    "date": "2026-01-02",
    "processor": "Some CPU",
    "cores": 2,
    "avx512": False,
    "memory_gb": 8.0,
    "system": "Linux x86_64",
    "busy": 0.1,
    "python": "3.11.1",
    "libraries": {"numpy": "2.4.6"},
    "absent": ["polars"],
}
SECTIONS = [
    Section(
        "Start-up", "Whole\nprocesses.", [Line("a / b", [3.0, 1.0, 2.0], "x", "<= 1.5"), Line("c / d", note="not installed: c")]
    ),
    Section(
        "Kernels", "One process.", [Line("mse | float64, 2 threads", [2.0], "x", "<= 3"), Line("l1 | torch, 2 threads", [9.0])]
    ),
    Section("Large files", "", [Line("npy: NumPy | time", [0.25]), Line("npy: NumPy | peak memory", [0.1])]),
]


@pytest.fixture
def runner(tmp_path):
    runner = Runner(tmp_path)
    yield runner
    runner.close()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_short_form_measures_everything_and_writes_no_page(tmp_path):
    before = contents(ROOT / "docs")
    command = [*BENCH, "--short", "--json", "found.json", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert contents(ROOT / "docs") == before
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]
    sections = from_json(json.loads((tmp_path / "found.json").read_text())["sections"])
    assert [section.title for section in sections] == TABLES
    lines = [line for section in sections for line in section.lines]
    assert not [line for line in lines if bool(line.values) == line.note.startswith("not installed")]
    assert [line.what in done.stdout for line in lines if " | " not in line.what].count(False) == 0
    errors = {line.what: line for line in sections[-1].lines}
    assert all(errors[f"{loss} | lossctl, float64"].met for loss in ("mse", "l1", "huber"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_files_are_removed_when_it_is_stopped(tmp_path, number):
    command = [*BENCH, "--only", "accuracy", "--size", "40", "--folder", str(tmp_path)]
    # A process in the background of a shell would be born deaf to Ctrl-C.
    heard = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, restore_signals=True)
    while not list(tmp_path.glob("*/large_pred.npy")):
        assert heard.poll() is None, heard.stderr.read()
        time.sleep(0.01)
    heard.send_signal(number)
    _, said = heard.communicate(timeout=60)
    assert heard.returncode == (1 if number == signal.SIGINT else 128 + number), said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--short", "--write"], "its figures are not for the page"),
        (["--only", "kernels,speed"], "several, accuracy, huge, not speed"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(words, said):
    done = subprocess.run([*BENCH, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_a_peak_is_the_process_s_own(tmp_path):
    held = np.ones(300_000_000, np.uint8)
    with closing(Runner(tmp_path)) as runner:
        bare, large = runner.run(PASS).peak, runner.run(script(LARGE)).peak
    assert held[-1] == 1
    assert bare < 40
    assert 150 < large < 260


def test_a_run_gives_the_last_word(runner):
    assert runner.run([PYTHON, "-c", "print('is', 0.5)"]).answer == "0.5"


def test_a_process_writes_to_a_terminal_of_its_own(runner):
    code = "import sys; sys.exit(0 if sys.stdout.isatty() and sys.stderr.isatty() and not sys.stdin.isatty() else 3)"
    assert runner.seconds_on_terminal([PYTHON, "-c", code]) > 0


def test_a_failed_run_says_why(runner):
    with pytest.raises(Failed, match=r"exit code 3 from .*There is no file 'gone\.npy'"):
        runner.run([*LOSSCTL, "compute", "mse", "gone.npy", "gone.npy"])


def test_other_answers_are_no_figures(runner):
    commands = {"one": [PYTHON, "-c", "print(2)"], "other": [PYTHON, "-c", "print(2.01)"]}
    with pytest.raises(Failed, match=r"other gives 2\.01, one 2"):
        runner.in_turn(commands, 1)
    check_answers({"one": "2", "other": "2.001"})


def test_a_case_goes_on_without_packages_and_after_failures():
    def fail():
        raise Failed("no luck")

    assert Case("a", list, ("json", "no_such_package")).lines() == [Line("a", note="not installed: no_such_package")]
    assert Case("b", fail).lines() == [Line("b", note="failed: no luck")]
    assert Case("c", lambda: [Line("c", [1.0])], ("json",)).lines() == [Line("c", [1.0])]


@pytest.mark.parametrize(("target", "met"), [("<= 2", True), ("<= 1.9", False), (">= 2", True), (">= 2.1", False), ("", None)])
def test_a_median_is_held_against_its_target(target, met):
    assert Line("a", [9.0, 2.0, 1.0], "x", target).met is met


def test_exact_sums_are_those_of_the_files(tmp_path):
    data = Data(tmp_path)
    pred, target = map(np.load, data.pair("some", 300_000))
    error = pred.astype(np.float64) - target
    assert data.exact["some"]["mse"] == pytest.approx(float((error**2).mean()), rel=1e-12)
    assert data.exact["some"]["l1"] == pytest.approx(float(np.abs(error).mean()), rel=1e-12)


def test_tiles_fill_a_file_to_its_end(tmp_path):
    scores, labels = map(np.load, Data(tmp_path).logits(10_000_001, 10))
    assert (scores.shape, scores.dtype) == ((1_000_000, 10), np.float32)
    assert (labels.shape, labels.min(), labels.max()) == ((1_000_000,), 0, 9)


def test_shares_of_a_file_are_read_to_their_ends(tmp_path, monkeypatch):
    path, taken = tmp_path / "bytes", []
    path.write_bytes(bytes(3_000_001))
    real = os.preadv
    monkeypatch.setattr(os, "preadv", lambda *given: taken.append(real(*given)) or taken[-1])
    for number in range(2):
        read_share(str(path), 2, number)
    assert sum(taken) == 3_000_001


def test_the_page_has_every_figure_and_says_what_is_missed():
    text = page(MACHINE, SECTIONS)
    assert "Of 2 targets, 1 are met. The others:\n\n- a / b: 2 x, target ≤ 1.5\n" in text
    assert "| a / b | 2 x | 1 | 3 | ≤ 1.5 |\n| c / d | not installed: c |" in text
    assert "| | float64, 2 threads | torch, 2 threads |\n|---|---|---|\n| mse | 2 x, target ≤ 3 |  |\n| l1 |  | 9 x |" in text
    assert "Some CPU, 2 cores, without AVX-512" in text
    assert "numpy 2.4.6. Not installed: polars." in text


def test_the_page_is_made_again_from_json(tmp_path):
    again = from_json(json.loads(json.dumps(as_json(SECTIONS))))
    write(tmp_path, MACHINE, again)
    assert (tmp_path / "performance.md").read_text(encoding="utf-8") == page(MACHINE, SECTIONS)
    assert (tmp_path / "performance.svg").read_text(encoding="utf-8") == plot(SECTIONS)
    assert all(word in plot(SECTIONS) for word in ("mse", "npy: NumPy", "peak memory"))
