"""The formats: a suffix and what opens it. Adding one is one file and one row.

Behind the suffix of a format may stand that of a compression.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING

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

# What may stand behind that suffix: how a file is compressed.
COMPRESSIONS = ("gz", "zst", "bz2", "xz")


def plain_name(name: str) -> str:
    """A file's name without what says how it is compressed."""
    path = PurePath(name)
    return str(path.with_suffix("")) if path.suffix.lower().removeprefix(".") in COMPRESSIONS else name


def suffix_of(name: str) -> str:
    """The suffix that tells the format, in small letters: `csv` for `a/t.CSV.gz`, nothing for `t.gz`."""
    return PurePath(plain_name(name)).suffix.lower().removeprefix(".")
