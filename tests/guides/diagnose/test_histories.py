"""What comes out of files: the columns of many tools, gaps, order, and what is wrong with a file."""

import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from lossctl.errors import LossctlError, MissingFile, ShapeMismatch, UnknownKey, UnreadableFile, UsageError
from lossctl.guides.diagnose.reading import KNOWN, find, read, spelt
from lossctl.guides.diagnose.reading import WantedColumns as Wanted


@pytest.fixture
def history(tmp_path):
    def make(text, name="h.csv", **more):
        path = tmp_path / name
        path.write_text(text)
        return read(str(path), Wanted(**more))

    return make


def pairs(series):
    return list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


def test_a_table_with_gaps(history):
    found = history("step,loss,val_loss,lr,grad_norm\n10,3,,1e-3,2\n20,2,2.5,1e-3,NA\n30,1,null,,1\n")
    assert pairs(found.loss) == [(10, 3), (20, 2), (30, 1)]
    assert pairs(found.val) == [(20, 2.5)]
    assert pairs(found.lr) == [(10, 1e-3), (20, 1e-3)]
    assert pairs(found.grad_norm) == [(10, 2), (30, 1)]
    assert found.columns == {"step": "step", "loss": "loss", "val": "val_loss", "lr": "lr", "grad_norm": "grad_norm"}


def test_nan_is_a_loss_and_blank_is_none(history):
    found = history("step,loss\n1,2\n2,nan\n3,\n4,inf\n")
    assert found.loss.steps.tolist() == [1, 2, 4]
    assert np.isnan(found.loss.values[1])
    assert found.loss.values[2] == np.inf


LOGGED = [2.3 * 0.9**step for step in range(20)]


def written(last, more="", heads="step,loss,lr"):
    """A table of 20 losses, and behind it rows of another kind; a comma stands for each further column."""
    rows = [f"{step},{loss},.1{more}" for step, loss in enumerate(LOGGED, 1)]
    return "\n".join([heads, *rows, *(last.format(step) for step in range(21, 31))]) + "\n"


@pytest.mark.parametrize(
    ("text", "name", "steps"),
    [
        (written("{},,.1"), "h.csv", (21, 30)),
        (written("{},NA,.1"), "h.csv", (21, 30)),
        # A single column: pandas writes "" then, since a blank line would be none.
        ("loss\n" + "".join(f"{loss}\n" for loss in LOGGED) + '""\n' * 10, "h.csv", (21, 30)),
        (json.dumps({"loss": LOGGED + [None] * 10}), "h.json", (21, 30)),
        ("".join(json.dumps({"step": n, "loss": x}) + "\n" for n, x in enumerate(LOGGED + [None] * 9)), "h.jsonl", (20, 28)),
        # Validation that is blank as well.
        (written("{},,.1,", ",2.5", "step,loss,lr,val_loss"), "h.csv", (21, 30)),
        # In the middle of a log that has a loss in every other row.
        (written("{},,.1") + "".join(f"{step},1,.1\n" for step in range(31, 60)), "h.csv", (21, 30)),
    ],
)
def test_losses_that_end_in_blanks_are_nan(history, text, name, steps):
    found = history(text, name)
    wrong = found.loss.steps[np.isnan(found.loss.values)]
    assert (wrong[0], wrong[-1], len(wrong)) == (*steps, steps[1] - steps[0] + 1)
    assert found.notes[-1] == (
        f"{len(wrong)} losses from step {steps[0]} to {steps[1]} are blank while the log goes on: "
        "taken as NaN, which pandas writes so"
    )


@pytest.mark.parametrize(
    "text",
    [
        # Rows about something that no row with a loss holds: accuracy, or a validation.
        written("{},,,.5", ",", "step,loss,lr,accuracy"),
        written("{},,,2.5", ",", "step,loss,lr,val_loss"),
        # A validation loss in every row goes on.
        written("{},,.1,2.5", ",2.5", "step,loss,lr,val_loss"),
        # A summary in the last two rows.
        "\n".join(written("{},,.1").splitlines()[:23]) + "\n",
        # A loss in every tenth row.
        "step,loss,lr\n" + "".join(f"{step},{'' if step % 10 else 2.5},.1\n" for step in range(120)),
    ],
)
def test_other_blanks_are_gaps(history, text):
    found = history(text)
    assert np.isfinite(found.loss.values).all()
    assert found.notes == ()


def test_nan_beside_a_validation_loss_is_a_gap(history):
    found = history("step,loss,val_loss\n1,2,nan\n1,nan,2.5\n2,1.5,nan\n2,nan,2.25\n3,nan,nan\n")
    assert pairs(found.loss)[:2] == [(1, 2), (2, 1.5)]
    assert np.isnan(found.loss.values[2])
    assert pairs(found.val.finite()) == [(1, 2.5), (2, 2.25)]


def test_a_resumed_run_is_sorted_and_the_last_counts(history):
    found = history("step,loss\n1,5\n2,4\n3,9\n2,3\n3,2\n4,1\n")
    assert pairs(found.loss) == [(1, 5), (2, 3), (3, 2), (4, 1)]
    assert found.notes == (
        "steps go back 1 time, as in a resumed run; they are sorted",
        "2 losses are at a step that has another; the last of a step counts",
    )


def test_the_last_of_many_at_one_step_counts(history):
    rows = [f"{step},{value}" for value in range(3) for step in range(100)]
    found = history("step,loss\n" + "\n".join(rows) + "\n")
    assert found.loss.values.tolist() == [2] * 100


def test_rows_are_the_steps_where_there_are_only_epochs(history):
    found = history("epoch,loss\n1,6\n1,5\n1,4\n2,3\n2,2\n2,1\n")
    assert pairs(found.loss) == [(1, 6), (2, 5), (3, 4), (4, 3), (5, 2), (6, 1)]
    assert found.columns["step"] == "row numbers"
    assert found.notes == ()


def test_epochs_with_one_row_each_are_the_steps(history):
    assert history("epoch,loss\n10,2\n20,1\n").loss.steps.tolist() == [10, 20]


def test_a_trainer_s_state(history):
    log = [
        {"step": 10, "epoch": 0.1, "loss": 3.0, "learning_rate": 5e-5, "grad_norm": 1.5},
        {"step": 10, "epoch": 0.1, "eval_loss": 2.9, "eval_runtime": 4.0},
        {"step": 20, "epoch": 0.2, "loss": float("nan"), "learning_rate": 4e-5, "grad_norm": 1.0},
        {"step": 20, "epoch": 0.2, "train_loss": 2.7, "total_flos": 1e9},
    ]
    state = {"best_metric": None, "global_step": 20, "is_world_process_zero": True, "log_history": log}
    found = history(json.dumps(state), "trainer_state.json")
    assert found.loss.steps.tolist() == [10, 20]
    assert np.isnan(found.loss.values[1])
    assert pairs(found.val) == [(10, 2.9)]
    assert pairs(found.lr) == [(10, 5e-5), (20, 4e-5)]
    assert found.columns["loss"] == "log_history.loss"


def test_a_table_of_lightning(history):
    found = history("epoch,lr-Adam,step,train_loss,val_loss\n,0.1,49,,\n0,,49,2.0,\n0,,99,,1.5\n1,,149,1.0,\n")
    assert pairs(found.loss) == [(49, 2), (149, 1)]
    assert pairs(found.val) == [(99, 1.5)]
    assert pairs(found.lr) == [(49, 0.1)]


def test_a_history_of_keras(history):
    found = history('{"loss": [3, 2], "val_loss": [3.5, 2.5], "learning_rate": [0.1, 0.1]}', "h.json")
    assert pairs(found.loss) == [(1, 3), (2, 2)]
    assert pairs(found.val) == [(1, 3.5), (2, 2.5)]


@pytest.mark.parametrize("name", ["log.jsonl", "log.ndjson", "log"])
def test_json_lines(history, name):
    found = history('{"step": 1, "train/loss": 3}\n\n{"step": 2, "val/loss": 2.5}\n{"step": 3, "train/loss": NaN}\n', name)
    assert found.loss.steps.tolist() == [1, 3]
    assert pairs(found.val) == [(2, 2.5)]


def test_a_lone_column_is_the_loss(history):
    assert pairs(history("3\n2\n1\n").loss) == [(1, 3), (2, 2), (3, 1)]
    assert pairs(history("whatever\n3\n2\n").loss) == [(1, 3), (2, 2)]
    assert pairs(history("[3, 2]", "h.json").loss) == [(1, 3), (2, 2)]


def test_columns_by_name(tmp_path, history):
    text = "t,a,b,loss\n1,2,3,4\n2,3,4,5\n"
    found = history(text, names={"step": "t", "loss": "a", "val": "b"})
    assert pairs(found.loss) == [(1, 2), (2, 3)]
    assert pairs(found.val) == [(1, 3), (2, 4)]
    assert read(f"{tmp_path}/h.csv:b", Wanted()).loss.values.tolist() == [3, 4]


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"step\tloss\n1\t2\n")))
    assert pairs(read("-", Wanted()).loss) == [(1, 2)]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(MissingFile, match="closed"):
        read("-", Wanted())


def test_the_format_may_be_named(history):
    assert pairs(history('{"loss": 2}\n{"loss": 1}\n', "log.txt", in_format="jsonl").loss) == [(1, 2), (2, 1)]


@pytest.mark.parametrize(
    ("text", "name", "kind", "message"),
    [
        ("step,acc\n1,2\n", "h.csv", UnknownKey, "Its columns are: step, acc."),
        ("step,loss\n1,two\n", "h.csv", UnreadableFile, "line 2, column 'loss': 'two' is not a number"),
        ("step,loss\n1,2\nx,2\n", "h.csv", UnreadableFile, "line 3, column 'step': 'x' is not a number"),
        ("", "h.csv", UnreadableFile, "is empty"),
        ("step,loss,Loss\n1,2,3\n", "h.csv", UnknownKey, "2 columns that could be the loss: loss, Loss. Name one with --loss."),
        ('{"loss": [1, "x"]}', "h.json", UnreadableFile, "entry 2 of 'loss': 'x' is not a number"),
        ('{"loss": [1, 2], "val_loss": [1]}', "h.json", ShapeMismatch, "'val_loss' has 1 values, but 'loss' has 2"),
        ('{"best": 3}', "h.json", UnknownKey, "no column that is known as a loss. A history has"),
        ('{"loss": 1}\nnonsense\n', "h.jsonl", UnreadableFile, "line 2, is not JSON"),
        ('{"loss": 1}\n[1]\n', "h.jsonl", UnreadableFile, "line 2, is [1] and no object"),
    ],
)
def test_what_is_wrong_with_a_file(history, text, name, kind, message):
    with pytest.raises(kind) as caught:
        history(text, name)
    assert message in caught.value.paragraph()


def test_a_column_that_is_not_there(history):
    with pytest.raises(UnknownKey, match="no column 'trian_loss'") as caught:
        history("step,train_loss\n1,2\n", names={"loss": "trian_loss"})
    assert "Did you mean 'train_loss'?" in caught.value.hint


def test_what_is_no_file(tmp_path):
    with pytest.raises(MissingFile):
        read(str(tmp_path / "none.csv"), Wanted())
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("loss\n1\n")
    with pytest.raises(UsageError, match="2 files"):
        read(str(tmp_path / "*.csv"), Wanted())
    with pytest.raises(UsageError, match="no file"):
        read("[1, 2]", Wanted())


@pytest.mark.parametrize(
    ("name", "words"),
    [("trainLoss", "train loss"), ("train/loss", "train loss"), ("log_history.eval_loss", "eval loss"), ("lr-Adam", "lr adam")],
)
def test_spelling(name, words):
    assert spelt(name) == words


def test_the_best_known_name_wins():
    assert find("loss", ["val_loss", "train_loss", "loss"], "", "h") == 2
    assert find("lr", ["loss", "lr-SGD/pg1"], "", "h") == 1
    assert find("val", ["loss"], "", "h") is None


def test_no_name_is_known_for_two_roles():
    names = [name for known in KNOWN.values() for name in known]
    assert len(set(names)) == len(names)
    assert all(spelt(name) == name for name in names)


def test_any_bytes_are_read_or_refused(tmp_path):
    random = np.random.default_rng(0)
    for number in range(60):
        path = tmp_path / f"h{number}"
        path.write_bytes(random.choice(np.frombuffer(b'loss,step\n{}[]:"1.\xff\0', np.uint8), 40).tobytes())
        try:
            found = read(str(path), Wanted())
        except LossctlError:
            continue
        assert len(found.loss.steps) == len(found.loss.values)
