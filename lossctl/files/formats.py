"""The formats: a suffix and what opens it. Adding one is one file and one row.

Behind the suffix of a format may stand that of a compression. A file whose suffix says nothing, and standard input, are
recognised by their first bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lossctl.errors import UnknownName, UnreadableFile
from lossctl.files.compressed import suffix_of
from lossctl.plugins import Plugins

if TYPE_CHECKING:
    from lossctl.files.container import Container
    from lossctl.files.stored import Stored

Opener = Callable[["Stored"], "Container"]

ROWS: dict[str, Opener | str] = {
    "npy": "lossctl.files.npy:open_npy",
    "npz": "lossctl.files.npz:open_npz",
    "csv": "lossctl.files.table:open_csv",
    "tsv": "lossctl.files.table:open_tsv",
    "txt": "lossctl.files.table:open_txt",
    "json": "lossctl.files.tree:open_json",
    "jsonl": "lossctl.files.jsonl:open_jsonl",
    "ndjson": "lossctl.files.jsonl:open_jsonl",
    "yaml": "lossctl.files.tree:open_yaml",
    "yml": "lossctl.files.tree:open_yaml",
    "parquet": "lossctl.files.parquet:open_parquet",
    "arrow": "lossctl.files.arrow:open_arrow",
    "feather": "lossctl.files.arrow:open_arrow",
    "ipc": "lossctl.files.arrow:open_arrow",
    "arrows": "lossctl.files.arrow:open_arrow",
    "safetensors": "lossctl.files.safetensors:open_safetensors",
    "pt": "lossctl.files.torched:open_pt",
    "pth": "lossctl.files.torched:open_pt",
    "h5": "lossctl.files.hdf5:open_h5",
    "hdf5": "lossctl.files.hdf5:open_h5",
}
FORMATS: Plugins[Opener] = Plugins("file format", "lossctl.files", lambda: ROWS, lambda name: name.lower().lstrip("."))

# Enough to see past the white space before a JSON document.
HEAD = 4096
# And to see past the first of many lines of JSON.
LINE = 1 << 16
MAGIC = {b"\x93NUMPY": "npy", b"\x89HDF\r\n\x1a\n": "h5", b"PK\x03\x04": "npz", b"PK\x05\x06": "npz"}
MAGIC |= {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow"}


def opener(stored: Stored, in_format: str) -> Opener:
    """Return what opens a file: by `in_format`, else by its suffix, else by its first bytes.

    Raises: UnknownName for a format that is not in the table, UnreadableFile if nothing recognises the file.
    """
    if in_format:
        return FORMATS.get(in_format)
    suffix = suffix_of(stored.name)
    if suffix in ROWS:
        return FORMATS.get(suffix)
    try:
        return FORMATS.get(suffix) if suffix else _by_content(stored)
    except UnknownName:
        return _by_content(stored)


def _by_content(stored: Stored) -> Opener:
    head = stored.head(HEAD)
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return FORMATS.get(name)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"[", b"{"}:
        return FORMATS.get("jsonl" if _of_lines(stored) else "json")
    if b"\0" in head or _binary(head):
        what = "Standard input" if stored.name == "-" else stored.name
        message = f"{what} is in no format that lossctl knows: it begins with {head[:8]!r}."
        known = ", ".join(FORMATS.names())
        raise UnreadableFile(message, hint=f"Known formats: {known}. If it is one of them, name it with --in-format.")
    from lossctl.files.table import open_unknown

    return open_unknown


def _of_lines(stored: Stored) -> bool:
    """Whether the first line is a whole JSON value, and another one follows it."""
    import json

    first, _, rest = stored.head(LINE).lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return bool(rest.strip())


def _binary(head: bytes) -> bool:
    """Whether the first bytes are no UTF-8 text; a character may be cut off at the end."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start < len(head) - 3
    return False
