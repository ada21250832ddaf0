"""HDF5, .h5 and .hdf5, by h5py: every dataset under its path `group/name`, fields of records as `table.field`.

Only the one file is read: external links are not followed, and datasets whose numbers lie in other files (external storage,
virtual datasets) are refused. Soft links are followed step by step, since one may lead through an external link; a group that
holds itself ends there. Attributes are not read. h5py's own lock lets one thread at a time into the HDF5 library.
"""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import MissingExtra, UnreadableFile
from lossctl.sources.container import Arrays
from lossctl.sources.readers import NumPyArray, Part, Shape, place
from lossctl.sources.values import DEEPEST, MOST_NAMES, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lossctl.sources.stored import Stored

# Datasets that are kept open, each with a cache of two chunks: a chunk is unpacked once, though many blocks lie in it.
KEPT = 8
LARGEST_CHUNK = 128 << 20
SLOTS = 521
# No filter packs numbers as densely as this; a dataset that claims more was made to fill memory.
DENSEST = 5000
SUSPICIOUS = 1 << 30
WRITE_AGAIN = "Write it again with h5py: file.create_dataset('name', data=array)."


@dataclass(frozen=True)
class H5Part:
    """A dataset, or one field of its records. It opens the file when it is read, and again in another process."""

    stored: Stored
    path: str
    shape: Shape
    dtype: np.dtype[Any]
    field: str = ""

    def read(self, start: int, stop: int, axis: int = 0) -> NumPyArray:
        """Return the range [start, stop) along `axis`; a 0-d array as it is."""
        with explained(self.stored.name):
            dataset = _opened(self.stored, self.path)[1]
            source = dataset.fields(self.field) if self.field else dataset
            where = (slice(None),) * axis + (slice(start, stop),)
            inside = axis < len(dataset.shape)
            array = np.asarray(source[where] if inside else source[()])
        # A field with a shape of its own has its axes after those of the dataset.
        array = array if inside or not self.shape else array[where]
        return array if self.dtype.kind == "U" else array.astype(self.dtype, copy=False)

    def place(self, index: tuple[int, ...]) -> str:
        """Return the index in brackets."""
        return place(index)


def open_h5(stored: Stored) -> Arrays:
    """Open an HDF5 file.

    Raises: UnreadableFile if it is damaged; MissingExtra without h5py.
    """
    try:
        import h5py  # noqa: F401 - said here rather than deep in a read
    except ImportError as error:
        raise MissingExtra("h5py", stored.name, "'lossctl[h5]'") from error
    with explained(stored.name), _file(stored) as file:
        members = [member for name, dataset in walked(file, stored.name) for member in _members(stored, name, dataset)]
    return Arrays(stored, members, WRITE_AGAIN)


def _file(stored: Stored) -> Any:
    import h5py

    if stored.temporary:
        # HDF5 wants to know the name of what it opens, and a temporary file has none.
        return h5py.File(stored.stream(), "r")
    return h5py.File(stored.openable, "r", locking="best-effort")


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what h5py raises about a damaged file into our error.

    Raises: UnreadableFile.
    """
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, AttributeError) as error:
        message = f"{name} is not a readable .h5: {reason(error)}."
        raise UnreadableFile(message, hint="Copy or write it again; h5dump shows how much of it can be read.") from error


def _opened(stored: Stored, path: str) -> Any:
    """Return the file and a dataset of it, opened once in each process as long as the file stays the same."""
    status = os.stat(stored.openable)  # noqa: PTH116 - a string that may be a descriptor's path
    return _kept(stored, path, (status.st_mtime_ns, status.st_size, status.st_ino, os.getpid()))


@lru_cache(KEPT)
def _kept(stored: Stored, path: str, version: tuple[int, ...]) -> Any:
    import h5py

    del version
    file = _file(stored)
    chunk = chunk_size(file[path])
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(SLOTS, max(1 << 20, 2 * chunk), 1.0)
    return file, h5py.Dataset(h5py.h5d.open(file.id, path.encode(), access))


def chunk_size(dataset: Any) -> int:
    """How many bytes are unpacked together; 0 where a dataset is not cut."""
    return math.prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0


def _members(stored: Stored, name: str, dataset: Any) -> Iterator[tuple[str, Part | UnreadableFile]]:
    """Yield a dataset, or the fields of its records, or why it cannot be read."""
    where = f"{stored.name}:{name}"
    try:
        with explained(where):
            fault, kind = _fault(dataset), dataset.dtype
    except UnreadableFile as error:
        yield name, error
        return
    if fault:
        yield name, UnreadableFile(f"{where} {fault}", hint=WRITE_AGAIN)
        return
    for field in kind.names or ("",):
        base, tail = (kind[field].base, kind[field].shape) if field else (kind, ())
        part = H5Part(stored, dataset.name, (*dataset.shape, *tail), _plain(base), field)
        yield f"{name}.{field}" if field else name, part


def _plain(kind: np.dtype[Any]) -> np.dtype[Any]:
    """The type as NumPy has it, without h5py's notes; texts of any length are U, and other objects nothing."""
    import h5py

    if h5py.check_string_dtype(kind) is not None and kind.kind == "O":
        return np.dtype("U")
    return np.dtype("V") if kind.kind == "O" else np.dtype(kind.newbyteorder("=").str)


def _fault(dataset: Any) -> str:
    """Why a dataset is not read; "" if it is."""
    if dataset.external or dataset.is_virtual:
        return "takes its numbers from other files, which are not opened."
    if dataset.shape is None:
        return "is empty: it has no shape."
    stored, claimed = dataset.id.get_storage_size(), dataset.nbytes
    if claimed and not stored:
        return "was created, but nothing was ever written to it."
    if claimed > max(SUSPICIOUS, DENSEST * stored):
        return f"claims {claimed} bytes, of which the file holds {stored}."
    if chunk_size(dataset) > LARGEST_CHUNK:
        return f"is stored in chunks of {chunk_size(dataset) >> 20} MiB; up to {LARGEST_CHUNK >> 20} MiB are read."
    return ""


def walked(file: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield paths and datasets in the order of the file.

    Raises: UnreadableFile if links multiply beyond what anybody wants.
    """
    yield from _DatasetWalk(file, name).below(file, "", frozenset())


class _DatasetWalk:
    def __init__(self, file: Any, name: str) -> None:
        self._file = file
        self._name = name
        self._left = MOST_NAMES

    def below(self, group: Any, prefix: str, above: frozenset[int]) -> Iterator[tuple[str, Any]]:
        """Yield what a group holds; one that is among those `above` it ends there."""
        import h5py

        place = h5py.h5o.get_info(group.id).addr
        if place in above:
            return
        if len(above) > DEEPEST:
            raise self._endless()
        for key in group:
            target = self._target(group, key, DEEPEST)
            if isinstance(target, h5py.Dataset):
                yield f"{prefix}{key}", target
            elif isinstance(target, h5py.Group):
                yield from self.below(target, f"{prefix}{key}/", above | {place})

    def _target(self, group: Any, key: str, hops: int) -> Any:
        """What a link leads to inside of the file; None where it leads out of it, or nowhere."""
        import h5py

        self._left -= 1
        if self._left < 0:
            raise self._endless()
        link = group.get(key, getlink=True) if isinstance(group, h5py.Group) else None
        if isinstance(link, h5py.SoftLink):
            return self._followed(group, link.path, hops - 1)
        return group[key] if isinstance(link, h5py.HardLink) else None

    def _followed(self, group: Any, path: str, hops: int) -> Any:
        here = self._file if path.startswith("/") else group
        for step in path.split("/"):
            if step and step != "." and here is not None:
                here = self._target(here, step, hops) if hops else None
        return here

    def _endless(self) -> UnreadableFile:
        message = f"{self._name} has more than {MOST_NAMES} links, or groups more than {DEEPEST} levels deep."
        return UnreadableFile(message, hint="Write what is wanted into a file of its own.")
