"""What systems are called: as little of their sources as tells them apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def names(systems: Sequence[str]) -> list[str]:
    """Return a name for each source: the key or the file's stem, else the file's name with the key, else all of it."""
    for short in (_stem, _last, str):
        found = [short(system) for system in systems]
        if len(set(found)) == len(found):
            return found
    return list(systems)


def _stem(system: str) -> str:
    path, key = _parts(system)
    return key or (path if path.startswith("[") else Path(path).stem)


def _last(system: str) -> str:
    path, key = _parts(system)
    name = path if path.startswith("[") else Path(path).name
    return f"{name}:{key}" if key else name


def _parts(system: str) -> tuple[str, str]:
    """The path and the key behind it; what stands in place and addresses have none."""
    path, _, key = system.rpartition(":")
    if not path or "/" in key or system.startswith("["):
        return system, ""
    return path.removesuffix(":"), key
