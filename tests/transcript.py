"""Transcripts: blocks of `$ command` lines with what each prints, run again on a terminal as their reader would run them."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import golden

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A page is narrower than a screen. A terminal that says it is dumb gets tables without colours.
TERMINAL = {"COLUMNS": "100", "LINES": "50", "TERM": "dumb"}


def pages() -> list[Path]:
    """The pages with console blocks: README.md and those in docs/ that people write."""
    return [golden.ROOT / "README.md", *sorted((golden.ROOT / "docs").glob("*.md"))]


def blocks(text: str) -> list[str]:
    """The console blocks of a Markdown page."""
    return BLOCK.findall(text)


def commands(block: str) -> list[str]:
    """The commands of a block; one that ends in a backslash goes on in the next line."""
    found: list[str] = []
    goes_on = False
    for line in block.splitlines():
        if goes_on:
            found[-1] += f"\n{line}"
        elif line.startswith("$ "):
            found.append(line[2:])
        goes_on = line.endswith("\\") and (goes_on or line.startswith("$ "))
    return found


def script(block: str) -> str:
    """A shell script that prints each command of a block above its output, and hands `$?` on from one to the next."""
    lines = ["status=0"]
    for one in commands(block):
        lines += [f"printf '%s\\n' {shlex.quote(f'$ {one}')}", "(exit $status)", one, "status=$?"]
    return "\n".join(lines)


def rerun(block: str, folder: Path) -> str:
    """Run the commands of a block in `folder` and return the block as it should read."""
    shown = on_terminal(["bash", "-c", script(block)], folder)
    return "".join(f"{line.rstrip()}\n" for line in shown.splitlines())


def on_terminal(command: list[str], folder: Path) -> str:
    """Run a command on a pseudo-terminal and return what a person would see, errors included."""
    controller, terminal = pty.openpty()
    env = golden.environment(folder) | TERMINAL
    with subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal):
        os.close(terminal)
        seen = read_all(controller)
    os.close(controller)
    return seen.decode().replace("\r\n", "\n")


def read_all(controller: int) -> bytes:
    """Read until the last writer has gone, which Linux reports as an error and macOS as an empty read."""
    pieces = []
    while True:
        try:
            pieces.append(os.read(controller, 1 << 16))
        except OSError:
            break
        if not pieces[-1]:
            break
    return b"".join(pieces)
