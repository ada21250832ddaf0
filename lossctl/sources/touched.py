"""The files that a run touches: those that it reads must stay as they are, and those that it writes must be others.

Every file of this machine that is opened to be read is noted with its device, inode, size and time, and compared with every
output that was asked for; the same figures are compared once more before anything is written or said. So no command has to
think of either. Outputs wait until a run has ended well, and then appear one after another.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from lossctl.errors import InputChanged, LossctlError, UsageError, WouldOverwrite

# What names a descriptor that is open already, and no file.
DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/(?:fd/(\d{1,6})|std(out|err))")
PASSED = "passed"


class Output(NamedTuple):
    """A file or folder to be written, and the option that asks for it."""

    flag: str
    path: str


class Pending(Protocol):
    """What is to be written once a run has ended well: `commit` does it, `drop` leaves no trace."""

    path: str

    def commit(self) -> None:
        """Let it appear."""

    def drop(self) -> None:
        """Let it vanish, unless it has appeared."""


@dataclass(eq=False, repr=False)
class Run:
    """What one run reads and writes."""

    outputs: list[Output] = field(default_factory=list)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    refused: WouldOverwrite | None = None
    there: dict[tuple[int, int], Output] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the outputs that are there already: only they can be inputs too."""
        for output in self.outputs:
            status = _status(output.path)
            if status is not None and stat.S_ISREG(status.st_mode):
                self.there[status.st_dev, status.st_ino] = output

    def refuse(self, path: str, status: os.stat_result) -> None:
        """Refuse an input that is also an output, however it is named or linked.

        Raises: WouldOverwrite.
        """
        output = self.there.get((status.st_dev, status.st_ino))
        if output is None or not stat.S_ISREG(status.st_mode):
            return
        alias = "" if os.path.normpath(output.path) == os.path.normpath(path) else f": it is {path}"
        message = f"{output.flag} {output.path} would write over an input{alias}."
        self.refused = WouldOverwrite(message, hint="Name another file.")
        raise self.refused

    def check_unchanged(self) -> None:
        """Refuse what was computed from files that are no longer what they were when they were opened.

        Raises: InputChanged.
        """
        for path, known in list(self.inputs.items()):
            if why := _difference(path, known):
                raise _changed(path, why)

    def finish(self, *, passed: bool, wanted: str) -> list[str]:
        """Let outputs appear; under `--output-if passed` not those of -o where a gate has not passed, which are returned.

        Raises: InputChanged, InputError; WouldOverwrite where somebody has passed over it.
        """
        if self.refused is not None:
            raise self.refused
        self.check_unchanged()
        kept_back = (
            {output.path for output in self.outputs if output.flag == "-o"} if wanted == PASSED and not passed else set()
        )
        left = []
        for item in self.pending:
            if item.path in kept_back:
                left.append(item.path)
            else:
                item.commit()
        return left


_runs: list[Run] = []


@contextmanager
def touching(outputs: Iterable[Output], words: Iterable[str] = ()) -> Iterator[Run]:
    """Note what is read until the block ends. `words` are what was typed besides, among it the names of inputs.

    Raises: WouldOverwrite, UsageError for outputs that are one file, InputChanged where that is why something else failed.
    """
    run = Run(list(outputs))
    _check_apart(run.outputs)
    for word in words if run.there else ():
        _refuse_word(run, word)
    _runs.append(run)
    try:
        yield run
    except Exception as error:
        # A file that changes under a run makes all sorts of errors, and its changing is what explains them.
        if not isinstance(error, InputChanged | UsageError):
            run.check_unchanged()
        raise
    finally:
        _runs.pop()
        for output in run.pending:
            output.drop()


def current() -> Run | None:
    """The run that is going on, if there is one."""
    return _runs[-1] if _runs else None


def reads(path: str, status: os.stat_result) -> None:
    """Note a file that is about to be read, with what the system says of it.

    Raises: WouldOverwrite where it is also an output, InputChanged where it is not what it was when it was read before.
    """
    run = current()
    if run is None or not stat.S_ISREG(status.st_mode):
        return
    run.refuse(path, status)
    known = run.inputs.setdefault(path, _identity(status))
    if known != _identity(status):
        raise _changed(path, _difference(path, known) or "it was written to")


def reads_later(path: str) -> None:
    """Note a file that will be read, if it is there, so that it is refused as an output before anything is computed.

    Raises: as `reads`.
    """
    status = _status(path)
    if status is not None:
        reads(path, status)


def reads_stream(stream: Any) -> None:
    """Refuse standard input that comes from an output, as in `lossctl … - -o a.npy < a.npy`.

    Raises: WouldOverwrite.
    """
    run = current()
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return
    if run is not None:
        run.refuse("standard input", status)


def read_whole(path: str) -> bytes:
    """Read a small file whole, and note it.

    Raises: OSError, for a device too; as `reads`.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - its descriptor says what is being read
        status = os.fstat(file.fileno())
        if stat.S_ISCHR(status.st_mode):
            # /dev/zero has no end.
            raise OSError(errno.EINVAL, "it is a device, not a file")
        reads(path, status)
        return file.read()


def refuse_overwriting(path: str) -> None:
    """Refuse to write over what has been read, whoever asks for it.

    Raises: WouldOverwrite.
    """
    run = current()
    status = _status(path)
    if run is None or status is None or not stat.S_ISREG(status.st_mode):
        return
    if any(known[:2] == (status.st_dev, status.st_ino) for known in run.inputs.values()):
        raise WouldOverwrite(f"{path} would be written over, and it is an input.", hint="Name another file.")


def later(pending: Pending) -> bool:
    """Keep something to be written until the run has ended well; False where there is no run."""
    run = current()
    if run is not None:
        run.pending.append(pending)
    return run is not None


def descriptor_of(path: str) -> int | None:
    """The descriptor that /dev/stdout, /dev/fd/3 and so on mean."""
    match = DESCRIPTOR.fullmatch(path)
    return (int(match[1]) if match[1] else {"out": 1, "err": 2}[match[2]]) if match else None


def _check_apart(outputs: list[Output]) -> None:
    """Refuse two outputs in one file.

    Raises: UsageError.
    """
    for number, one in enumerate(outputs):
        if descriptor_of(one.path) is not None:
            continue
        status = _status(one.path)
        if status is not None and stat.S_ISCHR(status.st_mode):
            continue
        for other in outputs[:number]:
            if _same(other.path, one.path, status):
                message = f"{other.flag} {other.path} and {one.flag} {one.path} would be one file."
                raise UsageError(message, hint="Name two files, or leave one of them out.")
        if status is not None and stat.S_ISREG(status.st_mode):
            _check_streams(one, status)


def _check_streams(output: Output, status: os.stat_result) -> None:
    """Refuse to write a file that stdout or stderr goes to already; a summary may be added to what is added to.

    Raises: UsageError.
    """
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        try:
            number = stream.fileno()
            same = os.path.samestat(os.fstat(number), status)
        except (OSError, ValueError, AttributeError):
            continue
        if same and not (output.flag == "--summary" and _appends(number)):
            message = f"{output.flag} {output.path} and {name} would be one file."
            raise UsageError(message, hint=f"Send {name} elsewhere, or leave {output.flag} out.")


def _appends(descriptor: int) -> bool:
    import fcntl

    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)


def _refuse_word(run: Run, word: str) -> None:
    """Refuse a word that names an output, by itself or as NAME=PATH, NAME=@PATH or PATH:KEY."""
    parts = [word, *(word[found.end() :] for found in re.finditer("[=@]", word))]
    for part in dict.fromkeys(parts):
        for end in [len(part), *(found.start() for found in re.finditer(":", part))]:
            status = _status(part[:end])
            if status is not None:
                run.refuse(part[:end], status)


def _same(output: str, path: str, status: os.stat_result | None) -> bool:
    """Whether an output and another file are one, however they are named or linked."""
    result = _status(output)
    if result is not None and status is not None:
        return os.path.samestat(result, status)
    return result is status and os.path.realpath(output) == os.path.realpath(path)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - a text may be no path
    except (OSError, ValueError):
        return None


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _difference(path: str, known: tuple[int, ...]) -> str:
    """How a file differs from what it was; empty where it does not."""
    status = _status(path)
    if status is None:
        return "it is no longer there"
    if (status.st_dev, status.st_ino) != known[:2]:
        return "another file has taken its place"
    if status.st_size != known[2]:
        return f"it had {known[2]} bytes, and has {status.st_size} now"
    return "" if _identity(status) == known else "it was written to"


def _changed(path: str, why: str) -> LossctlError:
    message = f"{path} changed while it was being read: {why}."
    return InputChanged(message, hint="Run again when nothing writes to it any more, or copy it first.")
