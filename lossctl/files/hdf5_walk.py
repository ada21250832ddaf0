"""All datasets of an HDF5 file under their paths, without leaving the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lossctl.errors import UnreadableFile
from lossctl.files.arrays import MOST_NAMES
from lossctl.files.values import DEEPEST

if TYPE_CHECKING:
    from collections.abc import Iterator


def walked(file: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield paths and datasets in the order of the file.

    Raises: UnreadableFile if links multiply beyond what anybody wants.
    """
    yield from _Walk(file, name).below(file, "", frozenset())


class _Walk:
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
            found = self._target(group, key, DEEPEST)
            if isinstance(found, h5py.Dataset):
                yield f"{prefix}{key}", found
            elif isinstance(found, h5py.Group):
                yield from self.below(found, f"{prefix}{key}/", above | {place})

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
