"""Questions in the terminal: arrow keys where it has them, numbers where not.

Everything is written to stderr, since stdout carries the result. Ctrl-C ends the program as anywhere else.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lossctl.recommendation.answering import as_flag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.recommendation.models import Question

UP, DOWN, ENTER = "up", "down", "enter"
KEYS = {b"\x1b[A": UP, b"\x1bOA": UP, b"k": UP, b"\x1b[B": DOWN, b"\x1bOB": DOWN, b"j": DOWN, b"\r": ENTER, b"\n": ENTER}
# Cursor to the start of the line N lines up; clear from the cursor on.
LINES_UP, CLEAR = "\x1b[{}F", "\x1b[J"
# Lines that a question needs besides its answers.
AROUND = 2


def asked_in_terminal() -> bool:
    """Whether there is somebody to ask: stdin, stdout and stderr are terminals."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def ask(question: Question) -> str:
    """Ask one question, and echo the answer as the flag that repeats it."""
    words = list(question.words)
    chosen = words[_chosen(question, words)]
    _write(f"{question.ask} {chosen}  ({as_flag(question.id, chosen)})\n")
    return chosen


def _chosen(question: Question, words: Sequence[str]) -> int:
    start = words.index(question.default) if question.default in words else 0
    rows = shutil.get_terminal_size().lines
    if os.environ.get("TERM", "dumb") == "dumb" or len(words) + AROUND > rows:
        return _by_number(question, words, start)
    try:
        with _keys() as descriptor:
            return _by_arrows(question, words, start, descriptor)
    except ImportError:
        return _by_number(question, words, start)


@contextmanager
def _keys() -> Iterator[int]:
    """Keys one by one and without an echo, for as long as this lasts.

    Raises: ImportError where the system has no such terminals.
    """
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        # Keys that were typed ahead are not thrown away, as they would be by default.
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _by_arrows(question: Question, words: Sequence[str], at: int, descriptor: int) -> int:
    lines = len(words) + 1
    _draw(question, words, at)
    try:
        while (key := _key(descriptor)) != ENTER:
            at = (at + {UP: -1, DOWN: 1}.get(key, 0)) % len(words)
            _write(LINES_UP.format(lines))
            _draw(question, words, at)
    finally:
        _write(LINES_UP.format(lines) + CLEAR)
    return at


def _key(descriptor: int) -> str:
    """Wait for a key. The end of the input counts as Ctrl-C.

    Raises: KeyboardInterrupt.
    """
    read = os.read(descriptor, 8)
    if read in {b"", b"\x04"}:
        raise KeyboardInterrupt
    return KEYS.get(read, "")


def _draw(question: Question, words: Sequence[str], at: int) -> None:
    width = shutil.get_terminal_size().columns - 1
    lines = [question.ask]
    lines += [f"{'>' if place == at else ' '} {word}: {question.words[word]}" for place, word in enumerate(words)]
    _write("".join(f"{line[:width]}\x1b[K\n" for line in lines))


def _by_number(question: Question, words: Sequence[str], start: int) -> int:
    """Let Rich ask for a number."""
    from rich.console import Console
    from rich.prompt import IntPrompt

    _write("".join(f"{number}. {word}: {question.words[word]}\n" for number, word in enumerate(words, 1)))
    choices = [str(number) for number in range(1, len(words) + 1)]
    console = Console(stderr=True)
    try:
        return IntPrompt.ask(question.ask, console=console, choices=choices, show_choices=False, default=start + 1) - 1
    except EOFError:
        raise KeyboardInterrupt from None


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
