"""What torch.save writes: structure, strides, types, and files that attack."""

from __future__ import annotations

import io
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from lossctl.errors import InputError
from lossctl.sources.readers import whole
from lossctl.sources.torched import Strided

GRID = torch.arange(24.0).reshape(2, 3, 4)


@pytest.fixture(params=[True, False], ids=["archive", "before 1.6"])
def saved(folder, request):
    def save(value, name="a.pt"):
        torch.save(value, folder.path / name, _use_new_zipfile_serialization=request.param)
        folder.again()
        return folder

    return save


def test_one_tensor_takes_no_key(saved):
    assert saved(GRID).array("a.pt").tolist() == GRID.tolist()
    assert "this file of torch holds one array and takes no key" in saved(GRID).fault("a.pt:x")
    assert saved(torch.tensor(3), "b.pth").array("b.pth").tolist() == 3


def test_names_of_nested_structures(saved):
    value = {"a": {"b": GRID, 7: torch.ones(2)}, "preds": [torch.zeros(3), (GRID[0],)], "n": [1, 2.5], "x": 3, "none": None}
    folder = saved(value | {"ids": ["u", "v"]})
    (found,) = folder.files.listed("a.pt")
    assert found.container.names == ["a.b", "a.7", "preds.0", "preds.1.0", "n", "x", "ids"]
    assert folder.array("a.pt:preds.1.0").tolist() == GRID[0].tolist()
    assert folder.array("a.pt:n").tolist() == [1, 2.5]
    assert folder.array("a.pt:x").tolist() == 3
    assert found.container.all_texts(6) == ["u", "v"]
    assert "a.pt:ids holds text" in folder.fault("a.pt:ids")


VIEWS = {
    "whole": GRID,
    "from the middle": GRID[1:],
    "transposed": GRID.permute(2, 1, 0),
    "channels last": GRID.permute(0, 2, 1),
    "every other": GRID[:, ::2, 1::2],
    "one axis fixed": GRID[:, 1],
    "stretched": GRID[:, :1].expand(2, 5, 4),
    "axes of one": GRID[:1, 1:2].transpose(0, 1),
    "empty": GRID[:, :0],
    "parameter": torch.nn.Parameter(GRID[0]),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_any_strides(saved, view):
    folder = saved({"first": torch.ones(1000), "pred": view})
    reader, expected = folder.reader("a.pt:pred"), view.detach().numpy()
    assert (reader.shape, reader.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(whole(reader), expected)
    for axis, size in enumerate(expected.shape):
        for start, stop in [(0, 1), (min(1, size), size), (size, size)]:
            found = reader.read(start, stop, axis)
            np.testing.assert_array_equal(found, expected[(slice(None),) * axis + (slice(start, stop),)])
            assert found.dtype == expected.dtype


def test_only_strides_without_order_need_a_mapping(folder):
    torch.save([VIEWS["transposed"], VIEWS["one axis fixed"], VIEWS["axes of one"]], folder.path / "a.pt")
    parts = [folder.reader(f"a.pt:{number}").part.part for number in range(3)]
    assert [isinstance(part, Strided) for part in parts] == [False, True, False]


@pytest.mark.parametrize("name", ["bool", "uint8", "int8", "int64", "float16", "float64", "bfloat16"])
def test_every_type(saved, name):
    check_type(saved, name)


@pytest.mark.parametrize("name", ["uint16", "uint64", "float8_e4m3fn", "float8_e5m2"])
def test_every_type_that_only_archives_hold(folder, name):
    check_type(lambda value: torch.save(value, folder.path / "a.pt") or folder, name)


def check_type(save, name):
    tensor = (GRID % 3).to(getattr(torch, name))
    folder = save([tensor, tensor[:, ::2]])
    wide = torch.float32 if name.startswith(("bf", "float8")) else tensor.dtype
    for number, one in enumerate([tensor, tensor[:, ::2]]):
        reader = folder.reader(f"a.pt:{number}")
        assert reader.dtype == one.to(wide).numpy().dtype
        np.testing.assert_array_equal(whole(reader), one.to(wide).numpy())


def test_kinds_that_are_not_read_leave_the_others_alone(saved):
    folder = saved({"sparse": GRID.to_sparse(), "complex": torch.ones(2) * 1j, "set": {1}, "pred": GRID})
    assert "a.pt:sparse holds a tensor of a kind that lossctl does not read (sparse_coo, float32)" in folder.fault(
        "a.pt:sparse"
    )
    assert "a.pt:complex holds complex numbers" in folder.fault("a.pt:complex")
    assert "a.pt:set holds {1}" in folder.fault("a.pt:set")
    assert folder.array("a.pt").shape == (2, 3, 4)


@pytest.mark.filterwarnings("ignore")
def test_quantized_tensors_are_refused(folder):
    torch.save(torch.quantize_per_tensor(GRID, 0.1, 0, torch.quint8), folder.path / "a.pt")
    assert "a quantized or nested tensor" in folder.fault("a.pt")


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_objects_are_never_unpickled(saved, monkeypatch):
    folder = saved({"pred": GRID, "bomb": Bomb()})
    monkeypatch.chdir(folder.path)
    assert "lossctl never unpickles what could run code. Save tensors, and dicts and lists of them" in folder.fault("a.pt:pred")
    folder.write("p.pt", pickle.dumps(Bomb()))
    assert "lossctl never unpickles" in folder.fault("p.pt")
    assert "lossctl never unpickles" in saved(torch.nn.Linear(2, 2)).fault("a.pt")
    assert not Path("exploded").exists()


def rewritten(folder, change, method=zipfile.ZIP_STORED):
    """Write the archive of a tensor again, with other records."""
    content = io.BytesIO()
    torch.save({"pred": GRID}, content)
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(folder.path / "a.pt", "w", method) as new:
        for member in old.infolist():
            name = member.filename.partition("/")[2]
            # torch finds records in any case of letters.
            new.writestr(f"archive/{'ByteOrder' if name == 'byteorder' else name}", change(name, old.read(member)))
    return folder.fault("a.pt:pred")


def test_archives_that_lie(folder):
    assert "is compressed or cut short" in rewritten(folder, lambda _, content: content, zipfile.ZIP_DEFLATED)
    folder.again()
    assert "another byte order" in rewritten(folder, lambda name, content: b"big" if name == "byteorder" else content)
    folder.again()
    fault = rewritten(folder, lambda name, content: content[:50] if name == "data/0" else content)
    assert "claims a tensor of 96 bytes that it does not hold" in fault


def test_junk_is_an_error(folder):
    for number, content in enumerate([b"hello", b"PK\x03\x04" + b"x" * 100, b"", b"\x80\x02", b"\x80\x02." * 9]):
        folder.write(f"{number}.pt", content)
        assert folder.fault(f"{number}.pt").startswith(f"UnreadableFile: {number}.pt")


def test_no_damage_is_more_than_an_error(folder):
    content = io.BytesIO()
    torch.save({"pred": GRID, "n": 3}, content)
    draws, good = np.random.default_rng(0), content.getvalue()
    for _ in range(300):
        damaged = bytearray(good)
        damaged[draws.integers(len(good))] = draws.integers(256)
        folder.write("a.pt", bytes(damaged[: draws.integers(len(good))] if draws.random() < 0.3 else damaged))
        folder.again()
        with suppress(InputError):
            folder.array("a.pt:pred")


def test_a_small_pickle_cannot_claim_many_arrays(saved):
    laughs = [torch.zeros(1)] * 10
    for _ in range(30):
        laughs = [laughs] * 10
    assert "holds more than 100000 arrays" in saved(laughs).fault("a.pt")


def test_old_files_have_a_limit(folder, monkeypatch):
    monkeypatch.setattr("lossctl.sources.torched.LARGEST", 100)
    torch.save(GRID, folder.path / "a.pt", _use_new_zipfile_serialization=False)
    assert folder.fault("a.pt").startswith("TooLarge: a.pt has 0.0 GiB in the format before torch 1.6")


def test_a_pipe_and_a_pickle(folder):
    torch.save({"pred": GRID[:, ::2]}, folder.path / "a.pt")
    reader = pickle.loads(pickle.dumps(folder.reader("a.pt")))  # noqa: S301 - our own
    np.testing.assert_array_equal(reader.read(1, 2), GRID[1:2, ::2].numpy())
    assert reader.place((0, 1, 2)) == "[0, 1, 2]"


@pytest.mark.parametrize("view", [lambda t: t, lambda t: t.reshape(40, 50).T, lambda t: t[::2], lambda t: t.bfloat16()])
@pytest.mark.parametrize("checksums", [True, False])
def test_a_flipped_bit_is_seen_by_its_checksum(folder, view, checksums):
    tensor = view(torch.arange(2000.0, dtype=torch.float64))
    torch.serialization.set_crc32_options(checksums)
    try:
        torch.save({"pred": tensor}, folder.path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    np.testing.assert_array_equal(folder.array("a.pt:pred"), tensor.double().numpy())
    with zipfile.ZipFile(folder.path / "a.pt") as file:
        begin = next(member.header_offset for member in file.infolist() if member.filename.endswith("data/0"))
    content = bytearray((folder.path / "a.pt").read_bytes())
    content[begin + 3000] ^= 1
    folder.write("b.pt", bytes(content))
    if checksums:
        assert "UnreadableFile: b.pt is damaged: its bytes have the checksum" in folder.fault("b.pt:pred")
    else:
        assert folder.array("b.pt:pred").shape == tensor.shape


@pytest.mark.parametrize("make", [torch.Tensor.storage, torch.Tensor.untyped_storage])
@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_a_bare_storage_is_refused(saved, make):
    folder = saved(make(torch.arange(4.0)))
    fault = folder.fault("a.pt")
    # torch itself does not read an untyped one of its old format.
    assert "holds a bare storage of torch" in fault or "a.pt is no readable file of torch" in fault
    if make is torch.Tensor.storage:
        folder = saved({"a": make(torch.arange(4.0)), "pred": torch.ones(2)})
        assert folder.array("a.pt:pred").tolist() == [1, 1]
