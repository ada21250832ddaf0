"""Start-up is a promise: small tables import neither pyarrow nor pandas, and large ones no pandas."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from lossctl.sources.files import Files
from lossctl.sources.source import Given
files = Files()
for role in ("pred", "target"):
    reader = files.open(Given(f"{sys.argv[1]}:{role}"), role)
    print(reader.read(0, reader.shape[0]).shape[0])
print(*sorted(sys.modules))
"""


@pytest.fixture
def run(tmp_path):
    """Run the program where a package called pandas can be imported, as pyarrow would like to."""
    fake = tmp_path / "site" / "pandas"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("__version__ = '2.2.0'\n")

    def go(path):
        paths = os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(path)],
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=True,
        )
        return set(done.stdout.split())

    return go


def table(path, rows, blank=""):
    path.write_text(f"id,pred,target\n{blank}" + "".join(f"{i},{i}.25,{-i}.5\n" for i in range(rows)))
    return path


def test_a_small_table_imports_little(tmp_path, run):
    modules = run(table(tmp_path / "small.csv", 1000))
    heavy = {"pyarrow", "pandas", "yaml", "mmap", "zipfile", "hashlib", "json", "tempfile", "importlib.metadata"}
    assert not heavy & modules - bare()


def bare():
    """What NumPy and Python import by themselves."""
    done = subprocess.run(
        [sys.executable, "-c", "import numpy, sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_a_large_table_imports_pyarrow_and_no_pandas(tmp_path, run):
    modules = run(table(tmp_path / "large.csv", 80_000, blank=",NA,\n"))
    assert "pyarrow" in modules
    assert not {"pandas", "pyarrow.dataset", "pyarrow.compute"} & modules
