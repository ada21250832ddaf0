"""Files of gradients: every format holds the same, and whatever fails leaves none behind."""

import numpy as np
import pytest
from differentiating import answered, printed

from lossctl.errors import GateFailed, LossctlError, NotFinite, UsageError

pytestmark = pytest.mark.usefixtures("small_blocks")
RNG = np.random.default_rng(17)
N = 40


@pytest.fixture
def argv(save):
    pair = {"pred": RNG.normal(size=(N, 3)).astype(np.float32), "target": RNG.normal(size=(N, 3))}
    return ["mse", *save(**pair), "--wrt", "all", "-q"]


def table_of(columns, name):
    return np.stack([columns[f"{name}_{number}"] for number in range(3)], axis=1)


def read(path):
    """Both gradients in a file."""
    if path.suffix == ".csv":
        columns = np.genfromtxt(path, delimiter=",", names=True)
    elif path.suffix == ".parquet":
        from pyarrow import parquet

        table = parquet.read_table(path)
        columns = {name: table[name].to_numpy() for name in table.column_names}
    elif path.suffix == ".npz":
        with np.load(path) as archive:
            return dict(archive)
    else:
        from safetensors.numpy import load_file

        return load_file(path)
    return {name: table_of(columns, name) for name in ("pred", "target")}


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("jobs", [1, 4])
def test_all_formats_at_once(argv, folder, jobs):
    outputs = [folder / f"g.{suffix}" for suffix in ("csv", "npz", "parquet", "safetensors")]
    printed(*argv, "--jobs", jobs, *(word for path in outputs for word in ("-o", path)))
    pred, target = np.load("pred.npy"), np.load("target.npy")
    wanted = 2 * (pred - target) / pred.size
    for path in outputs:
        found = read(path)
        np.testing.assert_array_equal(found["pred"].astype(np.float32), wanted.astype(np.float32))
        np.testing.assert_allclose(found["target"], -wanted, rtol=1e-14)


def test_one_array_in_npy(argv, folder):
    printed(*argv[:3], "-q", "-o", folder / "a.npy", "-o", folder / "b.npy")
    assert np.load("a.npy").dtype == np.float32
    assert (folder / "a.npy").read_bytes() == (folder / "b.npy").read_bytes()


def test_what_fails_in_the_middle_leaves_nothing(argv, folder):
    target = np.load("target.npy")
    target[N - 1, 2] = np.nan
    np.save("target.npy", target)
    before = names(folder)
    with pytest.raises(NotFinite):
        printed(*argv, "-o", folder / "g.npz", "-o", folder / "g.csv", "-o", folder / "g.json")
    assert names(folder) == before


def test_a_failure_of_the_second_pass_leaves_what_was_there(argv, folder, monkeypatch):
    from lossctl.gradient import gathering

    (folder / "g.npz").write_bytes(b"old")
    before, parts = names(folder), []

    def failing(*given):
        parts.append(given)
        if len(parts) > 5:
            raise MemoryError
        return real(*given)

    real = gathering.look
    monkeypatch.setattr(gathering, "look", failing)
    with pytest.raises(MemoryError):
        printed(*argv, "-o", folder / "g.npz", "-o", folder / "g.parquet")
    assert len(parts) > 5
    assert names(folder) == before
    assert (folder / "g.npz").read_bytes() == b"old"


@pytest.mark.parametrize("output", ["g.npy", "no/g.npz", "g.xyz", "target.npy"])
def test_what_cannot_be_written_is_said_before_anything_is_there(argv, folder, output):
    before = names(folder)
    with pytest.raises(LossctlError):
        printed(*argv, "-o", "fine.npz", "-o", output)
    assert names(folder) == before


@pytest.mark.parametrize("option", ["--by", "--weights", "--mask"])
def test_what_selects_is_an_input_too(argv, folder, option):
    np.save("w.npy", np.ones(N, int))
    with pytest.raises(UsageError, match="would write over an input"):
        printed(*argv, option, "w.npy", "-o", "w.npy")
    assert np.load("w.npy").tolist() == [1] * N
    assert folder


def test_a_gate_that_fails_is_told_after_the_file_is_written(argv, folder):
    assert isinstance(printed(*argv, "--max", "pred.norm=0", "-o", folder / "g.npz").error, GateFailed)
    assert (folder / "g.npz").exists()


def test_a_shared_input_is_written_once(save, folder):
    paths = save(pred=RNG.normal(size=N), a=RNG.normal(size=N), b=RNG.normal(size=N))
    assert paths
    (folder / "spec.yaml").write_text(
        "terms:\n- {name: a, loss: mse, inputs: {pred: pred.npy, target: a.npy}}\n"
        "- {name: b, loss: mse, inputs: {pred: pred.npy, target: b.npy}}\n"
    )
    document = answered("spec.yaml", "-o", "g.npy")
    np.testing.assert_allclose(np.load("g.npy"), document["gradient"], rtol=1e-15)
