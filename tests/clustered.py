"""A cluster in a process of its own, and the command line beside it."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import golden

HOST = Path(__file__).with_name("cluster_host.py")


class Cluster:
    """A cluster of two worker processes, and the command line beside it."""

    def __init__(self, folder, environment):
        self.folder = folder
        self.environment = golden.environment(folder, golden.ROOT / "tests") | environment
        command = [sys.executable, str(HOST), "2"]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=self.environment, cwd=folder, **streams)
        self.address = self.process.stdout.readline().strip()

    def ask(self, word):
        """Ask the host for something and return what it says."""
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def start(self, *words):
        """Begin a run in another process."""
        command = [sys.executable, "-m", "lossctl", *words]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, **streams)

    def run(self, *words):
        """Run to the end; return the exit code, stdout and stderr."""
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err


@contextmanager
def cluster_in(folder, **environment):
    """Start a cluster that works in `folder`, and end it."""
    found = Cluster(folder, environment)
    try:
        yield found
    finally:
        found.process.communicate(timeout=60)
