"""What a file was when it was read: enough to tell, on another day or another machine, whether it is still the same."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossctl.files.temporary import BUFFER, explained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lossctl.files.stored import Stored

# Files of so many bytes together are hashed to the last byte. Each of many parts would otherwise read what all of them read.
WHOLE = 256 << 20
# Of more, so many stretches of so many bytes are, evenly spread with both ends; a request to a server takes longer.
STRETCH, STRETCHES, REMOTE = 64 << 10, 256, 16


@dataclass(frozen=True)
class Seen:
    """The size of one or several files in bytes, the SHA-256 of what was looked at, and whether that was everything.

    `modified` is when the last of them was written, in nanoseconds, where not everything was looked at and this is known.
    """

    size: int
    sha256: str
    whole: bool
    modified: int | None = None


def seen(files: Sequence[Stored]) -> Seen:
    """Look at files, as they lie there, in their order."""
    origins = [(one.temporary and one.temporary.origin) or one for one in files]
    size = sum(one.size for one in origins)
    remote = any(one.remote for one in origins)
    whole = size <= WHOLE and not remote
    digest = hashlib.sha256()
    for one in origins:
        spans = [(0, one.size)] if whole else _spread(one.size, (REMOTE if remote else STRETCHES) // len(origins))
        for start, stop in spans:
            stream = one.part(start, stop - start).stream()
            while piece := stream.read(BUFFER):
                digest.update(piece)
    return Seen(size, digest.hexdigest(), whole, None if whole else _modified(origins))


def _spread(size: int, count: int) -> list[tuple[int, int]]:
    """Stretches of a file: the first, the last, and others between them."""
    count = max(2, count)
    last = max(0, size - STRETCH)
    starts = sorted({last * number // (count - 1) for number in range(count)})
    return [(start, min(size, start + STRETCH)) for start in starts]


def _modified(files: Sequence[Stored]) -> int | None:
    times = []
    for one in files:
        if one.temporary:
            return None
        with explained(one.name):
            times.append(os.stat(one.path).st_mtime_ns)  # noqa: PTH116 - the path is text here
    return max(times, default=None)
