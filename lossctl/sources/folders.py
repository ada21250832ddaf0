"""What a folder means: its data files, joined in name order like a glob.

These are all files of the one known format that lie in it or in its sub-folders, in the order of their paths; the names of
sub-folders (`part=1/`) are no column. Left out is what begins with `.` or `_`, files or folders, and what is in no known format
(`.crc`, `.md`). With --in-format the suffix says nothing, and every file counts but those that are left out by name. A folder
with files of two formats is refused, because one of them is likely not meant.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePath

from lossctl.errors import InputError, MissingFile
from lossctl.sources.source import FORMATS, ROWS, STDIN, WEB, Source, is_address, scheme_of, shown, suffix_of
from lossctl.sources.stored import explained

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
        raise InputError(f"The folder {shown(path)} holds {MOST} files or more.", hint="Name fewer of them by a pattern.")
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
