"""SOURCE strings: PATH, PATH:KEY, PATH::KEY, `-`, a folder, a glob of paths, an address, or JSON numbers written in place.

Suffixes name formats: adding one is one file and one row of `ROWS`.

Where an address, with its `://`, ends and its key begins cannot be found out by looking, as it can for a file, so it is a rule:

1. Behind `::` stands a key, whatever the address is.
2. A query (`?token=a:b`, only of http and https) belongs to the address as a whole: behind one, a key needs `::`.
3. Otherwise a key stands behind the first colon of the path that follows a suffix of a known format or a slash:
   `s3://bucket/a.parquet:p`, `s3://bucket/preds/:p`, `https://host:8080/x.h5:group/p`.
4. Otherwise behind the last colon of the last part of the path, unless a known suffix ends it: `https://host/data:p`, but
   `s3://bucket/12:30.csv` has none. The colons of a scheme and of a port are never those of a key.

What is said of an address, in messages and results, leaves out what may be secret: name, password and query.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from lossctl.errors import MissingFile, UnknownKey, near
from lossctl.plugins import Plugins

ROWS: dict[str, Callable[[Any], Any] | str] = {
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
FORMATS: Plugins[Callable[[Any], Any]] = Plugins("file format", "lossctl.files", ROWS, lambda name: name.lower().lstrip("."))

# What may stand behind that suffix: how a file is compressed.
COMPRESSIONS = ("gz", "zst", "bz2", "xz")


def plain_name(name: str) -> str:
    """A file's name without what says how it is compressed."""
    path = PurePath(name)
    return str(path.with_suffix("")) if path.suffix.lower().removeprefix(".") in COMPRESSIONS else name


def suffix_of(name: str) -> str:
    """The suffix that tells the format, in small letters: `csv` for `a/t.CSV.gz`, nothing for `t.gz`."""
    return PurePath(plain_name(name)).suffix.lower().removeprefix(".")


ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/?#]*)(?P<path>.*)", re.DOTALL)
WEB = frozenset({"http", "https"})
# What stands before the @ is a container of the store.
CONTAINED = frozenset({"abfs", "abfss"})


def is_address(text: str) -> bool:
    """Whether a SOURCE is an address; `file://` is a way to write a path."""
    return scheme_of(text) not in {"", "file"}


def scheme_of(text: str) -> str:
    """The word before `://` in small letters; nothing if there is none."""
    address = ADDRESS.match(text)
    return address["scheme"].lower() if address else ""


def local(text: str) -> str:
    """The path that a SOURCE means by `file://`; any other as it is."""
    return text[len("file://") :].removeprefix("localhost") if scheme_of(text) == "file" else text


def split(text: str) -> tuple[str, str | None]:
    """Return an address and its key, by the rules above."""
    address = ADDRESS.match(text)
    if not address:
        return text, None
    begin = address.start("path")
    if (at := text.find("::", begin)) >= 0:
        return text[:at], text[at + 2 :]
    if address["scheme"].lower() in WEB and "?" in address["path"]:
        return text, None
    at = _colon(address["path"])
    return (text, None) if at < 0 else (text[: begin + at], text[begin + at + 1 :])


def _colon(path: str) -> int:
    """Where in the path of an address the key's colon stands; -1 for none."""
    colons = [colon.start() for colon in re.finditer(":", path)]
    sure = next((at for at in colons if path[:at].endswith("/") or _tells(path[:at])), -1)
    if sure >= 0 or _tells(path):
        return sure
    return path.rfind(":", path.rfind("/") + 1)


def _tells(path: str) -> bool:
    return suffix_of(path) in ROWS or path.lower().endswith(tuple(f".{suffix}" for suffix in COMPRESSIONS))


def shown(address: str) -> str:
    """The address without name, password, query and fragment: what may be said of it."""
    parts = ADDRESS.match(address)
    if not parts:
        return address
    scheme, host, path = parts["scheme"], parts["host"], parts["path"]
    if scheme.lower() not in CONTAINED:
        host = host.rpartition("@")[2]
    return f"{scheme}://{host}{re.split('[?#]', path, maxsplit=1)[0] if scheme.lower() in WEB else path}"


def shown_source(text: str) -> str:
    """A SOURCE that may be said: an address loses what may be secret, and keeps its key."""
    if not is_address(text):
        return text
    address, key = split(text)
    return shown(address) if key is None else text_of(shown(address), key)


def text_of(address: str, key: str) -> str:
    """The SOURCE for a key at an address: with one colon where that reads back as it was."""
    short = f"{address}:{key}"
    return short if split(short) == (address, key) else f"{address}::{key}"


class Given(NamedTuple):
    """An input as it was given: a SOURCE string, or a value that stands in the spec itself and is not None."""

    text: str = ""
    value: Any = None


STDIN = "-"
GLOB = frozenset("*?[")
POINT = re.compile(r"(?<!\d)\.(?=\d)")
ARRAY = re.compile(r"\[+\s*([-+.\d]|(?i:inf|nan)\b)")
# What is no finite number, as Python, NumPy, JSON and YAML write it.
NOT_FINITE = re.compile(r"(?<![\w.+-])(?P<sign>[-+]?)\.?(?:(?P<inf>inf(?:inity)?)|nan)(?![\w.])", re.IGNORECASE)
END_POINT = re.compile(r"(?<=\d)\.(?!\d)")


@dataclass(frozen=True, eq=False, repr=False)
class Source:
    """What a SOURCE string means: files, folders or addresses, or a `literal` where there is no file.

    `paths` are as typed, without the folder. `text` is what may be said: an address in it is without its secrets.
    """

    text: str
    paths: tuple[str, ...] = ()
    key: str | None = None
    literal: Any = None


def locate(text: str, folder: str = "") -> Source:
    """Find what a SOURCE means. Paths are relative to `folder`, and addresses to nothing.

    Raises: MissingFile with the nearest name, UnknownKey if nothing stands after the colon.
    """
    if is_address(text):
        address, key = split(text)
        return Source(shown_source(text), (address,), _given(key, shown_source(text), shown(address)))
    text = local(text)
    for path, key in _splits(text):
        paths = _paths(path, folder)
        if paths:
            return Source(text, paths, _given(key, text, path))
    literal = _literal(text)
    if literal is not None:
        return Source(text, literal=literal)
    raise _missing(text, folder)


def _given(key: str | None, text: str, path: str) -> str | None:
    if key == "":
        raise UnknownKey(f"Nothing stands after the colon of '{text}'.", hint=f"Write {path}:COLUMN, or {path} alone.")
    return key


def _splits(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield the ways to read `text`, the likeliest first: a whole path, PATH::KEY, PATH:KEY from the last colon on."""
    yield text, None
    if "::" in text:
        path, _, key = text.partition("::")
        yield path, key
    at = text.rfind(":")
    while at > 0:
        yield text[:at], text[at + 1 :]
        at = text.rfind(":", 0, at)


def _paths(path: str, folder: str) -> tuple[str, ...]:
    """Return the path if it exists, else what it matches as a glob, in name order; `**` goes through folders for files."""
    if path == STDIN or (path and exists(Path(folder, path))):
        return (path,)
    if not GLOB & set(path) or _literal(path) is not None:
        return ()
    from glob import glob

    matches = sorted(glob(path, root_dir=folder or None, recursive=True))  # noqa: PTH207 - pathlib takes no absolute pattern
    return tuple(match for match in matches if "**" not in path or not Path(folder, match).is_dir())


def exists(path: Path) -> bool:
    """Whether there is something at `path`; False for text that cannot be a path at all."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _literal(text: str) -> Any:
    """Return the JSON number or array that `text` is, else None; -inf and nan may be written as elsewhere."""
    if not text or not (text[0] in "[-+.0123456789" or NOT_FINITE.fullmatch(text)):
        return None
    import json

    # JSON wants a digit on both sides of the point, and people who write .5 for a parameter write it here.
    plain = END_POINT.sub(".0", POINT.sub("0.", text))
    plain = plain if '"' in plain else NOT_FINITE.sub(_in_json, plain)
    try:
        value = json.loads(plain)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, int | float | list) and not isinstance(value, bool) else None


def _in_json(word: re.Match[str]) -> str:
    return f"{word['sign'].strip('+')}Infinity" if word["inf"] else "NaN"


def _missing(text: str, folder: str) -> MissingFile:
    path = _likeliest(text)
    parent = Path(folder, path).parent
    if ARRAY.match(text):
        message = f"'{text}' is neither a file nor an array of numbers."
        return MissingFile(message, hint="An array is written as in JSON: '[[1, 2], [3, 4]]', with null for NaN.")
    if not exists(parent) and not GLOB & set(str(parent)):
        return MissingFile(f"There is no file '{path}': there is no folder '{parent}'.", hint="Check the path.")
    if GLOB & set(path):
        return MissingFile(f"No file matches '{path}'.", hint=f"See what is there: ls '{parent}'.")
    if Path(path).name in _beside(parent, Path.is_symlink):
        return MissingFile(f"'{path}' is a link that leads nowhere.", hint=f"See where it points: ls -l '{path}'.")
    return MissingFile(f"There is no file '{path}'.", hint=near(Path(path).name, _beside(parent), f"files in '{parent}'"))


def _likeliest(text: str) -> str:
    """Guess which part of a SOURCE was meant as the path: up to the first colon behind a suffix."""
    head, colon, _ = text.partition("::") if "::" in text else text.rpartition(":")
    return head if colon and Path(head).suffix else text


def _beside(parent: Path, kind: Callable[[Path], bool] = Path.is_file) -> list[str]:
    try:
        return [path.name for path in parent.iterdir() if kind(path) and not path.name.startswith(".")]
    except OSError:
        return []
