"""`check`: saved results held against other thresholds and baselines, and suites of specs."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from lossctl.cli.program import program
from lossctl.errors import BadParameter, MissingFile, UsageError

N = 400


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command line in an empty folder, and returns the rows of `checks` and the error it ends with."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(7)
    target = rng.normal(size=N)
    for name, noise in (("base", 0.5), ("same", 0.5), ("worse", 0.8)):
        np.save(f"{name}.npy", target + noise * rng.normal(size=N))
    np.save("target.npy", target)

    def lossctl(line, *more):
        printed = program()([*line.split(), *more, "-f", "json", "-q"], prog_name="lossctl", standalone_mode=False)
        return json.loads(printed.text)["checks"], printed.error

    return lossctl


@pytest.fixture
def saved(run):
    """Results of all three predictions, with their samples."""
    for name in ("base", "same", "worse"):
        run(f"compute mse,l1 {name}.npy target.npy --per-sample --stats -o {name}.json")
    return run


def code(error):
    return error.code if error else 0


def squares(name):
    return (np.load(f"{name}.npy") - np.load("target.npy")) ** 2


def test_other_thresholds_without_computing(saved, tmp_path):
    for path in tmp_path.glob("*.npy"):
        path.unlink()
    value = json.loads((tmp_path / "base.json").read_text())["results"][0]["value"]
    above = math.nextafter(value, 1)
    assert code(saved("check base.json --max", f"mse={value!r}")[1]) == 0
    checks, error = saved("check base.json --min", f"mse={above!r}")
    assert (code(error), checks[0]["passed"], checks[0]["value"]) == (1, False, value)
    assert checks[0]["file"] == "base.json"


@pytest.mark.parametrize("key", ["mse", "MSELoss", "mse.p95", "l1.std", "l2.max"])
def test_results_go_by_the_names_that_compute_knows(saved, key):
    here = saved(f"compute mse,l1 base.npy target.npy --stats --max {key.replace('MSELoss', 'mse').replace('l2', 'mse')}=9")[0]
    assert saved(f"check base.json --max {key}=9")[0][0]["value"] == here[0]["value"]


def test_an_unknown_key_has_near_names(saved):
    with pytest.raises(BadParameter):
        raise saved("check base.json --max msee=1")[1]
    checks, error = saved("check base.json --max msee=1")
    assert code(error) == 2
    assert "Did you mean 'mse'?" in checks[0]["message"]


def test_parameters_groups_terms_and_figures_have_names(run, tmp_path):
    np.savetxt("site.csv", np.arange(N) % 2, header="site", comments="", fmt="%d")
    run("compute huber:delta=0.5 base.npy target.npy --by site.csv:site -o huber.json")
    checks, error = run("check huber.json --max huber:delta=0.5=9 --max huber:delta=0.5@1=9 --max huber=9")
    assert (code(error), len({check["value"] for check in checks})) == (0, 2)
    terms = "terms: [{name: a, loss: mse}, {loss: l1, weight: 2}]\ninputs: {pred: base.npy, target: target.npy}\n"
    (tmp_path / "sum.yaml").write_text(terms)
    run("compute sum.yaml -o sum.json")
    checks, _ = run("check sum.json --max a=9 --max l1=9 --max total=9")
    assert checks[0]["value"] + 2 * checks[1]["value"] == pytest.approx(checks[2]["value"])
    run("grad mse base.npy target.npy -o grad.json")
    checks, _ = run("check grad.json --max pred.norm=9 --max mse.norm=9")
    assert checks[0]["value"] == pytest.approx(2 * math.sqrt(squares("base").sum()) / N)
    assert checks[1]["value"] == checks[0]["value"]


def test_what_a_result_said_is_said_again(run):
    first, _ = run("compute mse base.npy target.npy --max mse=0.01 --min mse=0.01 -o r.json")
    again, error = run("check r.json")
    assert [{"file": "r.json", **check} for check in first] == again
    assert code(error) == 1


def test_a_result_without_gates_checks_nothing(saved):
    checks, error = saved("check base.json")
    assert code(error) == 2
    assert "nothing would be checked" in checks[0]["message"]


def test_margins_against_a_saved_baseline(saved):
    change = squares("worse").mean() / squares("base").mean() - 1
    assert code(saved(f"check worse.json --against base.json --max-rel mse={change * 101}%")[1]) == 0
    assert code(saved(f"check worse.json --against base.json --max-rel mse={change * 99}%")[1]) == 1
    assert code(saved(f"compute mse worse.npy target.npy --against base.json --max-rel mse={change * 99}%")[1]) == 1
    assert code(saved("check base.json --against worse.json --max-abs mse=0")[1]) == 0


def test_significance_is_that_of_scipy(saved):
    away = squares("worse") - squares("base")
    check = saved("check worse.json --against base.json --require mse=sig")[0][0]
    assert (check["passed"], check["p"]) == (False, pytest.approx(stats.ttest_1samp(away, 0).pvalue, abs=1e-3))
    away = squares("same") - squares("base")
    check = saved("check same.json --against base.json --require mse=sig")[0][0]
    assert check["p"] == pytest.approx(stats.ttest_1samp(away, 0).pvalue, abs=0.02)
    low, high = stats.t.interval(0.9, N - 1, away.mean(), stats.sem(away))
    assert (check["low90"], check["high90"]) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_what_is_judged_at_once_is_corrected(saved):
    alone = saved("check same.json --against base.json --require l1=sig")[0][0]["p"]
    both = saved("check same.json --against base.json --require sig")[0]
    assert [check["key"] for check in both] == ["mse", "l1"]
    assert max(check["p"] for check in both) >= alone
    assert min(check["p"] for check in both) == min(
        1.0, 2 * min(alone, saved("check same.json --against base.json --require mse=sig")[0][0]["p"])
    )


@pytest.mark.parametrize(("margin", "noninf", "equiv"), [(0.2, 0, 0), (0.005, 5, 5)])
def test_noninferior_and_equivalent(saved, margin, noninf, equiv):
    line = f"check same.json --against base.json --max-abs mse={margin}"
    assert code(saved(f"{line} --require noninf")[1]) == noninf
    checks, error = saved(f"{line} --require equiv")
    assert code(error) == equiv
    assert ("needed" in checks[0]) is bool(equiv)
    assert code(saved(line.replace("same", "worse") + " --require noninf")[1]) == (1 if margin < 0.1 else saved and 1)


@pytest.mark.parametrize(
    ("now", "base", "why"),
    [
        ("mse base.npy target.npy", "mse base.npy target.npy --per-sample", "now.json does not hold all samples"),
        ("mse base.npy target.npy --worst 9", "mse base.npy target.npy --per-sample", "now.json does not hold all samples"),
        ("rmse base.npy target.npy --per-sample", "rmse same.npy target.npy --per-sample", "no mean of its samples"),
        ("mse base.npy target.npy --per-sample", "mse target.npy base.npy --per-sample", "different targets"),
        ("mse short.npy short.npy --per-sample", "mse base.npy target.npy --per-sample", "different samples"),
    ],
)
def test_what_cannot_be_paired_is_undecided_and_says_why(run, now, base, why):
    np.save("short.npy", np.ones(3))
    run(f"compute {now} -o now.json")
    run(f"compute {base} -o base.json")
    checks, error = run("check now.json --against base.json --max-abs", f"{now.split()[0]}=0.1", "--require", "noninf")
    assert (code(error), checks[0]["passed"]) == (5, None)
    assert why in checks[0]["message"]
    assert "--per-sample" in error.hint


def test_a_single_sample_decides_nothing(run, tmp_path):
    for name, text in (("a", "[1.0]"), ("b", "[2.0]"), ("target", "[0.5]")):
        (tmp_path / f"{name}.json").write_text(text)
    for name in "ab":
        run(f"compute mse {name}.json target.json --per-sample -o {name}.result.json")
    checks, error = run("check b.result.json --against a.result.json --max-abs mse=1 --require noninf")
    assert (code(error), checks[0]["passed"]) == (5, None)
    assert "a single sample" in checks[0]["message"]


def test_a_few_samples_are_judged_by_students_interval(run):
    away = np.array([0.1, 0.3, -0.2, 0.4])
    for name, values in (("now", 1 + away), ("base", np.ones(4))):
        np.save("few.npy", values)
        np.save("zero.npy", np.zeros(4))
        run(f"compute l1 few.npy zero.npy --per-sample -o {name}.json")
    check = run("check now.json --against base.json --max-abs l1=1 --require noninf")[0][0]
    low, high = stats.t.interval(0.9, 3, away.mean(), stats.sem(away))
    assert (check["low90"], check["high90"]) == pytest.approx((low, high))


def test_samples_are_matched_by_id(run, tmp_path):
    rows = [f"{name},{pred},{target}" for name, pred, target in zip("abcd", (1, 2, 3, 4), (1, 2, 2, 2), strict=True)]
    for name, order in (("now", rows), ("base", rows[::-1])):
        (tmp_path / f"{name}.csv").write_text("id,pred,target\n" + "\n".join(order) + "\n")
        run(f"compute mse {name}.csv:pred {name}.csv:target --on id --per-sample -o {name}.json")
    check = run("check now.json --against base.json --require sig")[0][0]
    assert (check["p"], check["low"], check["high"]) == (1.0, 0.0, 0.0)


def test_a_comparison_is_judged_by_its_own_baseline(run):
    line = "compare mse base.npy worse.npy -t target.npy --max-rel mse=5% --require noninf"
    first, error = run(f"{line} -o compared.json")
    again, _ = run("check compared.json --max-rel mse=5% --require noninf")
    assert code(error) == 1
    assert [{"file": "compared.json", **check} for check in first] == again
    assert code(run("check compared.json --max mse[worse]=9 --max mse[base]=0.01")[1]) == 1
    assert "Compare again with --alpha 0.1" in run("check compared.json --require sig --alpha 0.1")[0][0]["message"]


def test_no_baseline_no_file_no_json(saved, tmp_path):
    assert "--against BASE.json" in saved("check base.json --max-abs mse=1")[0][0]["message"]
    assert code(saved("check base.json --against gone.json --max-abs mse=1")[1]) == MissingFile.code
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    for name, said in (("list", "no result of lossctl"), ("broken", "is no JSON")):
        checks, error = saved(f"check {name}.json --max mse=1")
        assert code(error) == 3
        assert said in checks[0]["message"]


def test_a_baseline_is_not_overwritten(saved):
    with pytest.raises(UsageError, match="would write over an input"):
        saved("compute mse base.npy target.npy --against base.json --max-abs mse=1 -o base.json")
