"""Arrays out of files, and nothing else: no file is executed, unpickled or guessed at."""

from lossctl.files.files import Files

__all__ = ["Files"]
