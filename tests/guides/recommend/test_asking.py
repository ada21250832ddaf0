"""Questions in a real terminal: a pseudo-terminal on which keys are typed."""

import os
import pty
import re
import select
import subprocess
import sys
import time

import golden
import numpy as np
import pytest

UP, DOWN, ENTER, INTERRUPT = "\x1b[A", "\x1b[B", "\r", "\x03"
# Long enough for a slow machine, and short enough that a question that never comes ends the test.
WAIT = 60
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Terminal:
    """A run of the program on a terminal of its own."""

    def __init__(self, argv, folder, **env):
        """Start the program."""
        self.mine, theirs = pty.openpty()
        self.bytes = b""
        size = {"TERM": "xterm", "LINES": "60", "COLUMNS": "120", "NO_COLOR": "1"}
        self.run = subprocess.Popen(
            [sys.executable, *golden.command(argv)[1:]],
            cwd=folder,
            env=golden.environment(folder) | size | env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509 - makes it the controlling terminal
        )
        os.close(theirs)

    def until(self, words):
        """Read until `words` have come since the last call."""
        start = len(self.bytes)
        end = time.monotonic() + WAIT
        while words.encode() not in self.bytes[start:]:
            assert select.select([self.mine], [], [], max(0.0, end - time.monotonic()))[0], self.bytes
            self.bytes += os.read(self.mine, 4096)

    def type(self, *keys):
        """Type keys, one at a time as people do."""
        for key in keys:
            os.write(self.mine, key.encode())
            time.sleep(0.05)

    def finish(self):
        """Read to the end, and return the exit code and all that was shown, without escape sequences."""
        while True:
            try:
                part = os.read(self.mine, 4096)
            except OSError:
                break
            if not part:
                break
            self.bytes += part
        code = self.run.wait(WAIT)
        os.close(self.mine)
        return code, ESCAPES.sub("", self.bytes.decode()).replace("\r\n", "\n")


@pytest.fixture
def target(tmp_path):
    np.save(tmp_path / "y.npy", np.random.default_rng(0).normal(0, 1, 200))
    return tmp_path


def test_arrow_keys_choose_and_the_flags_repeat_it(tmp_path):
    terminal = Terminal("recommend", tmp_path)
    terminal.until("critic")
    terminal.type(UP, UP, DOWN, *[DOWN] * 8, ENTER)
    terminal.until("or probabilities?")
    terminal.type(DOWN, ENTER)
    terminal.until("rarer")
    terminal.type(ENTER)
    terminal.until("end in?")
    terminal.type("j", "k", ENTER)
    code, shown = terminal.finish()
    assert code == 0
    assert "What does the network predict? binary  (--task binary)" in shown
    assert "to repeat this: lossctl recommend --task binary --margin --no-imbalance --head scores" in shown
    assert "hinge" in shown.partition("to repeat this")[2]


def test_only_what_the_data_leave_open_is_asked(target):
    terminal = Terminal("recommend y.npy --predict mean", target)
    terminal.until("powers of ten")
    terminal.type(ENTER)
    code, shown = terminal.finish()
    assert code == 0
    assert "(--no-wide)" in shown
    assert "What does the network predict?" not in shown
    assert "to repeat this: lossctl recommend y.npy --predict mean --no-wide" in shown


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_ctrl_c_exits_130(term, target):
    terminal = Terminal("recommend y.npy --predict mean", target, TERM=term)
    terminal.until("powers of ten")
    time.sleep(0.3)
    terminal.type(INTERRUPT)
    code, shown = terminal.finish()
    assert code == 130
    assert "Traceback" not in shown


def test_a_terminal_without_arrow_keys_is_asked_for_numbers(target):
    terminal = Terminal("recommend y.npy --predict mean", target, TERM="dumb")
    terminal.until("powers of ten")
    time.sleep(0.3)
    terminal.type("1", ENTER)
    code, shown = terminal.finish()
    assert code == 0
    assert "1. yes: ratios count" in shown
    assert "(--wide)" in shown


def test_nobody_is_asked_where_a_question_could_not_be_seen(target):
    found = subprocess.run(
        [sys.executable, *golden.command("recommend y.npy")[1:]],
        cwd=target,
        env=golden.environment(target),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=WAIT,
        check=True,
    )
    assert "assumed: --predict mean, --no-wide" in found.stderr
    assert found.stdout.startswith("rank\tloss")
