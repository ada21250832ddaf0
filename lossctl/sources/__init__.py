"""Arrays out of files, and nothing else: no file is executed, unpickled or guessed at."""
