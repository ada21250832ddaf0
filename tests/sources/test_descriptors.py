"""What a thread reads again and again stays open while its work lasts, and no longer."""

import subprocess
import sys
from pathlib import Path
from threading import Thread

import golden
import numpy as np
import pytest

from lossctl.engine.threads import in_lanes
from lossctl.sources.stored import MOST, kept_open, read_at


@pytest.fixture
def files(tmp_path):
    paths = [str(tmp_path / str(number)) for number in range(MOST + 3)]
    for number, path in enumerate(paths):
        Path(path).write_bytes(bytes([number]) * 4)
    return paths


def held(files):
    """How often each of the files is open in this process."""
    found = [one.resolve() for one in Path("/proc/self/fd").iterdir()]
    return [found.count(Path(path).resolve()) for path in files]


def read(path, at=0):
    view = bytearray(2)
    return bytes(view[: read_at(path, memoryview(view), at)])


def test_nothing_stays_open_outside(files):
    assert [read(path) for path in files] == [bytes([number]) * 2 for number in range(len(files))]
    assert held(files) == [0] * len(files)
    assert read(files[0], 3) == b"\0"
    assert read(files[0], 4) == b""


def test_the_last_few_stay_open_inside(files):
    with kept_open():
        assert [read(path, at) for at in (0, 1) for path in files] == [
            bytes([n]) * 2 for _ in (0, 1) for n in range(len(files))
        ]
        assert held(files) == [0] * 3 + [1] * MOST
        with kept_open():
            read(files[-1])
            assert held(files)[-1] == 1
        assert held(files)[-1] == 1
    assert held(files) == [0] * len(files)


def test_an_error_closes_them(files):
    missing = [files[0], f"{files[0]}none"]
    with pytest.raises(FileNotFoundError), kept_open():
        list(map(read, missing))
    assert held(files) == [0] * len(files)


def test_a_process_that_may_open_few_files_reads_many(tmp_path):
    for number in range(60):
        for role in ("pred", "target"):
            np.save(tmp_path / f"{role}{number:02}.npy", np.arange(100.0) + number)
    command = [sys.executable, "-m", "lossctl", "compute", "mse", "pred*.npy", "target*.npy", "--jobs", "4", "-b"]
    found = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -n 24; exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=golden.environment(tmp_path),
        check=False,
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "0.0\n", "")


def test_each_thread_has_its_own(files):
    with kept_open():
        read(files[0])
        thread = Thread(target=lambda: (read(files[0]), read(files[1])))
        thread.start()
        thread.join()
        assert held(files)[:2] == [1, 0]


@pytest.mark.parametrize("jobs", [1, 2])
def test_lanes_hold_what_they_read(files, jobs):
    found = in_lanes(lambda _: (read(files[0]), held(files)[0]), range(20), jobs)
    assert {one for one, _ in found} == {b"\0\0"}
    assert {times for _, times in found} <= set(range(1, jobs + 1))
    assert held(files)[0] == 0
