"""The bar: nothing of it in pipes, nothing before a second, and nothing left on the screen."""

import os
import pty
import signal
import subprocess
import sys

import golden
import numpy as np
import pytest

from lossctl import progress as module
from lossctl.engine.threads import in_lanes
from lossctl.progress import Bar, amount, long_pass, progress, watch

EAGER = "import lossctl.progress as p; p.PATIENCE = -1; from lossctl.cli.program import main; main()"


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests move."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_pipe_gets_no_bar(capsys):
    with progress(quiet=False):
        watch().begin("computing", 2)
        watch().step(2)
    assert capsys.readouterr().err == ""


def test_a_bar_waits_for_a_second(clock, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress(quiet=False):
        watch().begin("computing", 10)
        clock[0] = 0.9
        watch().step(5)
        assert capsys.readouterr().err == ""
        clock[0] = 1.1
        watch().read(22_000_000)
        watch().step()
    said = capsys.readouterr().err
    assert "computing" in said
    assert "60%" in said
    assert "20 MB/s" in said


def test_a_quiet_run_has_no_bar(clock, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress(quiet=True):
        clock[0] = 5.0
        watch().begin("computing", 2)
        watch().step()
    assert capsys.readouterr().err == ""


def test_each_pass_begins_anew():
    bar = Bar()
    bar.begin("reading", 4)
    bar.step(4)
    bar.begin("computing", 3)
    assert (bar.what, bar.done, bar.total) == ("computing", 0, 3)


def test_passes_inside_of_a_pass_do_not_show():
    bar = Bar()
    with module.watched_by(bar), long_pass("training", 2) as step:
        in_lanes(lambda item: item, list(range(10)), 1)
        step(1)
    assert (bar.what, bar.done, bar.total) == ("training", 1, 2)


def test_blocks_are_counted_on_every_thread():
    bar = Bar()
    with module.watched_by(bar):
        in_lanes(lambda item: item, list(range(1000)), 4)
    assert (bar.done, bar.total) == (1000, 1000)


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (3.21e9, "3.21 GB"), (5e16, "5e+04 TB")])
def test_amounts(size, text):
    assert amount(size) == text


def on_terminal(folder, *words, interrupt=False):
    """Run with a terminal as stderr; return the exit code, stdout, and what the terminal saw."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-c", EAGER, *words]
    environment = golden.environment(folder, golden.ROOT / "tests") | {"TERM": "xterm"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, cwd=folder, env=environment)
    os.close(terminal)
    seen = b""
    try:
        while piece := os.read(controller, 1 << 16):
            seen += piece
            if interrupt and b"computing" in seen:
                process.send_signal(signal.SIGINT)
                interrupt = False
    except OSError:  # how Linux says that the last writer has gone
        pass
    os.close(controller)
    out = process.communicate(timeout=60)[0].decode()
    return process.returncode, out, seen.decode()


@pytest.fixture
def pair(tmp_path):
    for name in ("pred", "target"):
        np.save(tmp_path / f"{name}.npy", np.ones(1 << 22, np.float32))
    return tmp_path


def test_the_bar_is_taken_off_and_the_result_stands_alone(pair):
    code, out, seen = on_terminal(pair, "compute", "mse", "pred.npy", "target.npy", "-b")
    assert (code, out) == (0, "0.0\n")
    assert "computing" in seen
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") == 1


def test_no_progress_means_none(pair):
    code, out, seen = on_terminal(pair, "compute", "mse", "pred.npy", "target.npy", "-b", "--no-progress", "--ignore", "L042")
    assert (code, out) == (0, "0.0\n")
    assert "computing" not in seen


def test_an_interrupted_run_gives_the_cursor_back_and_leaves_no_file(tmp_path):
    for name in ("pred", "target"):
        with (tmp_path / f"{name}.npy").open("wb") as file:
            # Holes: large enough to be interrupted, and no bytes on the disk.
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 29,)})
            file.truncate(file.tell() + (1 << 31))
    code, out, seen = on_terminal(tmp_path, "compute", "mse", "pred.npy", "target.npy", "-o", "out.json", interrupt=True)
    assert (code, out) == (130, "")
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") == 1
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["pred.npy", "target.npy"]
