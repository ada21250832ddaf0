"""Who watches a run: whatever takes long says how much there is and how much is done, and nobody has to listen.

A progress bar on stderr, for a person who waits: only on a terminal, and only for what takes longer than a second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Protocol


class Watch(Protocol):
    """Is told of passes over data and of bytes that are read. Calls come from several threads."""

    def begin(self, what: str, total: int, *, of_bytes: bool = False) -> None:
        """A pass of `total` steps begins, which may be the bytes that are read; the one before it is over."""

    def step(self, steps: int = 1) -> None:
        """Some steps of the pass are done."""

    def read(self, size: int) -> None:
        """So many bytes were read."""


class Nobody:
    """Does not listen."""

    def begin(self, what: str, total: int, *, of_bytes: bool = False) -> None:
        """Ignore it."""

    def step(self, steps: int = 1) -> None:
        """Ignore it."""

    def read(self, size: int) -> None:
        """Ignore it."""


NOBODY = Nobody()
# Those that watch; the last one is told.
WATCHING: list[Watch] = []


def watch() -> Watch:
    """The one that watches now."""
    return WATCHING[-1] if WATCHING else NOBODY


@contextmanager
def watched_by(one: Watch) -> Iterator[None]:
    """Let `one` watch until the block ends."""
    WATCHING.append(one)
    try:
        yield
    finally:
        WATCHING.pop()


@contextmanager
def long_pass(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A pass of `total` steps with passes of its own inside, of which nobody is told; yields what counts its steps."""
    outer = watch()
    outer.begin(what, total)
    with watched_by(NOBODY):
        yield outer.step


PATIENCE = 1.0
UNITS = ("B", "kB", "MB", "GB", "TB")
STEP = 1000.0


class Bar:
    """Counts what is done, and begins to show it once somebody has waited."""

    def __init__(self) -> None:
        """Begin to wait."""
        self.what, self.total, self.done, self.of_bytes = "", 0, 0, False
        self.size, self.since = 0, time.monotonic()
        self.shown: Any = None
        self.lock = Lock()

    def begin(self, what: str, total: int, *, of_bytes: bool = False) -> None:
        """Another pass begins."""
        with self.lock:
            self.what, self.total, self.done, self.of_bytes = what, total, 0, of_bytes
            self.size, self.since = 0, time.monotonic()
            if self.shown is not None:
                self.shown.reset(self.shown.task_ids[0], description=what, total=total, rate="")

    def step(self, steps: int = 1) -> None:
        """Count some more."""
        with self.lock:
            self.done += steps
            if self.shown is None and time.monotonic() - self.since > PATIENCE:
                self._show()
            if self.shown is not None:
                self.shown.update(self.shown.task_ids[0], completed=self.done, rate=self._rate())

    def read(self, size: int) -> None:
        """Count bytes."""
        with self.lock:
            self.size += size
        if self.of_bytes:
            self.step(size)

    def _rate(self) -> str:
        taken = time.monotonic() - self.since
        return f"{amount(self.size / taken)}/s" if self.size and taken > 0 else ""

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}")]
        self.shown = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
        self.shown.add_task(self.what, total=self.total, rate="")
        self.shown.start()

    def stop(self) -> None:
        """Take it off the screen."""
        if self.shown is not None:
            self.shown.stop()


def amount(size: float) -> str:
    """A number of bytes as one reads it: `3.2 GB`."""
    for unit in UNITS[:-1]:
        if size < STEP:
            return f"{size:.3g} {unit}"
        size /= STEP
    return f"{size:.3g} {UNITS[-1]}"


@contextmanager
def progress(*, quiet: bool) -> Iterator[None]:
    """Show how far a run is, unless nobody can see it."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    bar = Bar()
    try:
        with watched_by(bar):
            yield
    finally:
        bar.stop()
