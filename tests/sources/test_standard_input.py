"""`-`: read once, kept, and recognised by its first bytes."""

from __future__ import annotations

import hashlib
import io
import sys

import numpy as np
import pytest

TABLE = b"pred\ttarget\n1\t2\n3\t4\n"


@pytest.fixture
def piped(folder, monkeypatch):
    def pipe(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        folder.again()
        return folder

    return pipe


def saved(save, **arrays):
    file = io.BytesIO()
    save(file, **arrays) if arrays else save(file, np.arange(3))
    return file.getvalue()


def test_one_pipe_serves_several_columns(piped):
    folder = piped(TABLE)
    assert folder.array("-:pred").tolist() == [1, 3]
    assert folder.array("-::target", "target").tolist() == [2, 4]
    assert folder.array("-").tolist() == [1, 3]
    assert folder.said == ["Standard input: using column 'pred' as pred"]
    reader = folder.reader("-:pred")
    assert reader.facts() == {"path": "-", "key": "pred", "sha256": hashlib.sha256(TABLE).hexdigest()}
    assert reader.place((1,)) == "line 3, column 'pred'"


def test_formats_are_recognised(piped):
    assert piped(saved(np.save)).array("-").tolist() == [0, 1, 2]
    for save in (np.savez, np.savez_compressed):
        assert piped(saved(save, a=np.arange(3))).array("-:a").tolist() == [0, 1, 2]
    assert piped(b"\n [1, 2]").array("-").tolist() == [1, 2]
    assert piped(b'{"a": {"b": [1]}}').array("-:a.b").tolist() == [1]
    assert piped(b"1\n2\n").array("-").tolist() == [1, 2]
    assert piped(b"a b\n1 2\n").array("-:b").tolist() == [2]
    assert piped(b"a;b\n1;2\n").array("-:b").tolist() == [2]


def test_in_format_overrides_the_content(piped, folder):
    folder.in_format = "yaml"
    assert piped(b"pred: [1, 2]\n").array("-:pred").tolist() == [1, 2]


def test_nothing_and_junk(piped):
    assert "Standard input is empty: it holds no byte." in piped(b"").fault("-")
    assert "Standard input is in no format" in piped(b"\xff\xfe\0\1junk").fault("-")
    assert "- is not a readable .npy" in piped(b"\x93NUMPY\x01").fault("-")
    assert "Standard input has no column 'zz'" in piped(TABLE).fault("-:zz")
