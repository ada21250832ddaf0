"""Large files in few megabytes: what a whole process takes, libraries included."""

from __future__ import annotations

import subprocess
import sys

import golden
import numpy as np
import pytest

MB = 1 << 20
RUN = """
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


def run(folder, *argv):
    """What a run of lossctl prints, and the peak of its memory in bytes."""
    env = golden.environment(folder, golden.ROOT / "tests")
    command = [sys.executable, "-P", "-c", RUN, *argv]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout, int(done.stderr.split()[-1])


@pytest.mark.slow
def test_a_pair_of_gigabytes_of_torch(tmp_path):
    import torch

    for name, value in (("p.pt", 3.0), ("t.pt", 1.0)):
        torch.save(torch.full((1 << 18, 1 << 10), value, dtype=torch.float32), tmp_path / name)
    printed, peak = run(tmp_path, "compute", "mse", "p.pt", "t.pt", "-b")
    assert printed == "4.0\n"
    assert peak < 700 * MB


@pytest.mark.slow
def test_half_a_gigabyte_of_lines(tmp_path):
    rows = "".join(f'{{"id": "sample-{i:06}", "pred": [{i}.5, -2.25], "target": [{i}.5, -2.75]}}\n' for i in range(100_000))
    with (tmp_path / "a.jsonl").open("w") as file:
        for _ in range(500 * MB // len(rows)):
            file.write(rows)
    printed, peak = run(tmp_path, "compute", "mse", "a.jsonl", "a.jsonl", "-b")
    assert printed == "0.125\n"
    assert peak < 300 * MB


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fifty_megabytes_of_chunks(tmp_path, dtype):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("pred", "target"):
            file.create_dataset(name, (1 << 23,), dtype, chunks=(1 << 17,), compression="gzip", fillvalue=1)[:1000] = 0
    printed, peak = run(tmp_path, "compute", "mse", "a.h5", "a.h5", "-b")
    assert printed == "0.0\n"
    assert peak < 150 * MB
