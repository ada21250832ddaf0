"""The formats: a suffix and what opens it. Adding one is one file and one row.

Behind the suffix of a format may stand that of a compression.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING

from lossctl.plugins import Plugins

if TYPE_CHECKING:
    from lossctl.sources.container import Container
    from lossctl.sources.stored import Stored

Opener = Callable[["Stored"], "Container"]

ROWS: dict[str, Opener | str] = {
    "npy": "lossctl.sources.npy:open_npy",
    "npz": "lossctl.sources.npz:open_npz",
    "csv": "lossctl.sources.table:open_csv",
    "tsv": "lossctl.sources.table:open_tsv",
    "txt": "lossctl.sources.table:open_txt",
    "json": "lossctl.sources.tree:open_json",
    "jsonl": "lossctl.sources.jsonl:open_jsonl",
    "ndjson": "lossctl.sources.jsonl:open_jsonl",
    "yaml": "lossctl.sources.tree:open_yaml",
    "yml": "lossctl.sources.tree:open_yaml",
    "parquet": "lossctl.sources.parquet:open_parquet",
    "arrow": "lossctl.sources.arrow:open_arrow",
    "feather": "lossctl.sources.arrow:open_arrow",
    "ipc": "lossctl.sources.arrow:open_arrow",
    "arrows": "lossctl.sources.arrow:open_arrow",
    "safetensors": "lossctl.sources.safetensors:open_safetensors",
    "pt": "lossctl.sources.torched:open_pt",
    "pth": "lossctl.sources.torched:open_pt",
    "h5": "lossctl.sources.hdf5:open_h5",
    "hdf5": "lossctl.sources.hdf5:open_h5",
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
