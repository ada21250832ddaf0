"""Folders to read from."""

from __future__ import annotations

import pytest
from folders_of_files import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(params=["small", "large"])
def table(request, tmp_path, monkeypatch):
    """A folder whose text tables are all read the small way, or all the large way in pieces of a few lines."""
    if request.param == "large":
        monkeypatch.setattr("lossctl.sources.table.LARGE", -1)
        monkeypatch.setattr("lossctl.sources.bulk.PIECE", 64)
        monkeypatch.setattr("lossctl.sources.spool.KEPT", 256)
    return Folder(tmp_path)
