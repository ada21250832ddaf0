"""Who watches a run: whatever takes long says how much there is and how much is done, and nobody has to listen."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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


_watching: list[Watch] = [Nobody()]


def watch() -> Watch:
    """The one that watches now."""
    return _watching[-1]


@contextmanager
def watched_by(one: Watch) -> Iterator[None]:
    """Let `one` watch until the block ends."""
    _watching.append(one)
    try:
        yield
    finally:
        _watching.pop()


@contextmanager
def long_pass(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A pass of `total` steps with passes of its own inside, of which nobody is told; yields what counts its steps."""
    outer = watch()
    outer.begin(what, total)
    with watched_by(Nobody()):
        yield outer.step
