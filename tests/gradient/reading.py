"""Sinks in tests: fields like given arrays, all of them put, and files read back by those who own the formats."""

import csv
import math

import numpy as np

from lossctl.gradient.sinks import Field
from lossctl.gradient.writing import opened

ARRAYS = (".npy", ".npz", ".safetensors")
TABLES = (".csv", ".parquet")
ALL = (*ARRAYS, *TABLES)


def fields(arrays):
    return [Field(name, array.shape, array.dtype) for name, array in arrays.items()]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, arrays, **options):
    """Put each array at once."""
    with opened(str(path), fields(arrays), **options) as sinks:
        for name, array in arrays.items():
            sinks[name].put(array, 0)


def column_names(name, array):
    return ["_".join([name, *map(str, index)]) for index in np.ndindex(*array.shape[1:])] if array.ndim > 1 else [name]


def expected_columns(arrays):
    """What a table of these arrays holds: columns by name."""
    return {
        column: np.atleast_1d(array).reshape(*(array.shape[:1] or (1,)), math.prod(array.shape[1:]))[:, position]
        for name, array in arrays.items()
        for position, column in enumerate(column_names(name, array))
    }


def read_csv(path):
    """Columns of text by name."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [row[position] for row in rows] for position, name in enumerate(header)}


def read_arrays(path):
    """Arrays by name; the one in an .npy is called pred."""
    if path.suffix == ".npy":
        return {"pred": np.load(path)}
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return dict(archive)
    from safetensors.numpy import load_file

    return load_file(path)


def read_columns(path, types):
    """Columns of numbers by name, each in the type of `types`."""
    if path.suffix == ".csv":
        return {name: np.array(list(map(float, cells))).astype(types[name]) for name, cells in read_csv(path).items()}
    from pyarrow import parquet

    table = parquet.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def assert_holds(path, arrays):
    """The file holds these arrays to the last bit, and nothing else."""
    if path.suffix in ARRAYS:
        assert_same(read_arrays(path), arrays)
    else:
        wanted = expected_columns(arrays)
        assert_same(read_columns(path, {name: column.dtype for name, column in wanted.items()}), wanted)


def assert_same(found, wanted):
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        # NaN differs from itself, and 0 equals -0: bits do neither. A text knows one NaN only.
        np.testing.assert_array_equal(found[name], array)
        np.testing.assert_array_equal(np.signbit(found[name]) & ~np.isnan(array), np.signbit(array) & ~np.isnan(array))
