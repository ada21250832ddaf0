"""`--backend auto`: which library is done first, by the table that was measured."""

import math
import re
import sys

import numpy as np
import pytest

from lossctl import costs
from lossctl.binding import bind, scalars
from lossctl.blocks import BLOCK, Broadcast, Memory
from lossctl.costs import LANES, cheaper, kind_of, table
from lossctl.losses import catalogue
from lossctl.spec import Options

MADE_UP = {
    "import_seconds": 1.0,
    "nanoseconds": {
        "avx512": {"huber": {"f64": [2.0, 4.0], "native": [1.0, 2.0]}},
        "plain": {"huber": {"f64": [10.0, 2.0], "native": [1.0, 2.0]}, "mse": {"f64": [1.0, 9.0], "native": [1.0, 2.0]}},
    },
}
# As many elements as save 8 ns each, on 8 lanes, what an import takes.
EVEN = 1_000_000_000


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setattr(costs, "table", lambda: MADE_UP)


def huge(name="huber", count=EVEN, dtype=np.float64, options=None):
    """A loss of more numbers than there is memory for."""
    reader = Broadcast(Memory(np.zeros((1,), dtype)), (count,))
    return bind(catalogue()[name], {"pred": reader, "target": reader}, scalars(catalogue()[name], {}), options or Options())


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    ("count", "processor", "dtype", "backend"),
    [
        (1000, "plain", "f64", "numpy"),
        (EVEN, "plain", "f64", "numpy"),
        (EVEN + BLOCK, "plain", "f64", "torch"),
        (EVEN + BLOCK, "plain", "f32", "numpy"),
        (EVEN + BLOCK, "avx512", "f64", "numpy"),
    ],
)
def test_torch_is_taken_where_it_saves_more_than_its_import(count, processor, dtype, backend):
    assert cheaper([huge(count=count)], Options(dtype=dtype), processor) == backend


@pytest.mark.usefixtures("made_up")
def test_losses_of_one_pass_are_weighed_together():
    assert cheaper([huge(count=2 * EVEN)], Options(), "plain") == "torch"
    assert cheaper([huge(count=2 * EVEN), huge("mse", 2 * EVEN)], Options(), "plain") == "numpy"


@pytest.mark.usefixtures("made_up")
def test_what_is_not_in_the_table_changes_nothing():
    assert cheaper([huge("l1", 1 << 50)], Options(), "plain") == "numpy"
    assert cheaper([huge("l1", 1 << 50), huge(count=2 * EVEN)], Options(), "plain") == "torch"


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("jobs", [1, 2, 64])
def test_the_choice_depends_on_no_number_of_threads(jobs):
    assert cheaper([huge(count=2 * EVEN)], Options(jobs=jobs), "plain") == "torch"


@pytest.mark.usefixtures("made_up")
def test_workers_of_a_cluster_keep_to_numpy():
    assert cheaper([huge(count=2 * EVEN)], Options(cluster="local"), "plain") == "numpy"


@pytest.mark.parametrize(
    ("dtype", "array", "kind"),
    [
        ("f64", np.float32, "f64"),
        ("f32", np.float64, "native"),
        ("native", np.float32, "native"),
        ("native", np.float64, "f64"),
        ("native", np.int64, "f64"),
    ],
)
def test_the_column_is_that_of_the_type_that_is_calculated_with(dtype, array, kind):
    assert kind_of(huge(count=8, dtype=array), Options(dtype=dtype)) == kind


@pytest.mark.parametrize(("classes", "kind"), [(10, "f64"), (1000, "f64/wide")])
def test_long_rows_have_a_column_of_their_own(classes, kind):
    loss = catalogue()["cross_entropy"]
    readers = {"pred": Memory(np.zeros((2, classes))), "target": Memory(np.zeros(2, int))}
    assert kind_of(bind(loss, readers, scalars(loss, {}), Options()), Options()) == kind


def test_the_table_knows_every_loss_on_both_kinds_of_processor():
    for found in table()["nanoseconds"].values():
        assert set(found) == set(catalogue())
        assert {kind for kinds in found.values() for kind in kinds} == {"f64", "native", "f64/wide", "native/wide"}
        assert all(math.isfinite(one) and one > 0 for kinds in found.values() for pair in kinds.values() for one in pair)
    assert table()["import_seconds"] > 0
    assert "NumPy" in table()["machine"]


def test_numpy_is_taken_for_whatever_fits_into_memory():
    for name in ("mse", "huber", "bce_with_logits", "log_cosh"):
        for processor in table()["nanoseconds"]:
            assert cheaper([huge(name, 10_000_000 * LANES)], Options(), processor) == "numpy"


def test_the_processor_is_one_of_the_table():
    assert costs.processor_here() in table()["nanoseconds"]


def program(*words):
    import subprocess

    code = "import sys\nfrom lossctl.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("words", "named"), [((), "numpy"), (("--backend", "auto"), "numpy"), (("--device", "cpu"), "torch")])
def test_signatures_name_what_computed(tmp_path, words, named):
    for name in ("pred", "target"):
        np.save(tmp_path / f"{name}.npy", np.arange(4.0))
    code, out, err = program("compute", "mse", tmp_path / "pred.npy", tmp_path / "target.npy", "--format", "json", *words)
    assert code == 0, err
    assert re.search(r'"signature": "[^"]*\|backend:(\w+)\|v:', out)[1] == named
    assert "torch" not in err


def test_torch_is_said_where_it_is_taken(monkeypatch):
    from lossctl.commands.backing import SAID, settled
    from lossctl.spec import Spec

    monkeypatch.setattr(costs, "table", lambda: MADE_UP)
    monkeypatch.setattr(costs, "processor_here", lambda: "plain")
    said = []
    asked = Spec(options=Options(backend="auto"))
    assert settled(asked, [huge(count=2 * EVEN)], said.append).options.backend == "torch"
    assert said == [SAID]
    assert settled(asked, [huge(count=8)], said.append).options.backend == "numpy"
    assert settled(Spec(), [huge(count=2 * EVEN)], said.append) == Spec()
    assert said == [SAID]
