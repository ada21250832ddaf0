"""Arrays of known shape into files, in ranges and from several threads. Files become whole or do not appear."""

from lossctl.sinks.formats import SUFFIXES, check, is_array, opened
from lossctl.sinks.sink import Field, MemorySink, Sink

__all__ = ["SUFFIXES", "Field", "MemorySink", "Sink", "check", "is_array", "opened"]
