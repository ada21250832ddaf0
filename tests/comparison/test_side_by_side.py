"""Several losses on one prediction: their figures, against plain NumPy and SciPy, and the command that shows them."""

import json
import subprocess
import sys

import golden
import numpy as np
import pytest
from scipy.stats import spearmanr
from tied import beside, chosen, tie

from lossctl.comparison.side_by_side import RANKED, bytes_by_sample
from lossctl.request.options import Options

RNG = np.random.default_rng(11)
TARGET = RNG.normal(size=250)
PRED = TARGET + RNG.standard_t(3, size=250)
PROBABLE = RNG.uniform(size=(40, 6))
MASK = (RNG.uniform(size=(40, 6)) < PROBABLE).astype(float)


def top(values):
    ordered = np.sort(values)[::-1]
    return ordered[: -(-len(values) // 100)].sum() / ordered.sum()


def test_top_share_is_that_of_the_losses_summed():
    square, size, root, overlap, whole = beside(*(tie(name, PRED, TARGET) for name in ("mse", "l1", "rmse", "wape", "r2")))
    assert square.top_share == pytest.approx(top((PRED - TARGET) ** 2))
    assert size.top_share == pytest.approx(top(np.abs(PRED - TARGET)))
    assert root.top_share == square.top_share
    assert overlap.top_share is None
    assert whole.top_share is None


def test_top_share_counts_samples_by_their_weights():
    weights = RNG.uniform(size=250)
    (found,) = beside(tie("mse", PRED, TARGET), selection=chosen(weights=weights))
    assert found.top_share == pytest.approx(top(weights * (PRED - TARGET) ** 2))


def test_blocks_do_not_change_the_top_share():
    target = RNG.normal(size=(40, 20_000))
    (found,) = beside(tie("mse", np.zeros_like(target), target))
    assert found.top_share == pytest.approx(top((target**2).sum(axis=1)), rel=1e-12)


def test_rank_correlation_is_spearman_s_with_the_first():
    found = beside(*(tie(name, PRED, TARGET) for name in ("l1", "mape", "mse")), tie("pinball", PRED, TARGET, q=0.9))
    losses = np.abs(PRED - TARGET)
    assert [one.correlation for one in found[:3:2]] == [1.0, 1.0]
    assert found[1].correlation == pytest.approx(spearmanr(losses, losses / np.abs(TARGET)).statistic)
    leaning = np.where(TARGET > PRED, 0.9, 0.1) * losses
    assert found[3].correlation == pytest.approx(spearmanr(losses, leaning).statistic)


def test_rank_correlation_is_with_the_first_loss_that_samples_have():
    whole, size, square = beside(*(tie(name, PRED, TARGET) for name in ("r2", "l1", "mse")))
    assert (whole.correlation, size.correlation, square.correlation) == (None, 1.0, 1.0)


def test_samples_of_overlaps_have_their_own_losses():
    found = beside(tie("bce", PROBABLE, MASK), tie("dice", PROBABLE, MASK))
    cross = -(MASK * np.log(PROBABLE) + (1 - MASK) * np.log(1 - PROBABLE)).mean(axis=1)
    own = [beside(tie("dice", PROBABLE[i : i + 1], MASK[i : i + 1]))[0].outcome.value for i in range(40)]
    assert found[1].correlation == pytest.approx(spearmanr(cross, own).statistic)


def test_ignored_samples_are_not_ranked():
    scores, labels = RNG.normal(size=(90, 3)), np.arange(90) % 3
    one, two = beside(
        tie("cross_entropy", scores, labels, ignore_index=0), tie("focal_multiclass", scores, labels, ignore_index=0)
    )
    kept = labels != 0
    three, four = beside(tie("cross_entropy", scores[kept], labels[kept]), tie("focal_multiclass", scores[kept], labels[kept]))
    assert (one.correlation, two.correlation) == (1.0, pytest.approx(four.correlation))
    assert one.skill == pytest.approx(1 - three.outcome.value / -np.log(0.5))


def test_of_many_samples_some_are_ranked():
    target = RNG.normal(size=RANKED * 2)
    pred = target + RNG.normal(size=RANKED * 2)
    first, second = beside(tie("l1", pred, target), tie("pinball", pred, target, q=0.8))
    exact = spearmanr(np.abs(pred - target), np.where(target > pred, 0.8, 0.2) * np.abs(pred - target)).statistic
    assert first.correlation == 1.0
    assert second.correlation == pytest.approx(exact, abs=0.02)
    assert second.correlation != exact


def test_skill_is_one_at_best_and_below_zero_for_worse_than_a_constant():
    perfect, wrong = (beside(tie("mse", pred, TARGET))[0].skill for pred in (TARGET, TARGET + 5))
    assert perfect == 1
    assert wrong < -1


def test_what_may_be_below_zero_has_no_skill():
    (found,) = beside(tie("poisson_nll", np.full(5, 2.0), np.full(5, 9.0)))
    assert found.outcome.value < 0
    assert found.skill is None


def test_without_memory_for_samples_the_rest_is_the_same():
    bounds = [tie("mse", PRED, TARGET), tie("l1", PRED, TARGET)]
    full = beside(*bounds)
    tight = beside(*bounds, options=Options(max_memory=bytes_by_sample(bounds) - 1))
    assert [one.outcome.value for one in tight] == [one.outcome.value for one in full]
    assert [one.skill for one in tight] == [one.skill for one in full]
    assert [(one.top_share, one.correlation) for one in tight] == [(None, None)] * 2


def test_the_number_of_threads_changes_no_bit():
    bounds = [tie(name, PRED, TARGET) for name in ("mse", "l1", "huber", "fair", "log_cosh", "cauchy", "tukey", "mape")]
    first, second = ([one.skill for one in beside(*bounds, options=Options(jobs=jobs))] for jobs in (1, 4))
    assert first == second


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "p.npy", PRED)
    np.save(tmp_path / "t.npy", TARGET)
    (tmp_path / "g.csv").write_text("kind\n" + "\n".join("ab"[i % 2] for i in range(len(PRED))) + "\n")
    return tmp_path


def run(folder, argv, code=0):
    found = subprocess.run(
        golden.command(argv), cwd=folder, env=golden.environment(folder), capture_output=True, encoding="utf-8", check=False
    )
    assert found.returncode == code, found.stderr
    return found


def results(folder, argv):
    return json.loads(run(folder, f"{argv} --format json").stdout)["results"]


def test_command_gives_groups_as_compute_does(folder):
    found = results(folder, "compare mse,l1 p.npy t.npy --by g.csv:kind")
    plain = results(folder, "compute mse,l1 p.npy t.npy --by g.csv:kind")
    assert [{key: one[key] for key in other} for one, other in zip(found, plain, strict=True)] == plain
    assert ["skill" in one for one in found] == [True, False, False] * 2


def test_command_gives_norms_that_grad_gives(folder):
    found = results(folder, "compare mse,l1,rmse,r2,median_ae p.npy t.npy --grad")
    square = 2 * np.linalg.norm(PRED - TARGET) / 250
    assert found[0]["norm"] == pytest.approx(square)
    assert found[1]["norm"] == pytest.approx(1 / np.sqrt(250))
    assert found[2]["norm"] == pytest.approx(square / 2 / found[2]["value"])
    assert found[3]["norm"] == pytest.approx(2 * np.linalg.norm(PRED - TARGET) / ((TARGET - TARGET.mean()) ** 2).sum())
    assert found[4]["norm"] is None


def test_command_without_grad_imports_neither_torch_nor_scipy(folder):
    code = "import sys\nfrom lossctl.__main__ import main\n"
    code += "try:\n    main()\nfinally:\n    print([n for n in ('torch', 'scipy', 'rich', 'pyarrow') if n in sys.modules])\n"
    argv = [sys.executable, "-c", code, "compare", "mse,l1,huber", "p.npy", "t.npy"]
    found = subprocess.run(argv, cwd=folder, env=golden.environment(folder), capture_output=True, encoding="utf-8", check=True)
    assert found.stdout.startswith("loss\tvalue\tn\ttop_1_percent\tskill\trank_correlation")
    assert found.stdout.endswith("[]\n")


def test_command_gates_on_values(folder):
    found = run(folder, "compare mse,l1 p.npy t.npy --max mse=0.1", code=1)
    assert "gate failed: mse" in found.stderr


def test_command_says_what_memory_forbids(folder):
    pred, target = np.zeros(100_000), RNG.normal(size=100_000)
    np.save(folder / "p.npy", pred)
    np.save(folder / "t.npy", target)
    found = run(folder, "compare mse,l1 p.npy t.npy --max-memory 4")
    assert "left out top_1_percent and rank_correlation" in found.stderr
    assert found.stdout.splitlines()[1].split("\t")[3:6:2] == ["", ""]


@pytest.mark.parametrize("option", ["--cluster-by g.csv:kind", "--order g.csv:kind", "--explain g.csv:kind"])
def test_command_refuses_what_needs_two_predictions(folder, option):
    found = run(folder, f"compare mse p.npy t.npy {option}", code=2)
    assert "there is only p.npy" in found.stderr
