"""Compressed files: unpacked by what they hold, whole or refused, and from there on like any other."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import pickle
import sys

import numpy as np
import pyarrow as pa
import pytest

from lossctl.sources import opening
from lossctl.sources.readers import whole

ROWS = b"pred,target\n1,2\n3,4\n"
PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
}
EVERY = pytest.mark.parametrize("suffix", PACKERS)


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@EVERY
def test_any_format_behind_any_compression(folder, suffix):
    pack = PACKERS[suffix]
    array = np.arange(6.0).reshape(3, 2)
    archive = io.BytesIO()
    np.savez_compressed(archive, a=array, b=array + 1)
    for name, content in {"a.npy": saved(array), "a.npz": archive.getvalue(), "t.csv": ROWS, "d.json": b"[1, 3]"}.items():
        folder.write(f"{name}.{suffix.upper()}", pack(content))
    end = suffix.upper()
    np.testing.assert_array_equal(folder.array(f"a.npy.{end}"), array)
    np.testing.assert_array_equal(folder.reader(f"a.npy.{end}").read(1, 2, 1), array[:, 1:])
    np.testing.assert_array_equal(folder.array(f"a.npz.{end}:b"), array + 1)
    assert folder.array(f"t.csv.{end}:pred").tolist() == [1, 3]
    assert folder.array(f"t.csv.{end}:target", "target").tolist() == [2, 4]
    assert folder.array(f"d.json.{end}").tolist() == [1, 3]


@EVERY
def test_members_that_follow_one_another_are_one(folder, suffix):
    pack = PACKERS[suffix]
    folder.write(f"t.csv.{suffix}", pack(ROWS) + pack(b"5,6\n") + pack(b"") + pack(b"7,8\n"))
    assert folder.array(f"t.csv.{suffix}:pred").tolist() == [1, 3, 5, 7]


@EVERY
def test_the_content_decides_where_the_name_does_not(folder, suffix, monkeypatch):
    pack = PACKERS[suffix]
    folder.write(f"pred.{suffix}", pack(saved(np.arange(3))))
    folder.write("table", pack(ROWS))
    folder.write("packed.npy", pack(saved(np.arange(4))))
    assert folder.array(f"pred.{suffix}").tolist() == [0, 1, 2]
    assert folder.array("table:pred").tolist() == [1, 3]
    assert folder.array("packed.npy").tolist() == [0, 1, 2, 3]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(ROWS))))
    reader = folder.reader("-:target")
    assert whole(reader).tolist() == [2, 4]
    assert reader.facts()["sha256"] == hashlib.sha256(pack(ROWS)).hexdigest()
    folder.in_format = "csv"
    folder.again()
    assert folder.array("table:pred").tolist() == [1, 3]
    folder.write(f"x.{suffix}", pack(ROWS))
    assert folder.array(f"x.{suffix}:pred").tolist() == [1, 3]


@EVERY
def test_hashes_are_those_of_the_files_as_they_lie_there(folder, suffix):
    files = [folder.write(f"{name}.csv.{suffix}", PACKERS[suffix](ROWS)) for name in "ab"]
    assert folder.reader(f"a.csv.{suffix}:pred").facts()["sha256"] == hashlib.sha256(files[0].read_bytes()).hexdigest()
    both = hashlib.sha256(b"".join(one.read_bytes() for one in files)).hexdigest()
    assert folder.reader(f"?.csv.{suffix}:pred").facts()["sha256"] == both


@EVERY
def test_every_cut_is_refused(folder, suffix):
    content = PACKERS[suffix](ROWS * 50)
    for length in (len(content) - 1, len(content) // 2, 14):
        folder.again()
        folder.write(f"t.csv.{suffix}", content[:length])
        fault = folder.fault(f"t.csv.{suffix}:pred")
        name = opening.PACKINGS[suffix].name
        assert fault.startswith(f"UnreadableFile: t.csv.{suffix}, compressed by {name}, is cut short"), fault


@EVERY
def test_damage_is_refused(folder, suffix):
    content = bytearray(PACKERS[suffix](np.random.default_rng(1).bytes(4000)))
    content[len(content) // 2] ^= 0xFF
    if suffix == "zst":
        # pyarrow writes no checksum, so only damage to the frame itself can be seen.
        content = PACKERS[suffix](ROWS) + b"garbage"
    folder.write(f"t.csv.{suffix}", bytes(content))
    assert "is damaged and cannot be unpacked" in folder.fault(f"t.csv.{suffix}:pred")


def test_names_that_promise_what_is_not_there(folder):
    folder.write("t.csv.gz", ROWS)
    assert folder.fault("t.csv.gz:pred") == (
        "UnreadableFile: t.csv.gz is not compressed by gzip, though its name says so: it begins with b'pred,targe'. "
        "Rename it, or copy it again."
    )
    folder.write("e.csv.gz", gzip.compress(b""))
    assert "e.csv.gz is empty" in folder.fault("e.csv.gz")
    folder.write("twice.npy.gz", gzip.compress(gzip.compress(saved(np.arange(3)))))
    assert folder.fault("twice.npy.gz").startswith("UnreadableFile: twice.npy.gz is not a readable .npy")


def test_text_that_begins_like_bzip2_is_text(folder):
    folder.write("t.csv", "BZhalf,b\n1,2\n")
    assert folder.array("t.csv:BZhalf").tolist() == [1]


def test_faults_name_the_file_as_it_was_typed(folder):
    folder.write("sub/t.csv.gz", gzip.compress(b"pred,target\n1,2\nx,4\n"))
    assert "sub/t.csv.gz, line 3, column 'pred'" in folder.fault("sub/t.csv.gz:pred")
    assert "sub/t.csv.gz has no column 'prd'. Did you mean 'pred'?" in folder.fault("sub/t.csv.gz:prd")


def test_zeros_between_streams_are_no_data(folder):
    folder.write("t.csv.xz", lzma.compress(ROWS) + bytes(8) + lzma.compress(b"5,6\n") + bytes(4))
    assert folder.array("t.csv.xz:pred").tolist() == [1, 3, 5]


def test_a_file_may_not_ask_for_gigabytes_of_memory(folder):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 3 << 29}]
    # What is packed here is small; the header asks for a window of 1.5 GB all the same.
    packer = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=[filters[0] | {"dict_size": 1 << 20}])
    content = bytearray(packer.compress(ROWS) + packer.flush())
    folder.write("t.csv.xz", wider(content))
    assert "t.csv.xz, compressed by xz, is damaged and cannot be unpacked: Memory usage limit" in folder.fault("t.csv.xz")


def wider(content):
    """Set the window in the header of the first block of an .xz to 1.5 GB, and the header's checksum to what it then is."""
    import zlib

    begin = 12
    size = (content[begin] + 1) * 4
    at = content.index(b"\x21\x01", begin) + 2
    content[at] = 37
    content[begin + size - 4 : begin + size] = zlib.crc32(content[begin : begin + size - 4]).to_bytes(4, "little")
    return bytes(content)


def test_a_bomb_stops_before_the_disk_is_full(folder, monkeypatch):
    folder.write("bomb.npy.gz", gzip.compress(bytes(1 << 24)))
    real, asked = os.fstatvfs, []

    def filling(descriptor):
        asked.append(os.fstat(descriptor).st_size)
        found = list(real(descriptor))
        found[4] = 0 if len(asked) > 3 else found[4]
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "fstatvfs", filling)
    fault = folder.fault("bomb.npy.gz")
    assert fault.startswith("UnreadableFile: The temporary copy of bomb.npy.gz does not fit: the folder for temporary files")
    assert "TMPDIR=" in fault
    assert asked[-1] <= 4 << 20


def test_parts_survive_the_way_to_another_process(folder):
    folder.write("a.npy.gz", gzip.compress(saved(np.arange(1000))))
    part = folder.reader("a.npy.gz").part
    content = pickle.dumps(part)
    assert len(content) < 2000
    again = pickle.loads(content)  # noqa: S301 - our own
    np.testing.assert_array_equal(again.read(10, 20), np.arange(10, 20))
    twice = pickle.loads(content)  # noqa: S301 - our own
    assert twice.stored.temporary is again.stored.temporary


def test_copies_of_pipes_say_that_they_stay(folder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(saved(np.arange(3)))))
    with pytest.raises(TypeError, match="cannot leave the process"):
        pickle.dumps(folder.reader("-").part)


def test_memory_is_bounded(folder):
    import tracemalloc

    folder.write("zeros.npy.gz", gzip.compress(saved(np.zeros(6_000_000))))
    folder.write("zeros.npy.xz", lzma.compress(saved(np.zeros(6_000_000)), preset=0))
    for name in ("zeros.npy.gz", "zeros.npy.xz"):
        tracemalloc.start()
        assert folder.reader(name).shape == (6_000_000,)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12 << 20, (name, peak)
