"""Arrays in .safetensors: types, ranges, small floats, and headers that lie."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lossctl.errors import InputError
from lossctl.sources.readers import whole

GRID = np.arange(24).reshape(2, 3, 4)
NAMED = {"BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8"}
NAMED |= {"U64": "<u8", "F16": "<f2", "F32": "<f4", "F64": "<f8"}


def packed(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(("word", "dtype"), NAMED.items())
def test_every_type_comes_back(folder, word, dtype):
    array = (GRID % 2).astype(dtype)
    header = {"__metadata__": {"format": "np"}, "a.b": entry(word, [2, 3, 4], 0, array.nbytes)}
    folder.write("a.safetensors", packed(header, array.tobytes()))
    reader = folder.reader("a.safetensors:a.b")
    assert (reader.shape, reader.dtype) == ((2, 3, 4), np.dtype(dtype))
    np.testing.assert_array_equal(whole(reader), array)
    for axis in range(3):
        np.testing.assert_array_equal(reader.read(1, 2, axis), array[(slice(None),) * axis + (slice(1, 2),)])


def test_what_the_library_writes(folder):
    from safetensors.numpy import save_file

    save_file(
        {"pred": GRID.astype("f4"), "target": GRID, "one": np.array(3.0), "none": np.ones((0, 2))},
        folder.path / "a.safetensors",
    )
    assert folder.array("a.safetensors").tolist() == GRID.tolist()
    assert folder.said == ["a.safetensors: using array 'pred' as pred"]
    assert folder.array("a.safetensors:one").tolist() == 3.0
    assert folder.reader("a.safetensors:none").shape == (0, 2)
    assert "Did you mean 'target'? Known arrays: none, one, pred, target." in folder.fault("a.safetensors:targte")


def test_what_grad_writes_is_read(folder):
    from lossctl.gradient.sinks import Field
    from lossctl.gradient.writing import opened

    with opened(str(folder.path / "g.safetensors"), [Field("pred", (5,), np.dtype("f4"))]) as sinks:
        sinks["pred"].put(np.arange(5, dtype="f4"), 0)
    assert folder.array("g.safetensors").tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("word", "name"), [("BF16", "bfloat16"), ("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2")])
def test_every_small_float_has_the_value_that_torch_gives_it(folder, word, name):
    import torch

    bits = np.arange(1 << 16, dtype="<u2") if word == "BF16" else np.arange(256, dtype="u1")
    folder.write("a.safetensors", packed({"a": entry(word, [len(bits)], 0, bits.nbytes)}, bits.tobytes()))
    reader = folder.reader("a.safetensors")
    expected = torch.from_numpy(bits.copy()).view(getattr(torch, name)).float().numpy()
    assert reader.dtype == np.float32
    np.testing.assert_array_equal(reader.read(0, len(bits)), expected)
    np.testing.assert_array_equal(np.signbit(whole(reader)), np.signbit(expected))
    assert reader.place((3,)) == "[3]"


def test_a_small_float_of_no_axes(folder):
    folder.write("a.safetensors", packed({"a": entry("BF16", [], 0, 2)}, b"\x80\x3f"))
    assert folder.array("a.safetensors").tolist() == 1.0


@pytest.mark.parametrize(
    ("word", "said"), [("C64", "holds complex numbers (complex64)"), ("F4", "holds numbers of the type 'F4'")]
)
def test_types_that_are_not_read(folder, word, said):
    header = {"a": entry(word, [1], 0, 8), "b": entry("F32", [1], 8, 12)}
    folder.write("a.safetensors", packed(header, bytes(12)))
    assert said in folder.fault("a.safetensors:a")
    assert folder.array("a.safetensors").tolist() == [0]
    (found,) = folder.files.listed("a.safetensors")
    assert [bool(one.why) for one in found.listed] == [True, False]


LIES = {
    "empty": (b"", "holds no byte"),
    "short": (b"\1\0\0", "its header claims"),
    "huge header": (b"\xff" * 8 + b"{}", "its header claims 18446744073709551615 bytes, and the file has 10"),
    "no JSON": (packed(b"{"), "its header is no JSON"),
    "no UTF-8": (packed(b'{"\xe9": 1}'), "its header is no JSON"),
    "too deep": (packed(b"[" * 100_000), "its header is no JSON"),
    "no object": (packed(b"[]"), "its header is no JSON object"),
    "doubled name": (packed(b'{"a": {}, "a": {}}'), "the key 'a' occurs twice"),
    "no entry": (packed({"a": 7}), "the entry of 'a' lacks a type, a shape or two offsets"),
    "negative": (packed({"a": entry("U8", [-1], 0, 0)}), "the entry of 'a' lacks"),
    "truth for a size": (packed({"a": entry("U8", [True], 0, 1)}, b"1"), "the entry of 'a' lacks"),
    "many axes": (packed({"a": entry("U8", [1] * 65, 0, 1)}, b"1"), "the entry of 'a' lacks"),
    "outside": (packed({"a": entry("U8", [4], 0, 4)}, b"123"), "'a' lies at the bytes 0 to 4 of 3"),
    "backwards": (packed({"a": entry("U8", [1], 2, 1)}, b"123"), "'a' lies at the bytes 2 to 1 of 3"),
    "size": (packed({"a": entry("F32", [2], 0, 4)}, b"1234"), "'a' has the shape (2,) of F32, but 4 bytes"),
    "overlap": (packed({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 1, 3)}, b"123"), "'a' and 'b' overlap"),
    "overflow": (packed({"a": entry("U8", [1 << 40, 1 << 40, 0], 0, 3)}, b"123"), "the entry of 'a' lacks"),
}


@pytest.mark.parametrize(("content", "said"), LIES.values(), ids=LIES.keys())
def test_headers_that_lie(folder, content, said):
    folder.write("a.safetensors", content)
    fault = folder.fault("a.safetensors")
    assert fault.startswith("UnreadableFile: a.safetensors")
    assert said in fault


def test_an_array_that_takes_no_byte_overlaps_nothing(folder):
    header = {"a": entry("U8", [3], 0, 3), "b": entry("U8", [0], 1, 1)}
    folder.write("a.safetensors", packed(header, b"\1\2\3"))
    assert folder.array("a.safetensors:a").tolist() == [1, 2, 3]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 150), byte=st.integers(0, 255), length=st.integers(0, 200))
def test_no_damage_is_more_than_an_error(folder, at, byte, length):
    content = bytearray(packed({"a": entry("F32", [2], 0, 8), "b": entry("BF16", [4], 8, 16)}, bytes(16)))
    content[at % len(content)] = byte
    folder.write("a.safetensors", bytes(content[:length] if length < 150 else content))
    folder.again()
    with suppress(InputError):
        folder.array("a.safetensors:#1")


def test_readers_survive_a_pickle(folder):
    folder.write("a.safetensors", packed({"a": entry("BF16", [2], 0, 4)}, b"\x80\x3f\0\x40"))
    assert pickle.loads(pickle.dumps(folder.reader("a.safetensors"))).read(0, 2).tolist() == [1, 2]  # noqa: S301 - our own
