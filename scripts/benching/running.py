"""Whole processes, one after the other: their seconds, the peak of their memory, and what they print.

A process's peak as the system reports it begins at the peak of the process that started it. So a launcher starts them all:
a bare Python of some 10 MB, less than anything that is measured here.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benching.lines import Failed

if TYPE_CHECKING:
    from collections.abc import Mapping

PYTHON = sys.executable
FOUND = shutil.which("lossctl", path=f"{Path(PYTHON).parent}{os.pathsep}{os.environ.get('PATH', '')}")
LOSSCTL = [FOUND] if FOUND else [PYTHON, "-m", "lossctl"]
PASS = [PYTHON, "-c", "pass"]
IMPORT_NUMPY = [PYTHON, "-c", "import numpy"]
MB = 1_000_000
# ru_maxrss is in kilobytes, but in bytes on macOS.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
# Where this is set, nothing is kept compiled, and every start of every program is measured with its compilation.
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
LAUNCHER = """
import json, os, sys, time
for line in sys.stdin:
    command, *streams = json.loads(line)
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOCTTY
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    files += [(os.POSIX_SPAWN_OPEN, number, path, write, 0o600) for number, path in enumerate(streams, 1)]
    start = time.perf_counter()
    _, status, usage = os.wait4(os.posix_spawnp(command[0], command, os.environ, file_actions=files), 0)
    taken = time.perf_counter() - start
    print(json.dumps([taken, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]), flush=True)
"""
# Answers of programs that calculate in float32 may differ by so much.
CLOSE = 1e-3


class Run(NamedTuple):
    """One run of a process: seconds, peak memory in MB, and the last word that it printed."""

    seconds: float
    peak: float
    answer: str


@dataclass
class Runner:
    """Runs commands through a launcher until it is closed. `folder` takes what they print."""

    folder: Path
    launcher: Any = field(init=False)

    def __post_init__(self) -> None:
        """Start the launcher in a process group of its own, which can be ended as a whole."""
        environment = {name: value for name, value in os.environ.items() if name != UNCOMPILED}
        self.launcher = subprocess.Popen(
            [PYTHON, "-I", "-S", "-c", LAUNCHER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            process_group=0,
        )

    def close(self) -> None:
        """End the launcher and whatever it is running."""
        if self.launcher.poll() is None:
            os.killpg(self.launcher.pid, signal.SIGTERM)
        self.launcher.communicate()

    def run(self, command: list[str], terminal: str = "") -> Run:
        """Run a command to its end.

        Raises: Failed, with its last words, where it does not exit 0.
        """
        out, err = (str(self.folder / f"printed.{name}") for name in ("out", "err"))
        seconds, peak, code = self._ask([command, terminal or out, terminal or err])
        words = "" if terminal else Path(out).read_text(encoding="utf-8")
        if code:
            said = "" if terminal else Path(err).read_text(encoding="utf-8").strip()[-160:]
            what = " ".join(word for word in command[:3] if "\n" not in word)
            message = f"exit code {code} from {what}: {' '.join(said.split())}"
            raise Failed(message)
        return Run(seconds, peak * RSS_UNIT / MB, (words.split() or [""])[-1])

    def _ask(self, request: list[Any]) -> list[Any]:
        print(json.dumps(request), file=self.launcher.stdin, flush=True)
        reply = self.launcher.stdout.readline()
        if not reply:
            message = f"could not start {request[0][0]}"
            raise Failed(message)
        found: list[Any] = json.loads(reply)
        return found

    def seconds(self, command: list[str]) -> float:
        """Run a command and return its seconds."""
        return self.run(command).seconds

    def seconds_on_terminal(self, command: list[str]) -> float:
        """The same with a terminal to write to, where tables and panels are drawn."""
        controller, terminal = pty.openpty()
        reader = threading.Thread(target=drain, args=(controller,))
        reader.start()
        try:
            return self.run(command, os.ttyname(terminal)).seconds
        finally:
            os.close(terminal)
            reader.join()
            os.close(controller)

    def ratios(self, first: list[str], second: list[str], runs: int) -> list[float]:
        """Time two commands in turn, after one run of each that is not counted; seconds of the first to the second."""
        if runs > 1:
            self.run(first), self.run(second)
        return [self.seconds(first) / self.seconds(second) for _ in range(runs)]

    def in_turn(self, commands: Mapping[str, list[str]], runs: int) -> dict[str, list[Run]]:
        """Run several commands one after the other, `runs` times round.

        Raises: Failed for one that gives another answer than the first.
        """
        rounds = [{name: self.run(command) for name, command in commands.items()} for _ in range(runs)]
        found = {name: [each[name] for each in rounds] for name in commands}
        check_answers({name: each[0].answer for name, each in found.items()})
        return found


def check_answers(answers: Mapping[str, str]) -> None:
    """Compare what programs gave: a quick wrong answer is not quick.

    Raises: Failed.
    """
    first, *others = answers
    for name in others:
        one, other = float(answers[first]), float(answers[name])
        if not abs(one - other) <= CLOSE * abs(one):
            message = f"{name} gives {other:.9g}, {first} {one:.9g}"
            raise Failed(message)


def drain(controller: int) -> None:
    """Read until the last writer has gone, which Linux reports as an error and macOS as an empty read."""
    try:
        while os.read(controller, 1 << 16):
            pass
    except OSError:
        pass


def compute(loss: str, paths: list[str], *more: str) -> list[str]:
    """The command line that computes a loss and prints its value."""
    return [*LOSSCTL, "compute", loss, *paths, "--format", "value", *more]


def script(text: str, *words: str) -> list[str]:
    """The command line that runs a script of one string."""
    return [PYTHON, "-c", text, *words]
