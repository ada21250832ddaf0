"""The formats that arrays are written in, by suffix.

Two are written in place. The others need the numbers in an order of their own: they are kept in an unnamed file beside the
target, and converted piece by piece when all are there.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lossctl.drafts import atomic
from lossctl.errors import UsageError
from lossctl.sinks import csv, npz, parquet, tables
from lossctl.sinks.heads import npy_head, safetensors_head
from lossctl.sinks.stored import stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lossctl.sinks.sink import Field, Sink
    from lossctl.sinks.stored import StoredSink


@dataclass(frozen=True)
class Format:
    """One format: the `head` that fields written in place follow, or what converts them. `most` limits their number."""

    head: Callable[[Sequence[Field]], bytes] | None = None
    convert: Callable[[BinaryIO, tables.Spooled], None] | None = None
    tabular: bool = False
    most: int | None = None


SUFFIXES = {
    ".npy": Format(head=npy_head, most=1),
    ".npz": Format(convert=npz.write),
    ".csv": Format(convert=csv.write, tabular=True),
    ".parquet": Format(convert=parquet.write, tabular=True),
    ".safetensors": Format(head=safetensors_head),
}


def is_array(path: str) -> bool:
    """Whether the suffix of `path` stands for a format that arrays are written in."""
    return Path(path).suffix.lower() in SUFFIXES


def check(path: str, fields: Sequence[Field], ids: Sequence[str] | None = None, id_name: str = "id") -> None:
    """Refuse what the format of `path` cannot hold, which is worth asking before computing.

    Raises: UsageError for an unknown suffix, several arrays in an .npy, or arrays that make no table; ShapeMismatch where
    `ids` are not one for each row of a table; MissingExtra for tables without pyarrow.
    """
    chosen = _format(path)
    if chosen.most is not None and len(fields) > chosen.most:
        message = f"'{path}' holds one array, and {len(fields)} are to be written: {', '.join(field.name for field in fields)}."
        raise UsageError(message, hint=f"Write -o '{Path(path).with_suffix('.npz')}', which holds several.")
    if chosen.tabular:
        tables.check(path, fields, ids, id_name)


def _format(path: str) -> Format:
    if not is_array(path):
        message = f"'{path}' does not end in a suffix that arrays are written under."
        raise UsageError(message, hint=f"Known suffixes: {', '.join(SUFFIXES)}.")
    return SUFFIXES[Path(path).suffix.lower()]


@contextmanager
def opened(
    path: str, fields: Sequence[Field], ids: Sequence[str] | None = None, id_name: str = "id"
) -> Iterator[dict[str, Sink]]:
    """Yield a sink for each field, by name. `path` becomes the whole file when the block ends well, else stays as it was.

    `ids` are the first column of a table, named `id_name`; other formats do not hold them.

    Raises: what `check` raises; InputError where the folder is missing, or the file cannot be written.
    """
    check(path, fields, ids, id_name)
    chosen = _format(path)
    with atomic(path) as file:
        if chosen.head:
            with _laid(file, fields, chosen.head(fields)) as sinks:
                yield _named(sinks)
        if chosen.convert:
            with _spool(file) as spool, _laid(spool, fields) as sinks:
                yield _named(sinks)
                chosen.convert(file, tables.Spooled(sinks, ids, id_name))


@contextmanager
def _laid(file: BinaryIO, fields: Sequence[Field], head: bytes = b"") -> Iterator[list[StoredSink]]:
    sinks = stored(file, fields, head)
    try:
        yield sinks
    finally:
        for sink in sinks:
            sink.place.close()


@contextmanager
def _spool(file: BinaryIO) -> Iterator[BinaryIO]:
    """A file without a name on the disk that `file` is on, since a folder for temporary files may be small."""
    import tempfile

    # What goes to a pipe has no name, and is a temporary file itself.
    folder = Path(file.name).parent if isinstance(file.name, str) else None
    with tempfile.TemporaryFile(dir=folder) as spool:
        yield spool


def _named(sinks: Sequence[StoredSink]) -> dict[str, Sink]:
    return {sink.field.name: sink for sink in sinks}
