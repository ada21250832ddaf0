"""Files that are larger than the memory that a command may take, and commands with the peak of their memory."""

import json
import subprocess
import sys

import golden
import numpy as np

MB = 10**6
PROGRAM = """
import sys
from memory import peak
sys.argv[0] = "lossctl"
from lossctl.__main__ import main
try:
    main()
except SystemExit as end:
    print(peak(), file=sys.stderr)
    raise
"""
PIECE = 1_000_000


def write(path, count, pieces):
    """An array of `count` pieces of a million numbers, each of which `pieces` makes of its number."""
    first = pieces(0)
    header = {"descr": first.dtype.str, "fortran_order": False, "shape": (len(first) * count,)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for number in range(count):
            file.write(pieces(number).tobytes())


def numbers(seed, scale=1.0, around=None):
    """Random float32 numbers, each piece another, around those of another seed."""

    def piece(number):
        middle = 0 if around is None else np.random.default_rng([around, number]).normal(size=PIECE)
        return (middle + scale * np.random.default_rng([seed, number]).normal(size=PIECE)).astype(np.float32)

    return piece


def run(folder, *argv):
    """The document of a command, and the peak of its memory in bytes."""
    command = [sys.executable, "-P", "-c", PROGRAM, *argv, "--format", "json"]
    env = golden.environment(folder, golden.ROOT / "tests")
    found = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True, timeout=900)
    return json.loads(found.stdout), int(found.stderr.splitlines()[-1])
