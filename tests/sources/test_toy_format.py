"""A format that follows CONTRIBUTING to the letter works everywhere, whatever its own fields are called."""

import gzip
import json
import math
import pickle
import subprocess
import sys

import golden
import numpy as np
import pytest
import toy_format
from clustered import cluster_in

from lossctl.errors import UnreadableFile
from lossctl.sources.files import Files
from lossctl.sources.source import ROWS, Given

# More than one block.
N = 300_000
PRED = np.arange(N) % 7 / 2.0
TARGET = np.arange(N) % 5 / 4.0
GROUPS = [("a", "b", "c")[i % 3] for i in range(N)]
IDS = [f"s{i}" for i in range(6)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of packages with the format, whose entry point is its row."""
    site = tmp_path_factory.mktemp("site")
    (site / "toy_format.py").write_text((golden.ROOT / "tests/sources/toy_format.py").read_text())
    info = site / "toy_format-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-format\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lossctl.files]\ntoy = toy_format:open_toy\n")
    return str(site)


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    toy_format.write(folder / "t.toy", {"group": GROUPS}, pred=PRED, target=TARGET)
    toy_format.write(folder / "ids.toy", {"id": IDS}, pred=[1, 2, 3, 4, 5, 6])
    toy_format.write(folder / "moved.toy", {"id": IDS[::-1]}, target=[6, 5, 4, 3, 2, 0])
    for number in range(2):
        half = slice(number * N // 2, (number + 1) * N // 2)
        toy_format.write(folder / f"half{number}.toy", None, pred=PRED[half], target=TARGET[half])
    return folder


@pytest.fixture
def run(site, toys):
    def run(*words, code=0, **options):
        environment = golden.environment(toys, site)
        command = [sys.executable, "-m", "lossctl", *words]
        done = subprocess.run(command, cwd=toys, env=environment, capture_output=True, check=False, **options)
        assert done.returncode == code, done.stderr.decode()
        return done.stdout.decode() if code == 0 else done.stderr.decode()

    return run


def mse(pred, target):
    return math.fsum((pred - target) ** 2) / len(pred)


def test_compute(run):
    assert float(run("compute", "mse", "t.toy:pred", "t.toy:target", "-b")) == mse(PRED, TARGET)
    assert "text, not numbers" in run("compute", "mse", "t.toy:pred", "t.toy:group", code=3)
    assert "Known columns: group, pred, target." in run("compute", "mse", "t.toy:prediction", "t.toy:target", code=3)


def test_groups(run):
    rows = json.loads(run("compute", "mse", "t.toy:pred", "t.toy:target", "--by", "group", "-f", "json"))["results"]
    groups = np.array(GROUPS)
    expected = {group: mse(PRED[groups == group], TARGET[groups == group]) for group in "abc"}
    assert {row["group"]: row["value"] for row in rows if "group" in row} == expected


def test_rows_joined_on_ids(run):
    # Ordered by id the targets are 0, 2, 3, 4, 5, 6.
    assert run("compute", "mse", "ids.toy:pred", "moved.toy:target", "--on", "id", "-b").strip() == str(1 / 6)
    assert "same ids in another order" in run("compute", "mse", "ids.toy:pred", "moved.toy:target", code=3)


def test_patterns_and_folders(run):
    assert float(run("compute", "mse", "half*.toy:pred", "half*.toy:target", "-b")) == mse(PRED, TARGET)
    assert float(run("compute", "mse", "t.toy:*", "[[1, 2]]", "-b", "--broadcast")) == mse(
        np.concatenate([PRED, TARGET]), np.repeat([1, 2], N)
    )


def test_inspect(run):
    arrays = {one["key"]: one for one in json.loads(run("inspect", "t.toy", "-f", "json"))["arrays"]}
    assert (arrays["pred"]["shape"], arrays["pred"]["high"], arrays["target"]["mean"]) == ([N], 3.0, 0.5)
    assert (arrays["group"]["kind"], arrays["group"]["distinct"]) == ("text", 3)


def test_parts_add_up(run):
    for number in range(2):
        words = ["--part", f"{number + 1}/2", "--partial", f"part{number}.json"]
        run("compute", "mse", "t.toy:pred", "t.toy:target", *words)
    assert float(run("merge", "part0.json", "part1.json", "-b")) == mse(PRED, TARGET)


def test_standard_input_and_compressed(run, toys):
    (toys / "t.toy.gz").write_bytes(gzip.compress((toys / "t.toy").read_bytes(), 1))
    assert float(run("compute", "mse", "t.toy.gz:pred", "t.toy:target", "-b")) == mse(PRED, TARGET)
    piped = run("compute", "mse", "-:pred", "t.toy:target", "-b", "--in-format", "toy", input=(toys / "t.toy").read_bytes())
    assert float(piped) == mse(PRED, TARGET)


def test_a_damaged_file(run, toys):
    (toys / "cut.toy").write_bytes((toys / "t.toy").read_bytes()[:-8])
    assert "cut.toy is cut short" in run("compute", "mse", "cut.toy:pred", "t.toy:target", code=3)


def test_a_cluster(site, toys):
    with cluster_in(toys, PYTHONPATH=golden.environment(toys, site)["PYTHONPATH"]) as cluster:
        words = ["compute", "mse", "t.toy:pred", "t.toy:target", "-b"]
        code, out, err = cluster.run(*words, "--cluster", cluster.address)
        assert (code, err) == (0, "")
        assert float(out) == mse(PRED, TARGET)


def test_a_row_in_the_table_and_a_pickle(monkeypatch, toys):
    monkeypatch.setitem(ROWS, "toy", "toy_format:open_toy")
    reader = Files(str(toys)).open(Given("t.toy:pred"), "pred")
    again = pickle.loads(pickle.dumps(reader))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.read(N - 3, N), PRED[-3:])
    assert again.place((4,)) == "sample 5 of pred"
    (toys / "bad.toy").write_text("{}\n")
    with pytest.raises(UnreadableFile, match="its first line is not the header"):
        Files(str(toys)).open(Given("bad.toy"), "pred")
