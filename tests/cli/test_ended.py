"""A process that is told to end leaves no draft, and ends as its signal ends one that does not listen."""

import os
import signal
import stat
import subprocess
from pathlib import Path
from threading import Thread

import golden
import numpy as np
import pytest

from lossctl.errors import InputError
from lossctl.sources import drafts
from lossctl.sources.drafts import atomic

SIGNALS = ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU"]
KILLED = "import os, signal\ndef send(*_): os.kill(os.getpid(), signal.{name})\n"
# Where the signal comes: as the draft is made, while it is written, as it is put in its place.
PLACES = {
    "made": "import lossctl.sources.drafts as drafts\nreal = open\n"
    "def opened(*words, **more):\n  file = real(*words, **more)\n  send()\n  return file\ndrafts.open = opened",
    "written": "import lossctl.sources.drafts as drafts\nreal = drafts.atomic\n"
    "import contextlib\n@contextlib.contextmanager\ndef atomic(path):\n  with real(path) as file:\n    file.write(b'half')\n"
    "    file.flush()\n    send()\n    yield file\ndrafts.atomic = atomic",
    "renamed": "import lossctl.sources.drafts as drafts\ndef replace(*_): send()\ndrafts.Path.replace = replace",
}


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".lossctl")]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", SIGNALS)
def test_a_killed_process_leaves_no_draft_and_the_old_file(name, place, tmp_path):
    (tmp_path / "r.json").write_text("old")
    prelude = KILLED.format(name=name) + PLACES[place]
    outcome = golden.run({"argv": "compute mse [1] [3] -o r.json", "prelude": prelude}, tmp_path)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (128 + getattr(signal, name), "", "")
    assert (tmp_path / "r.json").read_text() == "old"
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_gradient_that_is_computed_on_threads(name, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(1 << 21))
    prelude = KILLED.format(name=name) + "import lossctl.gradient.sinks as stored\nreal = stored.StoredSink.put\n"
    prelude += "def put(self, *more):\n  send()\n  real(self, *more)\nstored.StoredSink.put = put"
    outcome = golden.run({"argv": "grad mse a.npy 1 --broadcast --jobs 4 -o g.npy", "prelude": prelude}, tmp_path)
    assert (outcome.code, outcome.stdout) == (128 + getattr(signal, name), "")
    assert (hidden(tmp_path), (tmp_path / "g.npy").exists()) == ([], False)


def test_what_tensorboard_is_given_leaves_nothing_behind(tmp_path):
    prelude = KILLED.format(name="SIGTERM") + "import lossctl.gradient.profile as board\nreal = board._write_events\n"
    prelude += "def write(folder, *more):\n  real(folder, *more)\n  send()\nboard._write_events = write"
    (tmp_path / "tmp").mkdir()
    case = {"argv": "grad mse [1] [3] --tensorboard runs", "prelude": prelude, "env": {"TMPDIR": str(tmp_path / "tmp")}}
    assert golden.run(case, tmp_path).code == 128 + signal.SIGTERM
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "runs").exists()


def test_who_was_made_deaf_stays_so(tmp_path):
    prelude = KILLED.format(name="SIGHUP") + "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + PLACES["written"]
    outcome = golden.run({"argv": "compute mse [1] [3] -o r.csv -b", "prelude": prelude}, tmp_path)
    assert (outcome.code, outcome.stdout) == (0, "4.0\n")
    assert (tmp_path / "r.csv").read_text() == "halfloss,value,n\nmse,4.0,1\n"


def test_signals_are_given_back(tmp_path):
    before = {name: signal.getsignal(getattr(signal, name)) for name in SIGNALS}
    with atomic(str(tmp_path / "a")) as first:
        first.write(b"1")
        with atomic(str(tmp_path / "b")) as second:
            second.write(b"2")
        assert signal.getsignal(signal.SIGTERM) is not before["SIGTERM"]
    assert {name: signal.getsignal(getattr(signal, name)) for name in SIGNALS} == before


def test_a_draft_may_be_made_by_any_thread(tmp_path):
    def write():
        with atomic(str(tmp_path / "a")) as file:
            file.write(b"1")

    thread = Thread(target=write)
    thread.start()
    thread.join()
    assert (tmp_path / "a").read_bytes() == b"1"


def test_another_process_removes_nothing(tmp_path, monkeypatch):
    with atomic(str(tmp_path / "a")) as file:
        file.write(b"1")
        monkeypatch.setattr(os, "getpid", lambda: -1)
        drafts.remove_drafts()
        monkeypatch.undo()
        assert len(hidden(tmp_path)) == 1
    assert (tmp_path / "a").read_bytes() == b"1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize(("owner", "group", "mode"), [(1234, 5678, 0o640), (0, 5678, 0o664), (1234, 0, 0o600)])
def test_a_replaced_file_keeps_owner_group_and_mode(tmp_path, owner, group, mode):
    path = tmp_path / "r.json"
    path.write_text("old")
    os.chown(path, owner, group)
    path.chmod(mode)
    with atomic(str(path)) as file:
        file.write(b"new")
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (owner, group, mode)
    assert path.read_text() == "new"


def test_who_may_not_give_a_file_away_keeps_its_group_or_writes_all_the_same(tmp_path, monkeypatch):
    asked = []

    def refused(_, owner, group):
        asked.append((owner, group))
        raise PermissionError(1, "Operation not permitted")

    path = tmp_path / "r.json"
    path.write_text("old")
    real = Path.stat

    def foreign(self, **more):
        found = real(self, **more)
        return os.stat_result([*found[:4], 4321, 8765, *found[6:10]]) if self.name == "r.json" else found

    monkeypatch.setattr(os, "chown", refused)
    monkeypatch.setattr(Path, "stat", foreign)
    with atomic(str(path)) as file:
        file.write(b"new")
    assert asked == [(4321, 8765), (-1, 8765)]
    assert path.read_text() == "new"


def test_a_link_to_itself_is_refused_in_words(tmp_path):
    (tmp_path / "self.json").symlink_to("self.json")
    (tmp_path / "one.json").symlink_to("two.json")
    (tmp_path / "two.json").symlink_to("one.json")
    for name in ("self.json", "two.json"):
        outcome = golden.run({"argv": f"compute mse [1] [3] -o {name}"}, tmp_path)
        said = f"lossctl: '{name}' could not be written: it is a link that leads back to itself. Name another file.\n"
        assert (outcome.code, outcome.stdout, outcome.stderr) == (3, "", said)


def test_a_draft_is_no_more_open_than_the_file_will_be(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("old")
    path.chmod(0o600)
    with atomic(str(path)) as file:
        (draft,) = hidden(tmp_path)
        assert stat.S_IMODE((tmp_path / draft).stat().st_mode) == 0o600
        file.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_links_are_written_through(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "new.csv").symlink_to("far/new.csv")
    (tmp_path / "gone.csv").symlink_to("nowhere/new.csv")
    golden.run({"argv": "compute mse [1] [3] -o new.csv"}, tmp_path)
    assert (tmp_path / "far" / "new.csv").read_text() == "loss,value,n\nmse,4.0,1\n"
    assert (tmp_path / "new.csv").is_symlink()
    with pytest.raises(InputError, match=r"there is no folder '.*nowhere'"), atomic(str(tmp_path / "gone.csv")):
        pass


def test_a_pipe_gets_all_of_it(tmp_path):
    os.mkfifo(tmp_path / "out.csv")
    os.mkfifo(tmp_path / "out.npz")
    for name, argv in (("out.csv", "compute mse [1] [3]"), ("out.npz", "grad mse [1,2] [3,5]")):
        with subprocess.Popen(golden.command(f"{argv} -o {name} -q"), cwd=tmp_path, env=golden.environment(tmp_path)) as run:
            found = (tmp_path / name).read_bytes()
            assert run.wait(golden.PATIENCE) == 0
        (tmp_path / f"copy{name}").write_bytes(found)
    assert (tmp_path / "copyout.csv").read_text() == "loss,value,n\nmse,4.0,1\n"
    # The derivative of mean((p - t)^2) by p is 2 (p - t) / n.
    assert np.load(tmp_path / "copyout.npz")["pred"].tolist() == [-2.0, -3.0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-o full.csv", "'full.csv' could not be written: No space left on device"),
        ("--partial /dev/full", "'/dev/full' could not be written: No space left on device"),
        ("--summary /dev/full", "The summary '/dev/full' could not be written: No space left on device"),
        (f"-o {'n' * 260}.csv", "could not be written: File name too long"),
        ("-o no/r.csv", "there is no folder 'no'"),
        ("--summary no/r.md", "there is no folder 'no'"),
        ("--partial no/r.json", "there is no folder 'no'"),
        ("-o folder.csv", "it is no ordinary file"),
        ("--summary folder.csv", "it is no ordinary file"),
        ("--partial folder.csv", "it is no ordinary file"),
        ("-o file/r.csv", "Not a directory"),
    ],
)
def test_what_cannot_be_written_is_code_3_and_no_result(words, said, tmp_path):
    (tmp_path / "full.csv").symlink_to("/dev/full")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    outcome = golden.run({"argv": f"compute mse [1] [3] {words}"}, tmp_path)
    assert (outcome.code, outcome.stdout) == (3, "")
    assert said in outcome.stderr
    assert hidden(tmp_path) == []


def test_nothing_goes_nowhere(tmp_path):
    (tmp_path / "null.csv").symlink_to("/dev/null")
    argv = "compute mse [1] [3] -b -o null.csv --summary /dev/null"
    outcome = golden.run({"argv": argv}, tmp_path)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "4.0\n", "")
    assert (tmp_path / "null.csv").is_symlink()
    assert golden.run({"argv": "compute mse [1] [3] -b --partial /dev/null"}, tmp_path).code == 0


def test_standard_output_is_a_place_for_a_summary(tmp_path):
    with (tmp_path / "out").open("wb") as out:
        words = golden.command("compute mse [1] [3] -b --summary /dev/stdout")
        subprocess.run(words, cwd=tmp_path, env=golden.environment(tmp_path), stdout=out, check=True)
    assert (tmp_path / "out").read_text().startswith("## lossctl compute")
    assert (tmp_path / "out").read_text().endswith("4.0\n")


def test_a_reader_that_has_gone_leaves_the_files(tmp_path):
    script = "set -o pipefail; lossctl compute mse '[1]' '[3]' -o r.csv --summary s.md | (exec <&-; sleep 2)"
    seen = subprocess.run(
        ["/bin/bash", "-c", script], cwd=tmp_path, env=golden.environment(tmp_path), capture_output=True, check=False
    )
    assert (seen.returncode, seen.stderr) == (141, b"")
    assert (tmp_path / "r.csv").read_text() == "loss,value,n\nmse,4.0,1\n"
    assert (tmp_path / "s.md").read_text().startswith("## lossctl compute")


def test_a_summary_that_does_not_fit_is_taken_back(tmp_path):
    (tmp_path / "s.md").write_text("before\n")
    prelude = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))"
    outcome = golden.run({"argv": "compute mse [1] [3] --summary s.md", "prelude": prelude}, tmp_path)
    assert (outcome.code, outcome.stdout) == (3, "")
    assert "The summary 's.md' could not be written: File too large" in outcome.stderr
    assert (tmp_path / "s.md").read_text() == "before\n"


def test_outputs_appear_together_or_not_at_all(tmp_path):
    (tmp_path / "null.csv").symlink_to("/dev/null")
    prelude = "def broken(*_): raise OSError(28, 'No space left on device')\n"
    prelude += "import lossctl.report as output\nreal = output.render\n"
    prelude += "def render(report, kind, style):\n  if kind == 'markdown': broken()\n  return real(report, kind, style)\n"
    prelude += "output.render = render"
    outcome = golden.run({"argv": "grad mse [1] [3] -o g.npy -o r.csv -o r.md", "prelude": prelude}, tmp_path)
    assert (outcome.code, outcome.stdout) == (3, "")
    assert [path.name for path in tmp_path.iterdir() if path.name[0] in "gr."] in ([], [".bin"])


def test_many_writers_of_one_file_leave_one_whole_result(tmp_path):
    words = golden.command("compute mse [1] [3] -o r.json -q")
    runs = [
        subprocess.Popen(words, cwd=tmp_path, env=golden.environment(tmp_path), stdout=subprocess.DEVNULL) for _ in range(3)
    ]
    assert [run.wait(golden.PATIENCE) for run in runs] == [0, 0, 0]
    assert '"value": 4.0' in (tmp_path / "r.json").read_text()
    assert (tmp_path / "r.json").read_text().endswith("}\n")
    assert hidden(tmp_path) == []
