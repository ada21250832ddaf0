"""Files that become whole or do not appear: written under another name in the same folder, then renamed.

While a command runs they wait for its end. A process that is told to end takes its drafts with it.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, cast

from lossctl.errors import InputError
from lossctl.sources.touched import descriptor_of, later, refuse_overwriting

BUFFER = 1 << 20
# What systems and their schedulers send to a process that is to end.
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU") if hasattr(signal, name))


@contextmanager
def atomic(path: str) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes `path` when the block ends well, and leaves no trace when it does not.

    The file can be read back. An existing one keeps its mode, and its owner where the system allows that; a link keeps pointing
    where it points, and a new file gets the mode of the umask. A pipe or a device is written to once all is there. Within a run
    of a command, `path` appears when the run has ended well.

    Raises: InputError where the folder is missing, or the file cannot be written; WouldOverwrite for an input.
    """
    with _explained(path):
        target = _target(path)
        refuse_overwriting(path)
        made = Through(path) if target is None else Draft(path, target)
        try:
            with made.opened() as file:
                yield file
        except BaseException:
            made.drop()
            raise
        if not later(made):
            made.commit()


def check_target(path: str, *, added: bool = False) -> None:
    """Refuse, before anything is computed, what could not be written in the end; `added` is for a file that is added to.

    Raises: InputError.
    """
    with _explained(path):
        target = _target(path)
        if target is None:
            return
        place = target if added and target.exists() else target.parent
        if not os.access(place, os.W_OK if place == target else os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"'{path}' could not be written: {error.strerror or error}."
        raise InputError(message, hint="Check the folder's permissions and the space that is left.") from error


def _target(path: str) -> Path | None:
    """The file that is meant, behind all links; None for a pipe, a device, or a descriptor that is open already.

    Raises: InputError, OSError.
    """
    if descriptor_of(path) is not None:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116 - follows links, and says why it cannot
    except FileNotFoundError:
        status = None
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            raise
        why = "it is a link that leads back to itself" if isinstance(error, OSError) else str(error)
        raise InputError(f"{path!r} could not be written: {why}.", hint="Name another file.") from error
    if status is not None and (stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode)):
        return None
    target = Path(path).resolve()
    if not target.parent.is_dir():
        folder = Path(path).parent if not Path(path).is_symlink() else target.parent
        raise InputError(f"'{path}' could not be written: there is no folder '{folder}'.", hint=f"Run: mkdir -p '{folder}'")
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise InputError(f"'{path}' could not be written: it is no ordinary file.", hint="Name a file, new or to be replaced.")
    return target


@dataclass(eq=False)
class Draft:
    """A file under another name beside the `target` that it is to become."""

    path: str
    target: Path
    draft: Path = Path()

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Make the draft."""
        self.draft = self.target.with_name(f".lossctl-{os.urandom(6).hex()}.tmp")
        _drafts.add(self.draft)
        # What others may not read they may not read before it is whole either.
        mode = self.target.stat().st_mode & 0o666 if self.target.exists() else 0o666
        with open(self.draft, "x+b", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            yield file

    def commit(self) -> None:
        """Put it in its place.

        Raises: InputError, WouldOverwrite.
        """
        try:
            with _explained(self.path):
                refuse_overwriting(self.path)
                if self.target.exists():
                    _alike(self.draft, self.target.stat())
                self.draft.replace(self.target)
        finally:
            self.drop()

    def drop(self) -> None:
        """Remove it."""
        with suppress(OSError):
            self.draft.unlink(missing_ok=True)
        _drafts.discard(self.draft)


def _alike(draft: Path, status: os.stat_result) -> None:
    """Give a draft the owner, group and mode of the file that it replaces, as far as the system allows."""
    mine = draft.stat()
    for owner, group in ((status.st_uid, status.st_gid), (-1, status.st_gid)):
        if (mine.st_uid, mine.st_gid) == (status.st_uid, status.st_gid):
            break
        with suppress(OSError):
            os.chown(draft, owner, group)
            break
    draft.chmod(status.st_mode & 0o777)


class Through:
    """A pipe, a device or an open descriptor: what is meant for it is kept in an unnamed file until all of it is there."""

    def __init__(self, path: str) -> None:
        """Begin with nothing."""
        self.path = path
        self._kept: Any = None

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Make the unnamed file."""
        import tempfile

        # Closed by `drop`: it is read once the block has ended.
        self._kept = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - see above
        yield cast("BinaryIO", self._kept)
        self._kept.flush()

    def commit(self) -> None:
        """Write it.

        Raises: InputError.
        """
        try:
            with _explained(self.path), _sink(self.path) as sink:
                self._kept.seek(0)
                while piece := self._kept.read(BUFFER):
                    sink.write(piece)
        finally:
            self.drop()

    def drop(self) -> None:
        """Forget it."""
        if self._kept is not None:
            self._kept.close()


def _sink(path: str) -> BinaryIO:
    number = descriptor_of(path)
    return open(path if number is None else os.dup(number), "wb")  # noqa: PTH123 - a path or a number


class _Drafts:
    """The drafts that lie on the disk. While there are any, signals that end the process remove them first."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._owner = 0
        self._before: dict[int, Any] = {}

    def add(self, path: Path) -> None:
        self._owner = os.getpid()
        for number in ENDING if not self._paths else ():
            # Whoever started us may have made us deaf to one, and only the main thread may listen.
            if signal.getsignal(number) is signal.SIG_DFL:
                with suppress(ValueError):
                    self._before[number] = signal.signal(number, self._ended)
        self._paths.add(path)

    def discard(self, path: Path) -> None:
        self._paths.discard(path)
        while self._before and not self._paths:
            number, before = self._before.popitem()
            with suppress(ValueError):
                signal.signal(number, before)

    def remove(self) -> None:
        """Remove all of them from the disk, where this is the process that made them."""
        for path in list(self._paths) if os.getpid() == self._owner else ():
            with suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path)
                path.unlink(missing_ok=True)

    def _ended(self, number: int, _: FrameType | None) -> None:
        """Remove all drafts, and end as the signal ends a process that does not listen."""
        self.remove()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


_drafts = _Drafts()


@contextmanager
def draft_folder() -> Iterator[str]:
    """Yield a temporary folder, which goes when the block ends, or the process."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="lossctl-") as folder:
        _drafts.add(Path(folder))
        try:
            yield folder
        finally:
            _drafts.discard(Path(folder))


def remove_drafts() -> None:
    """Leave no draft behind: the process ends on the spot."""
    _drafts.remove()
