"""Addresses: SOURCE strings with `://`, which are read over a network.

Where the address ends and its key begins cannot be found out by looking, as it can for a file, so it is a rule:

1. Behind `::` stands a key, whatever the address is.
2. A query (`?token=a:b`, only of http and https) belongs to the address as a whole: behind one, a key needs `::`.
3. Otherwise a key stands behind the first colon of the path that follows a suffix of a known format or a slash:
   `s3://bucket/a.parquet:p`, `s3://bucket/preds/:p`, `https://host:8080/x.h5:group/p`.
4. Otherwise behind the last colon of the last part of the path, unless a known suffix ends it: `https://host/data:p`, but
   `s3://bucket/12:30.csv` has none. The colons of a scheme and of a port are never those of a key.

What is said of an address, in messages and results, leaves out what may be secret: name, password and query.

What argv and YAML both become: a request, before any file is opened or any name looked up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lossctl.sources.formats import COMPRESSIONS, ROWS, suffix_of

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


@dataclass(frozen=True)
class Given:
    """An input as it was given: a SOURCE string, or a value written in place."""

    text: str = ""
    value: Any = None

    @property
    def inline(self) -> bool:
        """Whether the value stands in the spec itself."""
        return self.value is not None
