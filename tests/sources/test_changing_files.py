"""A file that changes while a run reads it is refused: its parts would be of different data."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import golden
import numpy as np
import pytest

from lossctl import errors
from lossctl.cli.program import _run
from lossctl.progress import Nobody, watched_by
from lossctl.sources import touched

N = 4_096
RAMP = np.arange(N, dtype=np.float64) / N


def npy(path, values):
    np.save(path, values)


def npz(path, values):
    np.savez(path, pred=values)


def packed(path, values):
    np.savez_compressed(path, pred=values)


def csv(path, values):
    path.write_text("pred\n" + "".join(f"{value:.6f}\n" for value in values))


def gz(path, values):
    import gzip

    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write(("pred\n" + "".join(f"{value:.6f}\n" for value in values)).encode())


def jsonl(path, values):
    path.write_text("".join(json.dumps({"pred": round(value, 6)}) + "\n" for value in values))


def parquet(path, values):
    import pyarrow as pa
    from pyarrow import parquet as pq

    pq.write_table(pa.table({"pred": values}), path)


def arrow(path, values):
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, pa.schema([("pred", pa.float64())])) as writer:
        writer.write_table(pa.table({"pred": values}))


def h5(path, values):
    import h5py

    with h5py.File(path, "w") as file:
        file["pred"] = values


def safetensors(path, values):
    head = json.dumps({"pred": {"dtype": "F64", "shape": [len(values)], "data_offsets": [0, values.nbytes]}}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + values.tobytes())


def pt(path, values):
    import torch

    torch.save({"pred": torch.from_numpy(values)}, path)


FORMATS = {
    "npy": npy,
    "npz": npz,
    "packed.npz": packed,
    "csv": csv,
    "csv.gz": gz,
    "jsonl": jsonl,
    "parquet": parquet,
    "arrow": arrow,
    "h5": h5,
    "safetensors": safetensors,
    "pt": pt,
}


def replaced(path, other):
    """Another file takes its place, as editors and trainers do it."""
    shutil.copy(other, f"{path}.new")
    Path(f"{path}.new").replace(path)


def rewritten(path, other):
    """The same file gets other bytes."""
    with path.open("r+b") as file:
        file.write(other.read_bytes())
        file.truncate()
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def grown(path, _):
    with path.open("ab") as file:
        file.write(b"0.5\n")


def touched_again(path, _):
    os.utime(path)


def gone(path, _):
    path.unlink()


CHANGES = {
    replaced: "another file has taken its place",
    rewritten: "",
    grown: "and has",
    touched_again: "it was written to",
    gone: "it is no longer there",
}


class Meddler(Nobody):
    """Changes a file as soon as a pass over data begins."""

    def __init__(self, change):
        self.change = change

    def begin(self, what, total, *, of_bytes=False):  # noqa: ARG002 - what a watch is told
        if what == "computing" and self.change:
            change, self.change = self.change, None
            change()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("t.npy", np.zeros(N))
    return tmp_path


def meddled(line, change, capsys):
    with watched_by(Meddler(change)):
        code = _run(line.split())
    return code, *capsys.readouterr()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("suffix", FORMATS)
def test_any_format(suffix, change, here, capsys):
    path, other = here / f"p.{suffix}", here / f"other.{suffix}"
    FORMATS[suffix](path, RAMP)
    FORMATS[suffix](other, RAMP[::-1].copy())
    os.utime(path, ns=(0, 10**18))
    code, out, err = meddled(f"compute mse,l1 p.{suffix} t.npy -o r.json --summary s.md", lambda: change(path, other), capsys)
    assert (code, out) == (3, "")
    assert f"p.{suffix} changed while it was being read: " in err
    assert CHANGES[change] in err
    assert "Run again" in err
    assert not {"r.json", "s.md"} & {one.name for one in here.iterdir()}
    assert not list(here.glob(".lossctl*"))


LINES = [
    "grad mse p.npy t.npy -o g.npy",
    "compare mse p.npy t.npy -t t.npy --resamples 99 -o r.json",
    "compute mse p.npy t.npy --stats",
    "compute mse p.npy t.npy --partial part.json",
    "identify --value 7 p.npy t.npy",
    "compute mse t.npy t.npy --weights p.npy",
    "compute mse t.npy t.npy --mask p.npy",
    "compute mse t.npy t.npy --by p.npy",
    "compute mse 'q.np?' t.npy",
    "compute mse folder t.npy",
    "compute s.yaml",
    "check s.yaml",
    "verify saved.json",
    "compute mse 1 --broadcast -i target=p.npy",
]


@pytest.mark.parametrize("line", LINES)
def test_any_command(line, here, capsys):
    np.save("p.npy", np.ones(N))
    (here / "folder").mkdir()
    os.link("p.npy", "folder/one.npy")
    os.link("p.npy", "q.npy")
    (here / "s.yaml").write_text("loss: mse\ninputs: {pred: p.npy, target: t.npy}\ngates: [{key: mse, max: 9}]\n")
    assert _run(["compute", "mse", "p.npy", "t.npy", "-o", "saved.json", "-qq"]) == 0
    code, out, err = meddled(line.replace("'", ""), lambda: os.utime(here / "p.npy"), capsys)
    assert code == 3
    assert out == ""
    assert "changed while it was being read: it was written to" in err
    assert not {"g.npy", "r.json", "part.json"} & {one.name for one in here.iterdir()}


@pytest.mark.parametrize("name", ["s.yaml", "base.json"])
def test_what_a_run_is_asked_for_by_may_not_change_either(name, here, capsys):
    (here / "s.yaml").write_text("loss: mse\ninputs: {pred: t.npy, target: t.npy}\nagainst: base.json\n")
    assert _run(["compute", "mse", "t.npy", "t.npy", "-o", "base.json", "-qq"]) == 0
    code, out, err = meddled("compute s.yaml --max-abs mse=1", lambda: grown(here / name, None), capsys)
    assert (code, out) == (3, "")
    assert f"{name} changed while it was being read" in err


@pytest.mark.parametrize("values", ["label out of range", "nan", "shorter"])
def test_a_change_explains_whatever_else_goes_wrong(values, here, capsys):
    np.save("x.npy", np.zeros((N, 3)))
    np.save("y.npy", np.zeros(N, np.int64))
    path = here / ("x.npy" if values == "nan" else "y.npy")

    def change():
        size = path.stat().st_size
        with path.open("r+b") as file:
            if values == "shorter":
                file.truncate(200)
                return
            file.seek(128)
            file.write(
                np.full((size - 128) // 8, np.nan if values == "nan" else 7, np.float64 if values == "nan" else np.int64)
            )
        os.utime(path, ns=(0, 1))

    code, out, err = meddled("compute ce x.npy y.npy", change, capsys)
    assert (code, out) == (3, "")
    assert f"{path.name} changed while it was being read" in err


def test_what_stays_as_it_is_is_read_in_any_number_of_passes(here, capsys):
    np.save("p.npy", np.ones(N))
    (here / "p.npy").chmod(0o600)
    code, out, err = meddled("compute mse p.npy t.npy --stats -f json", lambda: (here / "p.npy").chmod(0o644), capsys)
    assert (code, json.loads(out)["results"][0]["value"]) == (0, 1.0)
    assert "changed" not in err


def test_a_link_that_is_set_anew_is_a_change(here, capsys):
    np.save("one.npy", np.ones(N))
    np.save("two.npy", np.full(N, 2.0))
    (here / "p.npy").symlink_to("one.npy")

    def anew():
        (here / "new.npy").symlink_to("two.npy")
        Path("new.npy").replace("p.npy")

    code, out, err = meddled("compute mse p.npy t.npy", anew, capsys)
    assert (code, out) == (3, "")
    assert "another file has taken its place" in err


def test_the_fixture_of_pytest_refuses_it_too(here):
    from lossctl import pytest_plugin

    checked = vars(pytest_plugin)["_checked"]
    np.save("p.npy", np.ones(N))
    (here / "folder").mkdir()
    assert checked("mse", {"pred": "p.npy", "target": "t.npy"}, {"max": 2}, here / "folder") == 1.0
    meddler = Meddler(lambda: os.utime(here / "p.npy"))
    with watched_by(meddler), pytest.raises(errors.InputChanged, match=r"p\.npy changed while it was being read"):
        checked("mse", {"pred": "p.npy", "target": "t.npy"}, {"max": 2}, here / "folder")


def test_a_file_that_is_read_twice_is_one_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    with touched.touching([]):
        assert touched.read_whole(str(path)) == b"1"
        assert touched.read_whole(str(path)) == b"1"
        path.write_bytes(b"12")
        with pytest.raises(errors.InputChanged, match="it had 1 bytes, and has 2 now"):
            touched.read_whole(str(path))


def test_what_has_no_end_is_not_read_whole(capsys, tmp_path):
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for line in (
        "merge /dev/zero",
        f"verify {tmp_path}/zero.json",
        f"compute {tmp_path}/zero.yaml",
        f"check {tmp_path}/zero.json",
    ):
        assert _run(line.split()) == 3
        assert "it is a device, not a file" in capsys.readouterr().err


def test_outside_of_a_command_nothing_is_noted(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    assert touched.read_whole(str(path)) == b"1"
    assert touched.current() is None
    with contextlib.suppress(KeyboardInterrupt), touched.touching([]):
        raise KeyboardInterrupt
    assert touched.current() is None


def test_a_pipe_has_nothing_to_compare(here):
    line = "compute mse <(cat p.npy) t.npy -b"
    np.save("p.npy", np.ones(N))
    import subprocess

    words = ["bash", "-c", line.replace("compute", "lossctl compute")]
    seen = subprocess.run(words, cwd=here, env=golden.environment(here), capture_output=True, text=True, check=False)
    assert (seen.returncode, seen.stdout) == (0, "1.0\n")


@pytest.mark.parametrize("change", [replaced, grown])
def test_events_of_tensorboard(change, here, capsys, monkeypatch):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter("runs") as writer:
        for step in range(30):
            writer.add_scalar("loss", 1.0 / (1 + step), step)
    (path,) = (here / "runs").iterdir()
    other = here / "other"
    shutil.copy(path, other)
    from lossctl.guides.diagnose import history as events

    real = vars(events)["_read"]

    def read(folder):
        found = real(folder)
        change(path, other)
        return found

    assert _run(["diagnose", "runs", "-qq"]) == 0
    monkeypatch.setattr(events, "_read", read)
    assert _run(["diagnose", "runs"]) == 3
    assert "changed while it was being read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["inspect p.npy", "recommend r.npy", "diagnose p.csv", "trial 'x.csv:x*' x.csv:y --steps 2 --seeds 1"]
)
def test_commands_without_such_a_pass(line, here, capsys, monkeypatch):
    np.save("p.npy", RAMP)
    np.save("r.npy", np.random.default_rng(0).normal(size=N))
    csv(here / "p.csv", RAMP)
    (here / "x.csv").write_text("x1,x2,y\n" + "".join(f"{i},{i * i % 7},{i % 5 + 0.5}\n" for i in range(60)))
    names = {"inspect": "p.npy", "recommend": "r.npy", "diagnose": "p.csv", "trial": "x.csv"}
    import lossctl.sources.stored as module

    assert _run([*line.replace("'", "").split(), "-qq"]) == 0
    real = module.Stored.fill

    def filled(self, *more):
        real(self, *more)
        os.utime(here / names[line.split()[0]])

    monkeypatch.setattr(module.Stored, "fill", filled)
    monkeypatch.setattr(module.Stored, "stream", _streaming(module.Stored.stream, here / names[line.split()[0]]))
    assert _run(line.replace("'", "").split()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "changed while it was being read: it was written to" in err


def _streaming(real, path):
    def stream(self, *more):
        os.utime(path)
        return real(self, *more)

    return stream
