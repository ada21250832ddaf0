"""Archives of arrays: members in place or unpacked, and archives that lie."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest

PRED = np.arange(12.0).reshape(3, 4)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.fixture(params=[np.savez, np.savez_compressed])
def archive(folder, request):
    request.param(folder.path / "a.npz", pred=PRED, target=np.arange(3), names=np.array(["a", "b", "c"]))
    return folder


def test_members_are_keys_with_or_without_npy(archive):
    for text in ["a.npz:pred", "a.npz:pred.npy", "a.npz::pred", "a.npz"]:
        np.testing.assert_array_equal(archive.array(text), PRED)
    np.testing.assert_array_equal(archive.reader("a.npz:pred").read(1, 3, 1), PRED[:, 1:3])
    assert archive.array("a.npz:target").dtype == np.int64
    assert archive.said == ["a.npz: using array 'pred' as pred"]


def test_unknown_and_textual_members(archive):
    assert "Did you mean 'target'? Known arrays: names, pred, target." in archive.fault("a.npz:targte")
    assert "a.npz:names holds text" in archive.fault("a.npz:names")
    assert "and none is certain to be weight" in archive.fault("a.npz", "weight")


def test_one_member_needs_no_key_and_a_block_is_put_together(folder):
    np.savez(folder.path / "one.npz", anything=PRED, text=np.array("a"))
    np.testing.assert_array_equal(folder.array("one.npz"), PRED)
    np.savez(folder.path / "cols.npz", a=np.arange(3), b=np.ones(3), c=PRED)
    np.testing.assert_array_equal(folder.array("cols.npz:[ab]"), [[0, 1], [1, 1], [2, 1]])
    assert "'c' has shape (3, 4), but 'a' has (3,)" in folder.fault("cols.npz:*")


def test_empty_and_foreign_archives(folder):
    with zipfile.ZipFile(folder.path / "e.npz", "w") as file:
        file.writestr("readme.txt", "hello")
    assert "e.npz has no array of numbers to use as pred." in folder.fault("e.npz")
    with zipfile.ZipFile(folder.path / "f.npz", "w") as file:
        file.writestr("a.npy", "hello")
    assert "f.npz:a is not a readable .npy" in folder.fault("f.npz:a")


@pytest.mark.parametrize("damage", [slice(0, 100), slice(0, 0), slice(30, None)])
def test_damaged_archives(archive, damage):
    content = (archive.path / "a.npz").read_bytes()[damage]
    archive.write("b.npz", content)
    assert archive.fault("b.npz:pred").startswith("UnreadableFile: b.npz")


def test_a_flipped_bit_in_a_compressed_member(folder):
    with zipfile.ZipFile(folder.path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", npy(np.random.default_rng(0).normal(size=1000)))
    content = bytearray((folder.path / "a.npz").read_bytes())
    content[4000] ^= 255
    folder.write("a.npz", bytes(content))
    assert "a.npz:a is a damaged archive" in folder.fault("a.npz:a")


def lying(folder, claimed, content, method):
    """Write an archive whose directory claims another size than the member has."""
    with zipfile.ZipFile(folder.path / "l.npz", "w", method) as file:
        file.writestr("a.npy", content)
    data = bytearray((folder.path / "l.npz").read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", claimed)
    if method == zipfile.ZIP_STORED:
        data[entry + 20 : entry + 24] = struct.pack("<I", claimed)
    folder.write("l.npz", bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("claimed", [10, 200, 2_000_000_000])
def test_lying_sizes(folder, method, claimed):
    lying(folder, claimed, npy(np.zeros(100)), method)
    if method == zipfile.ZIP_DEFLATED and claimed > 1000:
        # The array's own header says how much is unpacked, so the directory's lie does no harm.
        assert folder.array("l.npz:a").shape == (100,)
    else:
        assert folder.fault("l.npz:a").startswith("UnreadableFile: l.npz")


def test_a_bomb_is_unpacked_no_further_than_its_header_claims(folder):
    with zipfile.ZipFile(folder.path / "b.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", npy(np.zeros(4)) + bytes(50_000_000))
    assert folder.array("b.npz:a").tolist() == [0, 0, 0, 0]


def test_a_claim_beyond_the_archive(folder):
    header = npy(np.zeros(1))[:-8].replace(b"(1,), ", b"(10**9", 1)
    short = npy(np.zeros(100))[:-8]
    for content in (header, short):
        with zipfile.ZipFile(folder.path / "c.npz", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.npy", content)
        folder.again()
        assert folder.fault("c.npz:a").startswith("UnreadableFile: c.npz:a")


RECORDS = np.array([(5, 1, [1, 2]), (6, 2, [3, 4]), (7, 3, [5, 6])], [("junk", "<i8"), ("pred", ">f4"), ("pair", "<f8", (2,))])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_records_are_as_many_arrays_as_they_have_fields(folder, save):
    save(folder.path / "r.npz", rec=RECORDS, plain=np.ones(3))
    np.testing.assert_array_equal(folder.array("r.npz:rec.pred"), [1, 2, 3])
    np.testing.assert_array_equal(folder.array("r.npz:rec.pair"), [[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(folder.array("r.npz:#4"), [1, 1, 1])
    np.testing.assert_array_equal(folder.array("r.npz:rec.[jp]*[kd]"), [[5, 1], [6, 2], [7, 3]])
    assert "'rec' is no single array; it holds 'rec.junk', 'rec.pred', 'rec.pair'" in folder.fault("r.npz:rec")
    assert "and none is certain to be pred" in folder.fault("r.npz")


def test_of_very_many_arrays_records_are_refused_when_they_are_named(folder, monkeypatch):
    monkeypatch.setattr("lossctl.sources.npz.LOOKED_THROUGH", 1)
    np.savez(folder.path / "r.npz", rec=RECORDS, plain=np.ones(3))
    assert "r.npz:rec holds records of 3 fields" in folder.fault("r.npz:rec")
    np.testing.assert_array_equal(folder.array("r.npz:plain"), [1, 1, 1])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("place", [0.3, 0.6, 0.999])
def test_a_flipped_bit_is_seen_by_its_checksum(folder, save, place):
    values = np.random.default_rng(0).normal(size=4000)
    save(folder.path / "a.npz", pred=values)
    with zipfile.ZipFile(folder.path / "a.npz") as file:
        size = file.infolist()[0].compress_size
    content = bytearray((folder.path / "a.npz").read_bytes())
    content[150 + int((size - 150) * place)] ^= 1
    folder.write("b.npz", bytes(content))
    np.testing.assert_array_equal(folder.array("a.npz:pred"), values)
    assert folder.fault("b.npz:pred").startswith("UnreadableFile: b.npz:pred is ")


def test_the_directory_is_read_as_often_whatever_the_number_of_arrays(folder, monkeypatch):
    opened = []
    monkeypatch.setattr("lossctl.sources.npz.Npz._zip", lambda self: opened.append(1) or zipfile.ZipFile(self.stored.stream()))
    for number in (3, 300):
        opened.clear()
        np.savez(folder.path / f"{number}.npz", **{f"a{i}": np.ones(2) for i in range(number)})
        assert len(folder.files.listed(f"{number}.npz")[0].listed) == number
        assert len(opened) == 1
