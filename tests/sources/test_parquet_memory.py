"""Memory stays bounded, whatever the size of a file and of its row groups."""

from __future__ import annotations

import subprocess
import sys

import golden
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

RUN = """
import sys
from memory import peak
from lossctl.__main__ import main
sys.argv[0] = "lossctl"
try:
    main()
finally:
    print(peak() >> 20, file=sys.stderr)
"""


def peak_of(folder, *argv):
    """What the run prints, and its peak in MiB."""
    env = golden.environment(folder, golden.ROOT / "tests")
    done = subprocess.run([sys.executable, "-c", RUN, *argv], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout, int(done.stderr.split()[-1])


def written(path, rows, group, parts=16):
    """Write two columns whose squared error is 4 everywhere."""
    schema = pa.schema([("pred", pa.float64()), ("target", pa.float64())])
    numbers = np.arange(rows // parts) % 1000 / 8
    with parquet.ParquetWriter(path, schema) as writer:
        part = pa.table([numbers, numbers + 2], schema=schema)
        writer.write_table(pa.concat_tables([part] * parts), row_group_size=group)


@pytest.mark.slow
@pytest.mark.parametrize("group", [1 << 20, 1 << 27], ids=["normal row groups", "one row group"])
def test_a_gigabyte_takes_a_few_hundred_megabytes(tmp_path, group):
    # pyarrow writes no row group of more than 2^26 rows.
    rows = 67_000_000
    written(tmp_path / "t.parquet", rows, group)
    assert parquet.ParquetFile(tmp_path / "t.parquet").num_row_groups == -(-rows // group)
    printed, peak = peak_of(tmp_path, "compute", "mse", "t.parquet:pred", "t.parquet:target", "--format", "csv")
    assert "mse,4.0,67000000" in printed
    assert peak < 400


@pytest.mark.slow
@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
@pytest.mark.parametrize("compression", [None, "lz4"])
def test_arrow_files_of_some_hundred_megabytes(tmp_path, opened, compression):
    numbers = np.arange(1 << 20) % 1000 / 8
    part = pa.record_batch([numbers, numbers + 2], names=["pred", "target"])
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file, opened(file, part.schema, options=options) as writer:
        for _ in range(40):
            writer.write_batch(part)
    printed, peak = peak_of(tmp_path, "compute", "mse", "t.arrow:pred", "t.arrow:target", "--format", "csv")
    assert "mse,4.0,41943040" in printed
    assert peak < 400
