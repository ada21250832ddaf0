"""A file appears when it is whole, and a failure leaves what was there."""

import errno
import os
import stat
import tempfile
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from reading import ALL, assert_holds, fields, names, write

from lossctl.errors import InputError
from lossctl.gradient.writing import opened

ARRAYS = {"pred": np.arange(12.0).reshape(6, 2)}


class Stop(Exception):
    """What no writer expects."""


def stopped_midway(path, fault):
    with opened(str(path), fields(ARRAYS)) as sinks:
        sinks["pred"].put(ARRAYS["pred"][:2], 2)
        raise fault


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(params=ALL)
def path(tmp_path, request):
    return tmp_path / f"g{request.param}"


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("fault", [Stop, KeyboardInterrupt])
def test_a_failure_midway_leaves_what_was_there(path, existing, fault):
    if existing:
        path.write_bytes(b"old")
    with pytest.raises(fault):
        stopped_midway(path, fault)
    assert names(path.parent) == ([path.name] if existing else [])
    assert not existing or path.read_bytes() == b"old"


def test_nothing_is_there_before_the_end(path):
    with opened(str(path), fields(ARRAYS)) as sinks:
        sinks["pred"].put(ARRAYS["pred"], 0)
        assert not path.exists()
    assert names(path.parent) == [path.name]


def test_an_existing_file_is_replaced_at_the_end_and_keeps_its_mode(path):
    path.write_bytes(b"old")
    path.chmod(0o640)
    with opened(str(path), fields(ARRAYS)) as sinks:
        sinks["pred"].put(ARRAYS["pred"], 0)
        assert path.read_bytes() == b"old"
    assert_holds(path, ARRAYS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_no_descriptor_stays_open_for_those_who_keep_sinks(path):
    write(path, ARRAYS)
    before = descriptors()
    with opened(str(path), fields(ARRAYS)) as kept:
        assert descriptors() > before
    assert descriptors() == before
    with pytest.raises(Stop) as caught:
        stopped_midway(path, Stop)
    assert descriptors() == before
    del kept, caught


def test_a_write_that_comes_too_late_hits_no_other_file(path):
    with pytest.raises(Stop), opened(str(path), fields(ARRAYS)) as sinks:
        raise Stop
    with (path.parent / "other").open("wb+"), pytest.raises(ValueError, match="given up"):
        sinks["pred"].put(ARRAYS["pred"], 0)
    assert names(path.parent) == ["other"]
    assert (path.parent / "other").read_bytes() == b""


def test_a_write_under_way_keeps_its_file(path, monkeypatch):
    before, begun, go_on, real = descriptors(), Event(), Event(), os.pwrite
    seen, threads = [], []

    def slow(descriptor, view, offset):
        begun.set()
        assert go_on.wait(60)
        seen.append(os.fstat(descriptor).st_nlink)
        return real(descriptor, view, offset)

    def interrupted():
        with opened(str(path), fields(ARRAYS)) as sinks:
            monkeypatch.setattr(os, "pwrite", slow)
            thread = Thread(target=sinks["pred"].put, args=(ARRAYS["pred"], 0))
            threads.append(thread)
            thread.start()
            assert begun.wait(60)
            raise Stop

    with pytest.raises(Stop):
        interrupted()
    go_on.set()
    threads[0].join()
    # The file has no name any more, and is gone now.
    assert seen == [0]
    assert descriptors() == before
    assert names(path.parent) == []


def test_a_full_disk_is_found_before_anything_is_computed(path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    before = descriptors()
    with pytest.raises(InputError, match=rf"{path.name}' could not be written: No space left") as caught:
        write(path, ARRAYS)
    assert names(path.parent) == []
    # Not even the error, which remembers all that was at hand, holds the space.
    assert descriptors() == before
    del caught


def test_a_file_system_that_reserves_nothing_is_written_all_the_same(path, monkeypatch):
    def unable(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unable)
    write(path, ARRAYS)
    assert_holds(path, ARRAYS)


def test_a_disk_that_fills_up_during_conversion_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for suffix in (".npz", ".csv", ".parquet"):
        with pytest.raises(InputError, match="No space left"), opened(str(tmp_path / f"g{suffix}"), fields(ARRAYS)):
            monkeypatch.setattr("lossctl.gradient.sinks.Place.read", full)
        assert names(tmp_path) == []


def test_temporary_numbers_stand_on_the_disk_of_the_target(tmp_path, monkeypatch):
    (tmp_path / "far").mkdir()
    (tmp_path / "link.npz").symlink_to("far/g.npz")
    asked, real = [], tempfile.TemporaryFile

    def spy(**options):
        asked.append(options["dir"])
        return real(**options)

    monkeypatch.setattr(tempfile, "TemporaryFile", spy)
    write(tmp_path / "link.npz", ARRAYS)
    assert [Path(one).resolve() for one in asked] == [(tmp_path / "far").resolve()]
    assert_holds(tmp_path / "far" / "g.npz", ARRAYS)


def test_a_missing_folder_is_named(path):
    with pytest.raises(InputError, match="there is no folder") as caught:
        write(path.parent / "no" / path.name, ARRAYS)
    assert "mkdir -p" in caught.value.hint
