"""`python -m lossctl`, and the `lossctl` script, which is the same program."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from types import FrameType
from typing import Any

INTERRUPTED = 130


class _Interrupts:
    """What Ctrl-C does: it raises KeyboardInterrupt once. After that, and once all is said, the program ends on the spot.

    Python alone would show a traceback where it comes too late to be caught, as while threads or modules are ended, and exit 0.
    """

    def __init__(self) -> None:
        self.ending = self.told = False

    def heard(self, _: int, __: FrameType | None) -> None:
        if self.ending:
            _leave()
        self.ending = self.told = True
        raise KeyboardInterrupt

    def ignored(self, what: Any) -> None:
        """An exception that nobody can catch, as in a finalizer. If it is Ctrl-C, it has to end the program all the same."""
        if issubclass(what.exc_type, KeyboardInterrupt):
            _leave()
        sys.__unraisablehook__(what)


def _leave() -> None:
    drafts = sys.modules.get("lossctl.sources.drafts")
    if drafts is not None:
        drafts.remove_drafts()
    os._exit(INTERRUPTED)


def main() -> None:
    """Run the command line. Imports take most of a short run, and Ctrl-C in the middle of them is no traceback either."""
    interrupts = _Interrupts()
    try:
        # A shell starts what runs in the background deaf to Ctrl-C.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # The first that is registered runs last: when nothing of Python answers any more, the system does.
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)
            sys.unraisablehook = interrupts.ignored
            signal.signal(signal.SIGINT, interrupts.heard)
        try:
            from lossctl.cli.program import main as run

            run()
        finally:
            interrupts.ending = True
            if interrupts.told:
                # Also where somebody's library has caught it, and gone on.
                sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
