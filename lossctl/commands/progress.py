"""A progress bar on stderr, for a person who waits: only on a terminal, and only after a second."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 1.0


class Bar:
    """Counts what is done, and begins to show it once somebody has waited."""

    def __init__(self, total: int) -> None:
        """Begin to wait."""
        self.total, self.done, self.began = total, 0, time.monotonic()
        self.shown: Any = None

    def add(self, steps: int) -> None:
        """Count some more."""
        self.done += steps
        if self.shown is None and time.monotonic() - self.began > PATIENCE:
            self._show()
        if self.shown is not None:
            self.shown.update(self.shown.task_ids[0], completed=self.done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self.shown = Progress(console=Console(stderr=True), transient=True)
        self.shown.add_task("training", total=self.total)
        self.shown.start()

    def stop(self) -> None:
        """Take it off the screen."""
        if self.shown is not None:
            self.shown.stop()


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of steps that were done since."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    bar = Bar(total)
    try:
        yield bar.add
    finally:
        bar.stop()
