"""`python -m lossctl`, and the `lossctl` script, which is the same program."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line. Imports take most of a short run, and Ctrl-C in the middle of them is no traceback either."""
    try:
        from lossctl.program import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
