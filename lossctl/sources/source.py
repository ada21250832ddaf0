"""SOURCE strings: PATH, PATH:KEY, PATH::KEY, `-`, a folder, a glob of paths, an address, or JSON numbers written in place.

A folder means its data files, joined in name order like a glob: all files of the one known format that lie in it or in its
sub-folders, in the order of their paths; the names of sub-folders (`part=1/`) are no column. Left out is what begins with `.`
or `_`, files or folders, and what is in no known format (`.crc`, `.md`). With --in-format the suffix says nothing, and every
file counts but those that are left out by name. A folder with files of two formats is refused, because one of them is likely
not meant.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from lossctl.errors import InputError, MissingFile, UnknownKey, near
from lossctl.sources.address import WEB, is_address, local, scheme_of, shown, shown_source, split
from lossctl.sources.formats import FORMATS, ROWS, suffix_of
from lossctl.sources.stored import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

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
        message = f"Nothing stands after the colon of '{text}'."
        raise UnknownKey(message, hint=f"Write {path}:COLUMN, or {path} alone.")
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


# Somebody who names `/` should not wait for ever.
MOST = 200_000
MARKERS = (".crc",)


def expanded(source: Source, folder: str, in_format: str) -> Source:
    """Put the files of folders in their places, and what patterns match on object stores.

    Raises: MissingFile or InputError for a folder without data files, or with several formats.
    """
    paths = tuple(path for given in source.paths for path in _files(given, folder, in_format))
    return source if paths == source.paths else replace(source, paths=paths)


def _files(path: str, folder: str, in_format: str) -> Iterable[str]:
    if path == STDIN or scheme_of(path) in WEB:
        return (path,)
    if is_address(path):
        from lossctl.sources.remote import listing

        inner = listing(path)
        return inner if isinstance(inner, tuple) else data_files(path, inner, in_format)
    if not Path(folder, path).is_dir():
        return (path,)
    return data_files(path, _walk(path, folder), in_format)


def _walk(path: str, folder: str) -> Iterator[str]:
    """Yield every file below a local folder, as seen from it; links to other folders are not followed."""
    top = Path(folder, path)

    def refused(error: OSError) -> None:
        with explained(path):
            raise error

    for place, folders, names in os.walk(top, onerror=refused):
        folders[:] = [name for name in folders if _open(name)]
        inner = PurePath(place).relative_to(top)
        yield from (str(inner / name) for name in names)


def data_files(path: str, files: Iterable[str], in_format: str) -> tuple[str, ...]:
    """Return the paths of the data files among the `files` below the folder `path`, in order.

    Raises: MissingFile if there are none, InputError if they are of several formats or too many.
    """
    kept = sorted(inner for inner in islice(files, MOST) if _counts(inner))
    if len(kept) == MOST:
        message = f"The folder {shown(path)} holds {MOST} files or more."
        raise InputError(message, hint="Name fewer of them by a pattern.")
    formats: dict[str, list[str]] = {}
    known = () if in_format else frozenset(FORMATS.names())
    for inner in kept:
        suffix = suffix_of(inner)
        if in_format or suffix in known:
            formats.setdefault(in_format or str(ROWS.get(suffix, suffix)), []).append(inner)
    if not formats:
        raise _none(path, in_format)
    if len(formats) > 1:
        raise _mixed(path, formats)
    base = path if path.endswith("/") else f"{path}/"
    return tuple(f"{base.removeprefix('./')}{inner}" for inner in formats.popitem()[1])


def _open(name: str) -> bool:
    return not name.startswith((".", "_"))


def _counts(inner: str) -> bool:
    """Whether a file, by its path below the folder, may hold data."""
    return all(map(_open, PurePath(inner).parts)) and not inner.lower().endswith(MARKERS)


def _none(path: str, in_format: str) -> MissingFile:
    if in_format:
        return MissingFile(f"The folder {shown(path)} holds no file.", hint="Check the path.")
    message = f"The folder {shown(path)} holds no file of a format that lossctl knows."
    return MissingFile(message, hint="Name a file in it; or, where suffixes say nothing, the format: --in-format csv.")


def _mixed(path: str, formats: Mapping[str, list[str]]) -> InputError:
    """Name two formats, with a file of each."""
    where = shown(path).rstrip("/")
    first, second = (files[0] for files in sorted(formats.values())[:2])
    message = (
        f"The folder {where}/ holds files of several formats: {suffix_of(first)} ({first}) and {suffix_of(second)} ({second})."
    )
    hint = f"Name those that are meant by a pattern: '{where}/{_pattern(first)}' or '{where}/{_pattern(second)}'."
    return InputError(message, hint=hint)


def _pattern(inner: str) -> str:
    """What matches files like this one: `*.csv.gz`, below sub-folders too if it lies in one."""
    path = PurePath(inner)
    ending = path.suffix if path.suffix.lower() == f".{suffix_of(inner)}" else "".join(path.suffixes[-2:])
    return f"{'**/' * (len(path.parts) > 1)}*{ending}"
