"""Files that become whole or do not appear."""

import pytest

from lossctl.errors import InputError
from lossctl.sources.drafts import atomic


class Stop(Exception):
    """What no writer expects."""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def stopped_midway(path, fault):
    with atomic(str(path)) as file:
        file.write(b"half")
        file.flush()
        raise fault


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("fault", [Stop, KeyboardInterrupt])
def test_a_failure_midway_leaves_what_was_there(tmp_path, existing, fault):
    path = tmp_path / "r.npy"
    if existing:
        path.write_bytes(b"old")
    with pytest.raises(fault):
        stopped_midway(path, fault)
    assert names(tmp_path) == (["r.npy"] if existing else [])
    assert not existing or path.read_bytes() == b"old"


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path):
    path = tmp_path / "r.npy"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match=r"r\.npy' could not be written: No space left"):
        stopped_midway(path, OSError(28, "No space left on device"))
    assert names(tmp_path) == ["r.npy"]
    assert path.read_bytes() == b"old"


def test_a_draft_is_read_back_before_it_is_the_file(tmp_path):
    with atomic(str(tmp_path / "r.npy")) as file:
        file.write(b"whole")
        file.seek(1)
        assert file.read() == b"hole"
        assert "r.npy" not in names(tmp_path)
    assert (tmp_path / "r.npy").read_bytes() == b"whole"
