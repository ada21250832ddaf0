"""Random arrays of the first example are slow to start on a busy machine: no test here depends on time."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
