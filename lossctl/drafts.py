"""Files that become whole or do not appear: written under another name in the same folder, then renamed."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lossctl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic(path: str) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes `path` when the block ends well, and leaves no trace when it does not.

    The file can be read back. An existing one keeps its mode, a link keeps pointing where it points, and a new file gets
    the mode of the umask.
    Raises: InputError where the folder is missing, or the file cannot be written.
    """
    with _explained(path):
        target = _target(path)
        draft = target.with_name(f".lossctl-{os.urandom(6).hex()}.tmp")
        try:
            with draft.open("x+b") as file:
                yield file
            if target.exists():
                draft.chmod(target.stat().st_mode & 0o777)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"'{path}' could not be written: {error.strerror or error}."
        raise InputError(message, hint="Check the folder's permissions and the space that is left.") from error


def _target(path: str) -> Path:
    target = Path(path).resolve()
    if not target.parent.is_dir():
        message = f"'{path}' could not be written: there is no folder '{Path(path).parent}'."
        raise InputError(message, hint=f"Run: mkdir -p '{Path(path).parent}'")
    if target.exists() and not target.is_file():
        message = f"'{path}' could not be written: it is no ordinary file."
        raise InputError(message, hint="Name a file, new or to be replaced.")
    return target
