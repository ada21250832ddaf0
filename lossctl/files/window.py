"""The raw side of `Stored.stream`: a seekable view of bytes that are read at any place."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossctl.files.stored import Stored


class Window(io.RawIOBase):
    """Reads from where it stands; it holds nothing open."""

    def __init__(self, stored: Stored) -> None:
        """Stand at the first byte."""
        self._stored = stored
        self._at = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Stand elsewhere; behind the end nothing is read.

        Raises: OSError for a place before the first byte.
        """
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._stored.size}[whence]
        if base + offset < 0:
            raise OSError(22, "negative seek position")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read some bytes into `buffer` and say how many; 0 at the end."""
        got = self._stored.some(memoryview(buffer).cast("B"), self._at)
        self._at += got
        return got
