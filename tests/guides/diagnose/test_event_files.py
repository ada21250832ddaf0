"""Histories in TensorBoard's event files."""

import sys
import warnings
from contextlib import suppress

import numpy as np
import pytest

from lossctl.errors import MissingExtra, MissingFile, UnknownKey, UnreadableFile
from lossctl.guides.diagnose.history import scalars
from lossctl.guides.diagnose.reading import WantedColumns as Wanted
from lossctl.guides.diagnose.reading import read


def write(folder, scalars):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard import SummaryWriter
    with SummaryWriter(str(folder)) as writer:
        for tag, pairs in scalars.items():
            for step, value in pairs:
                writer.add_scalar(tag, value, step)
    return folder


LOSS = [(1, 3.0), (2, 2.0), (3, 1.5)]


def pairs(series):
    return list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


def test_a_folder_and_a_file(tmp_path):
    write(tmp_path, {"train/loss": LOSS, "val/loss": [(2, 2.5)], "lr": [(1, 0.5)]})
    (file,) = tmp_path.iterdir()
    for path in (tmp_path, file):
        found = read(str(path), Wanted())
        assert pairs(found.loss) == LOSS
        assert pairs(found.val) == [(2, 2.5)]
        assert pairs(found.lr) == [(1, 0.5)]
        assert found.columns == {"loss": "train/loss", "val": "val/loss", "lr": "lr"}


def test_folders_below_name_their_tags(tmp_path):
    write(tmp_path / "train", {"epoch_loss": LOSS})
    write(tmp_path / "validation", {"epoch_loss": [(1, 4.0)]})
    found = read(str(tmp_path), Wanted())
    assert pairs(found.loss) == LOSS
    assert pairs(found.val) == [(1, 4.0)]


def test_scalars_that_are_kept_as_tensors(tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(tmp_path))
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    for step, value in LOSS:
        entry = Summary.Value(tag="loss", tensor=make_tensor_proto(value), metadata=metadata)
        writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=[entry])))
    writer.close()
    assert pairs(read(str(tmp_path), Wanted()).loss) == LOSS


def test_tags_by_name_and_unknown_ones(tmp_path):
    write(tmp_path, {"mine": LOSS, "other": LOSS})
    assert pairs(read(str(tmp_path), Wanted({"loss": "mine"})).loss) == LOSS
    with pytest.raises(UnknownKey) as caught:
        read(str(tmp_path), Wanted())
    assert "Its columns are: mine, other." in caught.value.hint


def test_what_holds_no_events(tmp_path):
    with pytest.raises(MissingFile, match="no event files"):
        read(str(tmp_path), Wanted())
    (tmp_path / "events.out.tfevents.1").write_bytes(b"")
    with pytest.raises(UnreadableFile, match="no scalars"):
        read(str(tmp_path), Wanted())


def test_without_tensorboard(tmp_path, monkeypatch):
    (tmp_path / "events.out.tfevents.1").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_accumulator", None)
    with pytest.raises(MissingExtra) as caught:
        read(str(tmp_path), Wanted())
    assert "lossctl[tensorboard]" in caught.value.hint


@pytest.mark.parametrize("change", ["flip", "insert", "delete", "cut"])
def test_a_damaged_record_is_said_and_a_cut_end_is_not(tmp_path, change):
    write(tmp_path, {"loss": [(step, 1 / (step + 1)) for step in range(20)]})
    (file,) = tmp_path.iterdir()
    good = file.read_bytes()
    assert scalars(str(file))["loss"].values.size == 20
    for at in range(60, len(good) - 1, 37):
        changed = bytearray(good)
        if change == "flip":
            changed[at] ^= 4
        elif change == "insert":
            changed[at:at] = b"\x01"
        elif change == "delete":
            del changed[at : at + 3]
        else:
            changed = changed[:at]
        file.write_bytes(bytes(changed))
        with suppress(UnreadableFile):
            found = scalars(str(file))["loss"].values
            # Only what stands at the end may be missing, and nothing may be another number.
            assert change == "cut" or at > len(good) - 60
            np.testing.assert_array_equal(found, np.float32(1 / np.arange(1, found.size + 1)))
