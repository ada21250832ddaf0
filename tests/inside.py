"""Runs command lines in this process, where hundreds of them take seconds."""

import contextlib
import io
import os
import shlex
from dataclasses import dataclass

from lossctl.cli.program import _run


@dataclass(frozen=True)
class Done:
    """What a run printed and exited with."""

    code: int
    stdout: str
    stderr: str


def run(argv, folder):
    """Run a command line in a folder. Warnings are errors here, as everywhere in the tests."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        environment = dict(os.environ)
        try:
            code = _run(shlex.split(argv))
        finally:
            os.environ.clear()
            os.environ.update(environment)
    return Done(code, out.getvalue(), err.getvalue())
