"""`--cluster`: the same bits as one machine, whoever does the work and whoever dies over it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import golden
import numpy as np
import psutil
import pytest
from clustered import cluster_in

HOLES = 1 << 27


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with cluster_in(tmp_path_factory.mktemp("cluster")) as found:
        yield found


def same(cluster, *words):
    """Run here and there; return what both print."""
    here, there = cluster.run(*words), cluster.run(*words, "--cluster", cluster.address)
    assert here == there
    assert here[0] == 0
    return here[1]


@pytest.fixture(scope="module")
def shards(cluster):
    random = np.random.default_rng(0)
    for number in range(3):
        rows = 300_000 + 7 * number
        numbers = random.normal(size=(rows, 2)).astype(np.float32)
        for role, column in zip(("pred", "target"), numbers.T, strict=True):
            np.save(cluster.folder / f"{role}{number}.npy", column)
        lines = "\n".join(f"{p!r},{t!r},{p / 2!r},{'ab'[i % 2]}" for i, (p, t) in enumerate(numbers[:30_000].tolist()))
        (cluster.folder / f"t{number}.csv").write_text(f"pred,target,half,g\n{lines}\n")
    return cluster


def test_shards_of_arrays(shards):
    assert same(shards, "compute", "mse,huber,quantile", "pred?.npy", "target?.npy", "--dtype", "native").count("\n") == 4


def test_tables_groups_and_single_samples(shards):
    words = ["compute", "mse", "t?.csv:pred", "t?.csv:target"]
    assert same(shards, *words, "--backend", "torch")
    assert "\ta\t" in same(shards, *words, "--by", "g")
    assert same(shards, *words, "--worst", "5", "-f", "json").count('"index"') == 5
    assert "p95" in same(shards, *words, "--stats")


def test_a_comparison(shards):
    assert "better" in same(shards, "compare", "mse,l1", "t?.csv:pred", "t?.csv:half", "-t", "t?.csv:target")


def test_nothing_listens_beyond_this_machine(cluster):
    assert cluster.ask("ports") == "127.0.0.1"


def test_an_error_is_that_of_one_machine(shards):
    values = np.zeros(1_000_000)
    values[[300_123, 999_999]] = np.nan
    np.save(shards.folder / "bad.npy", values)
    np.save(shards.folder / "zero.npy", np.zeros(1_000_000))
    here = shards.run("compute", "mse", "bad.npy", "zero.npy")
    there = shards.run("compute", "mse", "bad.npy", "zero.npy", "--cluster", shards.address)
    assert here == there
    assert here[0] == 4
    assert "[300123]" in here[2]


def test_a_killed_worker_changes_no_bit(cluster):
    for name, value in (("p", 3), ("t", 5)):
        with (cluster.folder / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (HOLES,)})
            # Holes are zeros; a few numbers stand among them.
            for at in range(0, HOLES, HOLES // 61):
                file.seek(128 + 4 * at)
                file.write(np.float32(value / (at + 1)).tobytes())
            file.truncate(128 + 4 * HOLES)
    code, here, _ = cluster.run("compute", "mse", "p.npy", "t.npy", "-b")
    run = cluster.start("compute", "mse", "p.npy", "t.npy", "-b", "--cluster", cluster.address)
    killed, done, left = cluster.ask("kill").split()
    out, err = run.communicate(timeout=120)
    assert (code, run.returncode, err) == (0, 0, "")
    assert killed == "killed"
    assert int(done) > 0 < int(left)
    assert out == here


def test_local_workers(shards):
    local = shards.run("compute", "mse", "pred?.npy", "target?.npy", "--cluster", "local:2")
    assert local == shards.run("compute", "mse", "pred?.npy", "target?.npy")


def test_what_lives_in_this_process_stays(shards):
    command = [sys.executable, "-m", "lossctl", "compute", "mse", "-", "target0.npy", "--cluster", shards.address]
    with (shards.folder / "pred0.npy").open("rb") as file:
        found = subprocess.run(
            command, stdin=file, capture_output=True, text=True, cwd=shards.folder, env=shards.environment, check=False
        )
    assert found.returncode == 2
    assert found.stdout == ""
    assert "cluster" in found.stderr


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "local:0", "local:x"])
def test_addresses_that_lead_nowhere(cluster, address):
    code, out, err = cluster.run("compute", "mse", "[1]", "[2]", "--cluster", address, "-f", "json")
    assert (code, out) == (3 if "//" in address else 2, "")
    assert address in json.loads(err)["error"]["message"]


@pytest.mark.parametrize("busy", ["starting", "reading"])
def test_ctrl_c_ends_workers_without_a_word(tmp_path, busy):
    for name in ("p", "t"):
        with (tmp_path / f"{name}.npy").open("wb") as file:
            # Holes: long to read, and no bytes on the disk.
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 32,)})
            file.truncate(file.tell() + (1 << 34))
    command = [sys.executable, "-m", "lossctl", "compute", "mse", "p.npy", "t.npy", "--cluster", "local:2", "-o", "out.json"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = golden.environment(tmp_path, golden.ROOT / "tests")
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True, **streams)
    workers = {}
    while process.poll() is None and list(workers.values()).count(busy) < 2:
        workers |= {one: does for one, does in doing(process.pid).items() if workers.get(one) != "reading"}
        time.sleep(0.01)
    try:
        # As a terminal does it: to the whole group.
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, out, err) == (130, "", "")
    assert list(workers.values()).count(busy) == 2
    assert not psutil.wait_procs(workers, timeout=30)[1]
    assert not (tmp_path / "out.json").exists()


def doing(pid):
    """What the workers of a run do: they start, or read a file."""
    found = {}
    for one in psutil.Process(pid).children(recursive=True):
        # Those that only ask for the machine's name are gone at once.
        with suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(one.cmdline()):
                found[one] = "reading" if any(file.path.endswith(".npy") for file in one.open_files()) else "starting"
    return found


def test_a_worker_that_ends_while_it_starts_is_no_bug(tmp_path):
    argv = "compute mse '[1, 2]' '[1, 4]' --cluster local:1"
    dies = {"DASK_DISTRIBUTED__WORKER__PRELOAD": '["import os; os._exit(9)"]'}
    outcome = golden.run({"argv": argv, "env": dies}, tmp_path)
    assert (outcome.code, outcome.stdout) == (3, "")
    assert "A worker of --cluster local:1 ended while it started" in outcome.stderr
