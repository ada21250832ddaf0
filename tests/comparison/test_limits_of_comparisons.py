"""The numbers that decide what of a comparison is shown, drawn or said, on both sides of each."""

import numpy as np
import pytest
from asking import compared, document, save
from scipy.stats import spearmanr
from tied import beside, tie

from lossctl.comparison.judging import noise
from lossctl.comparison.side_by_side import RANKED, Beside
from lossctl.engine.reduce import Outcome


@pytest.mark.parametrize(("runs", "few"), [(4, True), (5, False)])
def test_fewer_than_five_runs_are_few(folder, runs, few):
    rng = np.random.default_rng(runs)
    target = rng.normal(size=30)
    save(folder, t=target, **{f"r{run}": target + rng.normal(size=30) for run in range(runs)})
    sources = [f"r{run}.npy" for run in range(runs)]
    report, _, said = compared("mse", sources, target="t.npy", suggest_tol=True)
    assert noise([float(run) for run in range(runs)], 0.05).few is few
    assert report.document["tolerances"][0]["few"] is few
    assert any("hardly show how far runs differ" in line for line in said) is few


@pytest.mark.parametrize(
    ("tolerance", "typed"), [(0.0121, "0.013"), (0.25, "0.25"), (0.0999, "0.1"), (123.0, "130"), (0.0, "0")]
)
def test_a_tolerance_is_rounded_up_to_two_digits(tolerance, typed):
    from dataclasses import replace

    found = replace(noise([1.0, 2.0], 0.05), tolerance=tolerance, mean=0.0)
    assert found.gates("mse") == (f"--max-abs mse={typed}",)
    relative = replace(found, mean=-100.0).gates("mse")[0]
    assert relative.startswith("--max-rel mse=")
    assert float(relative.partition("=")[2].rstrip("%")) >= tolerance


@pytest.mark.parametrize(("n", "exact"), [(RANKED, True), (RANKED + 1, False)])
def test_beyond_fifty_thousand_samples_some_are_ranked(n, exact):
    assert RANKED == 50_000
    rng = np.random.default_rng(3)
    target = rng.normal(size=n)
    pred = target + rng.normal(size=n)
    found = beside(tie("l1", pred, target), tie("pinball", pred, target, q=0.8))[1].correlation
    size = np.abs(pred - target)
    wanted = spearmanr(size, np.where(target > pred, 0.8, 0.2) * size).statistic
    assert (abs(found - wanted) < 1e-12) == exact
    assert found == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(("n", "counted"), [(100, 1), (101, 2), (200, 2), (201, 3)])
def test_the_top_hundredth_of_samples_is_rounded_up(n, counted):
    target = np.arange(1.0, n + 1)
    (found,) = beside(tie("l1", np.zeros(n), target))
    assert found.top_share == pytest.approx(target[-counted:].sum() / target.sum(), rel=1e-12)


@pytest.mark.parametrize(("classes", "shown"), [(4, "-1.386, -1.386, -1.386, -1.386"), (5, "5 numbers")])
def test_the_best_scores_of_more_than_four_classes_are_counted(folder, classes, shown):
    rng = np.random.default_rng(classes)
    save(folder, p=rng.normal(size=(20 * classes, classes)), t=np.arange(20 * classes) % classes)
    report = compared("cross_entropy", ["p.npy"], target="t.npy")[0]
    assert report.rows[0]["best_constant"] == shown
    assert report.document["results"][0]["best_constant"] == pytest.approx([-np.log(classes)] * classes)


@pytest.mark.parametrize(
    ("value", "constant", "higher", "skill"),
    [
        (1.0, 4.0, False, 0.75),
        (4.0, 4.0, False, 0.0),
        (0.0, 4.0, False, 1.0),
        (1.0, 0.0, False, None),
        (-1.0, 4.0, False, None),
        (1.0, 4.0, True, None),
    ],
)
def test_skill_is_of_losses_that_are_not_below_zero(value, constant, higher, skill):
    from lossctl.comparison.constant import Constant

    best = Constant(np.zeros(1), constant)
    assert Beside(Outcome(value, 3), constant=best, better_high=higher).skill == skill
    assert Beside(Outcome(value, 3)).skill is None


@pytest.mark.usefixtures("systems")
def test_norms_stand_where_they_are_asked_for():
    plain, asked = (document("mse", ["a.npy"], target="t.npy", grad=grad)["results"][0] for grad in (False, True))
    assert "norm" not in plain
    assert asked["norm"] > 0
    table = compared("mse", ["a.npy"], target="t.npy", grad=True)[0]
    assert table.columns[:4] == ("loss", "value", "n", "norm")


@pytest.mark.parametrize(("options", "gate"), [({"min_coverage": 0.9}, True), ({"min_coverage": 0.91}, False)])
def test_the_least_coverage_of_any_system_counts(systems, folder, options, gate):
    systems["b"][:6] = np.nan
    save(folder, **systems)
    report, error, _ = compared("mse", ["a.npy", "b.npy", "c.npy"], target="t.npy", nan="skip", **options)
    assert (error is None) is gate
    assert bool(report.document["checks"]) is not gate
