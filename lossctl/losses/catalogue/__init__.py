"""The losses, a family a file. A file that is put here is found; no list has to be told."""
