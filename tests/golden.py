"""Golden cases: a command line, the files it reads, and what it prints and exits with. tests/cases/README.md has the form."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

import lossctl

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests" / "cases"
KEYS = ("name", "note", "argv", "files", "stdin", "env", "prelude", "code", "stdout", "stderr", "writes")
# What the installed script does, with room for a prelude before it.
BOOT = "import sys\nsys.argv[0] = 'lossctl'\n{prelude}\nfrom lossctl.__main__ import main\nsys.exit(main())\n"
COUNTS = {
    r"There are \d+ losses": "There are <n> losses",
    r"tried \d+ candidates with \d+ different values; by chance about [\d.e-]+": "tried <n> candidates; by chance about <n>",
    # What inspect counts as distinct are values of an array.
    r'"distinct": [\d.e-]+(?=,\s*"by_chance")': '"distinct": "<n>"',
    r'"(tried|by_chance)": [\d.e-]+': r'"\1": "<n>"',
}
# Long enough for torch to be imported on a slow machine: it is here to end a hang, not to measure.
PATIENCE = 300


@dataclass(frozen=True)
class Outcome:
    """What a case printed, wrote and exited with."""

    code: int
    stdout: str
    stderr: str
    writes: dict[str, str]


def load(path: Path) -> list[dict]:
    """Read the cases of one file, and refuse a misspelt key: a case that checks nothing would pass."""
    cases = yaml.safe_load(path.read_text(encoding="utf-8"))
    for case in cases:
        unknown = set(case) - set(KEYS)
        missing = {"name", "argv", "code"} - set(case)
        if unknown or missing:
            message = f"{path.name}, case {case.get('name')!r}: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}"
            raise ValueError(message)
    return cases


def every_case() -> list[tuple[str, dict]]:
    """All cases, each with a name that says which file it stands in."""
    return [(f"{path.stem}: {case['name']}", case) for path in sorted(CASES.glob("*.yaml")) for case in load(path)]


def write_files(files: dict, folder: Path) -> None:
    """Write a case's files: text and bytes as they are, links, arrays as .npy or .npz."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8", newline="")
        elif "bytes" in content:
            path.write_bytes(content["bytes"].encode("latin-1"))
        elif "link" in content:
            path.symlink_to(content["link"])
        elif "npy" in content:
            np.save(path, np.array(content["npy"], dtype=content.get("dtype")))
        else:
            dtype = content.get("dtype")
            np.savez(path, **{key: np.array(value, dtype=dtype) for key, value in content["npz"].items()})


def environment(folder: Path, *paths: Path) -> dict[str, str]:
    """The environment of every child: the same everywhere, with the package that the tests themselves import.

    `paths` are further folders to import from.
    """
    return {
        "PATH": os.pathsep.join([str(script_folder(folder)), str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(map(str, [Path(lossctl.__file__).parents[1], *paths])),
        "PYTHONUTF8": "1",
        "HOME": str(folder),
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }


def script_folder(folder: Path) -> Path:
    """A folder that holds the `lossctl` script: the installed one, or in a bare checkout one made here."""
    beside = Path(sys.executable).parent
    if (beside / "lossctl").exists():
        return beside
    made = folder / ".bin"
    made.mkdir(exist_ok=True)
    script = made / "lossctl"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -P -c {shlex.quote(BOOT.format(prelude=""))} "$@"\n')
    script.chmod(0o755)
    return made


def command(argv: str | list[str], prelude: str = "") -> list[str]:
    """The command that runs lossctl in a fresh interpreter; -P keeps the current folder off the import path, as in a script."""
    words = shlex.split(argv) if isinstance(argv, str) else [str(word) for word in argv]
    return [sys.executable, "-P", "-c", BOOT.format(prelude=prelude), *words]


def start(argv: str | list[str], folder: Path) -> subprocess.Popen:
    """Start lossctl in `folder` with pipes for what it prints."""
    return subprocess.Popen(
        command(argv),
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def run(case: dict, folder: Path) -> Outcome:
    """Run a case in `folder`."""
    write_files(case.get("files", {}), folder)
    done = subprocess.run(
        command(case["argv"], case.get("prelude", "")),
        cwd=folder,
        env=environment(folder) | case.get("env", {}),
        input=case.get("stdin", ""),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    written = {name: plain((folder / name).read_text(encoding="utf-8")) for name in case.get("writes", {})}
    return Outcome(shell_code(done.returncode), plain(done.stdout), plain(done.stderr), written)


def shell_code(returncode: int) -> int:
    """The exit code as a shell shows it: 128 + N for a process that signal N ended."""
    return 128 - returncode if returncode < 0 else returncode


def plain(text: str) -> str:
    """Write lossctl's version as <version> and counts of its losses as <n>, so that no release and no loss changes a case."""
    for pattern, instead in COUNTS.items():
        text = re.sub(pattern, instead, text)
    return re.sub(rf"(?<![\d.]){re.escape(lossctl.__version__)}(?!\.?\d)", "<version>", text)
