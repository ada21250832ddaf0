"""Scalars out of TensorBoard's event files, by the package tensorboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lossctl.calls import unheard
from lossctl.diagnosis.history import Series
from lossctl.errors import MissingExtra, MissingFile, UnreadableFile
from lossctl.touched import reads_later

FILES = "*tfevents*"


def scalars(path: str) -> dict[str, Series]:
    """Return the scalars of an event file, or of all below a folder, where tags begin with the folder they lie in.

    Raises: MissingExtra without tensorboard; MissingFile for a folder without event files; UnreadableFile without scalars.
    """
    place = Path(path)
    files = [*place.rglob(FILES)] if place.is_dir() else [place]
    folders = sorted({file.parent for file in files}) if place.is_dir() else [place]
    if not folders:
        message = f"The folder {path} has no event files of TensorBoard."
        raise MissingFile(message, hint="Name a file of it, or a folder with files events.out.tfevents.*.")
    for file in files:
        reads_later(str(file))
    found = {_tag(place, folder, tag): series for folder in folders for tag, series in _read(folder).items()}
    if not found:
        message = f"{path} holds no scalars."
        raise UnreadableFile(message, hint="Log the loss with add_scalar, and close the writer.")
    return found


def _tag(place: Path, folder: Path, tag: str) -> str:
    """`validation/epoch_loss` for what lies in a folder of its own."""
    return tag if folder == place else f"{folder.relative_to(place).as_posix()}/{tag}"


def _read(path: Path) -> dict[str, Series]:
    with unheard():
        loaded = _accumulator()(str(path), size_guidance={"scalars": 0, "tensors": 0})
        loaded.Reload()
        tags = loaded.Tags()
        plain = {tag: [(event.step, event.value) for event in loaded.Scalars(tag)] for tag in tags["scalars"]}
        # The second writer of TensorFlow keeps scalars as tensors without axes.
        tensors = {tag: [(event.step, event.tensor_proto) for event in loaded.Tensors(tag)] for tag in tags["tensors"]}
    return {tag: _series(pairs) for tag, pairs in plain.items()} | {
        tag: _series(pairs) for tag, events in tensors.items() if (pairs := _numbers(events))
    }


def _numbers(events: list[tuple[int, Any]]) -> list[tuple[int, float]]:
    from tensorboard.util.tensor_util import make_ndarray  # noqa: PLC0415 - heavy

    arrays = [(step, make_ndarray(proto)) for step, proto in events]
    return [(step, float(array)) for step, array in arrays if array.ndim == 0 and array.dtype.kind in "fiu"]


def _series(pairs: list[tuple[int, float]]) -> Series:
    return Series(np.array([step for step, _ in pairs], np.float64), np.array([value for _, value in pairs], np.float64))


def _accumulator() -> Any:
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415 - heavy
    except ImportError as error:
        raise MissingExtra("tensorboard", "A history in event files", "'lossctl[tensorboard]'") from error
    return EventAccumulator
