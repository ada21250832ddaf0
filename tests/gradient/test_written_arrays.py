"""Every format, read back by its own reader."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from reading import ALL, TABLES, assert_holds, names, read_columns, read_csv, write

from lossctl.gradient.sinks import Field
from lossctl.gradient.writing import SUFFIXES, is_array
from lossctl.sources.files import Files
from lossctl.sources.readers import whole
from lossctl.sources.source import Given

RANDOM = np.random.default_rng(3)
SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e22, 2 / 3])
FLOATS = (np.float64, np.float32, np.float16)
# Those that hold one array, under the only name that an .npy can be given in these tests.
SOME = {"pred": RANDOM.normal(size=(7, 3))}
SEVERAL = {"pred": RANDOM.normal(size=(5, 2, 3)), "target": RANDOM.normal(size=5).astype(np.float32), "n": np.arange(5)}


def test_suffixes_say_what_is_an_array():
    assert tuple(SUFFIXES) == (".npy", ".npz", ".csv", ".parquet", ".safetensors")
    assert is_array("a/b.NPZ")
    assert not any(map(is_array, ("a.tsv", "a.json", "npy", "a.npy.md", "")))


@pytest.mark.parametrize("suffix", ALL)
def test_one_array_comes_back(tmp_path, suffix):
    write(tmp_path / f"g{suffix}", SOME)
    assert_holds(tmp_path / f"g{suffix}", SOME)
    assert names(tmp_path) == [f"g{suffix}"]


@pytest.mark.parametrize("suffix", ALL[1:])
def test_several_arrays_of_several_types_come_back(tmp_path, suffix):
    write(tmp_path / f"g{suffix}", SEVERAL)
    assert_holds(tmp_path / f"g{suffix}", SEVERAL)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("suffix", ALL)
def test_numbers_come_back_to_the_bit(tmp_path, suffix, dtype):
    with np.errstate(over="ignore", under="ignore"):
        values = {"pred": np.concatenate([SPECIAL, RANDOM.normal(size=500), RANDOM.normal(size=500) * 1e-6]).astype(dtype)}
    write(tmp_path / f"g{suffix}", values)
    assert_holds(tmp_path / f"g{suffix}", values)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("suffix", ALL[:3])
def test_whole_numbers_come_back(tmp_path, suffix, dtype):
    values = {"pred": np.array([[1, 0], [0, 1]], dtype)}
    write(tmp_path / f"g{suffix}", values)
    assert_holds(tmp_path / f"g{suffix}", values)


@pytest.mark.parametrize("suffix", TABLES)
def test_what_is_true_is_1_in_a_table(tmp_path, suffix):
    write(tmp_path / f"g{suffix}", {"pred": np.array([True, False])})
    found = read_columns(tmp_path / f"g{suffix}", {"pred": np.uint8})["pred"]
    assert (found.dtype, found.tolist()) == (np.uint8, [1, 0])


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (3, 0), (2, 0, 3), (0, 0)])
@pytest.mark.parametrize("suffix", ALL)
def test_empty_arrays_and_single_numbers(tmp_path, suffix, shape):
    values = {"pred": np.full(shape, 1.5)}
    write(tmp_path / f"g{suffix}", values)
    assert_holds(tmp_path / f"g{suffix}", values)


def test_wide_types_are_aligned_in_safetensors(tmp_path):
    values = {"h": np.ones(3, np.float16), "d": np.ones(5), "b": np.ones(1, np.uint8)}
    write(tmp_path / "g.safetensors", values)
    content = (tmp_path / "g.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert size % 8 == 0
    assert header["d"] == {"dtype": "F64", "shape": [5], "data_offsets": [0, 40]}
    assert header["h"] == {"dtype": "F16", "shape": [3], "data_offsets": [40, 46]}
    assert header["b"] == {"dtype": "U8", "shape": [1], "data_offsets": [46, 47]}


def test_a_csv_is_plain_text(tmp_path):
    values = {"pred": np.array([[0.1, np.nan], [-np.inf, np.inf]]), "small": np.array([0.1, 2.5], np.float32)}
    write(tmp_path / "g.csv", values)
    assert (tmp_path / "g.csv").read_bytes() == b"pred_0,pred_1,small\n0.1,nan,0.1\n-inf,inf,2.5\n"


def test_a_csv_is_read_by_lossctl_itself(tmp_path):
    write(tmp_path / "g.csv", {"pred": np.array([1e-7, np.nan, np.inf, -0.0]), "x": RANDOM.normal(size=(4, 2))})
    found = whole(Files(str(tmp_path)).open(Given("g.csv:pred"), "pred"))
    np.testing.assert_array_equal(found, [1e-7, np.nan, np.inf, -0.0])
    assert whole(Files(str(tmp_path)).open(Given("g.csv:x_*"), "pred")).shape == (4, 2)


IDS = ['a,"b"', "ü", "", "two\nlines"]


def test_ids_are_the_first_column_of_a_table(tmp_path):
    from pyarrow import parquet

    values = {"pred": np.arange(8.0).reshape(4, 2)}
    write(tmp_path / "g.csv", values, ids=IDS, id_name="user, id")
    write(tmp_path / "g.parquet", values, ids=IDS, id_name="user")
    assert read_csv(tmp_path / "g.csv") == {"user, id": IDS, "pred_0": ["0", "2", "4", "6"], "pred_1": ["1", "3", "5", "7"]}
    table = parquet.read_table(tmp_path / "g.parquet")
    assert table.column_names == ["user", "pred_0", "pred_1"]
    assert table["user"].to_pylist() == IDS


@pytest.mark.parametrize("suffix", TABLES)
def test_tables_of_several_chunks_keep_rows_together(tmp_path, suffix, monkeypatch):
    from pyarrow import parquet

    monkeypatch.setattr("lossctl.gradient.writing.CSV_ELEMENTS", 10)
    monkeypatch.setattr("lossctl.gradient.writing.PARQUET_ELEMENTS", 10)
    monkeypatch.setattr("lossctl.gradient.writing.PARQUET_ROWS", 1)
    values = {"pred": RANDOM.normal(size=(101, 3)), "x": np.arange(101)}
    write(tmp_path / f"g{suffix}", values)
    assert_holds(tmp_path / f"g{suffix}", values)
    assert suffix != ".parquet" or parquet.read_metadata(tmp_path / "g.parquet").num_row_groups == 51
    write(tmp_path / "ids.csv", values, ids=[str(i) for i in range(101)])
    found = read_csv(tmp_path / "ids.csv")
    assert found["id"] == found["x"] == [str(i) for i in range(101)]


def test_a_member_may_be_longer_than_a_plain_zip_allows(tmp_path, monkeypatch):
    import zipfile

    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 500)
    write(tmp_path / "g.npz", {"pred": np.arange(1000.0)})
    assert_holds(tmp_path / "g.npz", {"pred": np.arange(1000.0)})


def test_a_name_that_is_no_utf_8_is_written_escaped(tmp_path):
    write(tmp_path / "g.csv", {"pred": np.zeros(1)}, ids=["a\udcff"])
    assert (tmp_path / "g.csv").read_text() == "id,pred\na\\udcff,0\n"


def test_byte_order_does_not_change_the_file(tmp_path):
    values = RANDOM.normal(size=4)
    write(tmp_path / "a.npy", {"pred": values})
    write(tmp_path / "b.npy", {"pred": values.astype(">f8")})
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_other_types_are_no_fields():
    for dtype in ("O", "U3", "c16", "M8[s]"):
        with pytest.raises(ValueError, match="cannot be written as"):
            Field("pred", (1,), np.dtype(dtype))


SHAPES = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    values=st.sampled_from(["f8", "f4", "f2", "i8"]).flatmap(lambda kind: arrays(np.dtype(kind), SHAPES)),
    suffix=st.sampled_from(ALL),
)
def test_any_shape_comes_back_from_any_format(tmp_path, values, suffix):
    # Text of a whole number is read back here as a float.
    values = {"pred": values % 1000 if values.dtype.kind == "i" else values}
    write(tmp_path / f"any{suffix}", values)
    assert_holds(tmp_path / f"any{suffix}", values)
