"""Each finding on a run made by hand, with the steps, the value and the words that a person would expect."""

import numpy as np
import pytest

from lossctl.errors import Undecided, UnknownName
from lossctl.guides.diagnose.detectors import diagnose
from lossctl.guides.diagnose.faults import FAULTS, SEVERITIES, explain
from lossctl.guides.diagnose.history import History, Series

COUNT = 200
STEPS = np.arange(1.0, COUNT + 1)
NOISE = np.random.default_rng(0).standard_normal(COUNT)
FALLING = 0.2 + np.exp(-STEPS / 30) + 0.01 * NOISE


def series(values, steps=STEPS):
    return Series(np.asarray(steps, float), np.asarray(values, float))


def run(loss=FALLING, **more):
    return History(series(loss), **{name: series(values) for name, values in more.items()})


def only(history):
    (finding,) = diagnose(history)
    return finding


def codes(history):
    return [finding.code for finding in diagnose(history)]


def test_a_healthy_run_has_no_findings():
    lr = 1e-3 * 0.5 * (1 + np.cos(np.pi * STEPS / COUNT))
    assert codes(run(val=FALLING + 0.05, lr=lr, grad_norm=np.exp(0.2 * NOISE))) == []


def test_flat_losses_do_not_fall():
    finding = only(run(2.3 + 0.01 * NOISE))
    assert (finding.code, finding.first, finding.last, finding.value) == ("D001", 1, COUNT, 0)


def test_a_loss_that_falls_by_less_than_a_percent_does_not_fall():
    finding = only(run(2.3 * (1 - 0.005 * STEPS / COUNT)))
    assert finding.code == "D001"
    assert finding.value == pytest.approx(0.005, rel=0.05)


BLOWN = np.concatenate([[2.29, 3.96, 86, 490], 2.85 + 0.04 * np.abs(NOISE[4:])])


@pytest.mark.parametrize("values", [BLOWN, BLOWN[:24], 1e-6 * BLOWN, BLOWN - 2.2, np.where(STEPS == 2, 100, BLOWN)])
@pytest.mark.parametrize("rate", [1e-3, 20.0])
def test_a_loss_that_blows_up_at_first_and_never_comes_back_diverges(values, rate):
    finding = only(History(series(values, STEPS[: len(values)]), lr=series(np.full_like(values, rate), STEPS[: len(values)])))
    assert (finding.code, finding.first, finding.last) == ("D005", 3 if values[1] < 30 else 2, len(values))
    assert finding.value == pytest.approx((values[3] - values[0]) / (0.25 * values[0]))
    assert not any("raise" in remedy for remedy in finding.remedies)


def test_a_loss_that_comes_back_after_an_outbreak_does_not_diverge():
    assert "D005" not in codes(run(np.concatenate([[1.2, 3.96, 86, 490], FALLING[4:]])))


def test_outliers_of_a_flat_loss_are_no_divergence():
    loss = 2.3 + 0.05 * NOISE
    loss[[5, 90]] = 40
    assert codes(run(loss)) == ["D001"]


@pytest.mark.parametrize(("rate", "wanted"), [(20.0, "lower"), (1.0, "lower"), (0.99, "raise"), (1e-5, "raise")])
def test_a_large_learning_rate_is_not_to_be_raised(rate, wanted):
    finding = only(run(2.3 + 0.01 * NOISE, lr=np.full(COUNT, rate)))
    assert finding.code == "D001"
    assert finding.remedies[0].startswith(wanted)
    assert (f"at a learning rate of {rate:g}" in finding.evidence) == (wanted == "lower")
    assert finding.as_dict()["remedies"] == list(finding.remedies)


def test_nan_says_where_it_begins_and_what_grew_before():
    loss = FALLING.copy()
    loss[148:150], loss[150:] = 40, np.nan
    norms = np.exp(0.1 * NOISE)
    norms[147:150] = 1e4
    found = diagnose(run(loss, grad_norm=norms))
    assert [one.code for one in found] == ["D002", "D010"]
    assert (found[0].first, found[0].last, found[0].value) == (151, COUNT, 50)
    assert "NaN at step 151; the loss had grown to" in found[0].evidence
    assert "gradient norm had grown to 9.83e+03 times its median" in found[0].evidence
    assert (found[1].first, found[1].last) == (148, 150)


def test_a_loss_that_is_infinite_once_is_told_as_such():
    loss = FALLING.copy()
    loss[80] = -np.inf
    assert only(run(loss)).evidence == "infinite at step 81, and finite again in the end"


def test_a_swing_from_value_to_value_oscillates():
    finding = only(run(FALLING + 0.6 * (-1) ** STEPS))
    assert finding.code == "D003"
    assert finding.value == pytest.approx(1.4826 * 0.6 / 1.0, rel=0.2)


def test_a_swing_that_ends_high_does_not_diverge():
    assert codes(run(1.4 - STEPS / COUNT + 0.6 * np.sin(2 * np.pi * 8.25 * STEPS / COUNT))) == ["D003"]


def test_a_jump_is_found_at_its_step():
    finding = only(run(FALLING + 0.8 * (STEPS >= 120)))
    assert (finding.code, finding.first) == ("D004", 120)
    assert finding.value == pytest.approx(0.8, rel=0.15)


def test_a_jump_of_a_short_run():
    loss = 2.5 * 0.8 ** STEPS[:20] + 0.01 * NOISE[:20] + 2 * (STEPS[:20] >= 12)
    finding = only(History(series(loss, STEPS[:20])))
    assert (finding.code, finding.first) == ("D004", 12)


def test_a_single_outlier_is_no_jump():
    assert codes(run(FALLING + 5 * (STEPS == 120))) == []


def test_a_warm_restart_is_no_jump():
    lr = np.where(STEPS < 120, np.linspace(1, 0.01, COUNT), 1.0)
    loss = FALLING + 0.5 * (STEPS >= 120) * np.exp(-(STEPS - 120) / 30)
    assert codes(run(loss)) == ["D004"]
    assert codes(run(loss, lr=lr)) == []


def test_divergence_explains_what_it_brings_about():
    finding = only(run(FALLING + np.maximum(0, STEPS - 100) / 30))
    assert finding.code == "D005"
    assert 80 <= finding.first <= 115
    assert finding.last == COUNT


def test_a_loss_that_is_lost_in_the_middle_diverges_from_there():
    finding = only(run(np.append(np.linspace(2, 0.2, 120), np.full(COUNT - 120, 40.0))))
    assert finding.code == "D005"
    assert 110 <= finding.first <= 125


def test_a_loss_that_is_lost_at_once_diverges_and_is_not_called_too_slow():
    finding = only(run(np.append(17.0, 1e20 * np.exp(0.1 * NOISE[1:]))))
    assert (finding.code, finding.first) == ("D005", 1)


def test_overfitting_names_the_best_step():
    val = FALLING + np.maximum(0, STEPS - 100) / 200
    history = History(series(FALLING), val=series(val[::10], STEPS[::10]))
    finding = only(history)
    assert finding.code == "D006"
    assert 81 <= finding.first <= 121
    assert "while the training loss falls" in finding.evidence


def test_overfitting_needs_a_training_loss_that_does_not_rise():
    rise = np.maximum(0, STEPS - 100) / 60
    assert codes(run(FALLING + rise, val=FALLING + rise)) == ["D005"]
    slight = np.maximum(0, STEPS - 100) / 250
    assert codes(run(FALLING + slight, val=FALLING + slight)) == []
    assert codes(run(FALLING, val=FALLING + slight)) == ["D006"]


def test_a_plateau_is_told_from_the_end_by_the_floor():
    loss = 0.9 + 0.1 * np.exp(-STEPS / 10) + 0.002 * NOISE
    assert only(run(loss)).code == "D007"
    assert FAULTS["D007"].severity == "info"
    assert codes(History(series(loss), floor=0.88)) == []


def test_a_plateau_under_a_decaying_rate_is_the_end():
    loss = 0.9 + 0.1 * np.exp(-STEPS / 10) + 0.002 * NOISE
    assert codes(run(loss, lr=np.linspace(1, 0.1, COUNT))) == []


def test_a_spike_of_the_learning_rate():
    lr = np.full(COUNT, 1e-3)
    lr[119:121] = 2e-2
    finding = only(run(lr=lr))
    assert (finding.code, finding.first) == ("D008", 120)
    assert finding.value == pytest.approx(20)


def test_a_leap_of_the_learning_rate_that_stays():
    assert only(run(lr=np.where(STEPS < 120, 1e-3, 1e-2))).value == pytest.approx(10)


@pytest.mark.parametrize(
    "lr",
    [
        np.minimum(1, STEPS / 20),
        0.1 ** np.floor(STEPS / 60),
        0.01 + 0.5 * (1 + np.cos(np.pi * (STEPS % 50) / 50)),
        np.where(STEPS % 10 == 0, 1, 0.05),
        np.where(STEPS < 80, STEPS / 80, np.maximum(1e-3, (COUNT - STEPS) / 120)),
    ],
    ids=["warm-up", "steps", "restarts", "short cycles", "one cycle"],
)
def test_schedules_are_no_spikes(lr):
    assert codes(run(lr=lr)) == []


def test_gradients_that_die_while_the_loss_is_high():
    norms = np.where(STEPS < 60, np.exp(0.2 * NOISE), 0)
    loss = np.where(STEPS < 60, 1.5 - STEPS / 120, 1.0) + 0.01 * NOISE
    finding = next(one for one in diagnose(run(loss, grad_norm=norms)) if one.code == "D009")
    assert (finding.first, finding.last, finding.value) == (60, COUNT, 0)


def test_gradients_that_vanish_at_the_optimum_of_a_full_batch_are_fine():
    assert codes(run(np.exp(-STEPS / 5) + 0.01, grad_norm=np.exp(-STEPS / 5))) == []


def test_gradients_that_explode():
    norms = np.exp(0.2 * NOISE)
    norms[99] = 500
    finding = only(run(grad_norm=norms))
    assert (finding.code, finding.first, finding.last) == ("D010", 100, 100)
    assert finding.value > 300


def test_gradients_that_are_not_finite():
    norms = np.exp(0.2 * NOISE)
    norms[99] = np.inf
    assert only(run(grad_norm=norms)).first == 100


def test_too_few_losses_decide_nothing_but_nan_does():
    with pytest.raises(Undecided, match="9 losses"):
        diagnose(History(series(FALLING[:9], STEPS[:9])))
    assert only(History(series([2, 1, np.nan], [1, 2, 3]))).code == "D002"


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_units_do_not_matter(factor):
    for loss in (FALLING, FALLING + 0.8 * (STEPS >= 120), FALLING + 0.6 * (-1) ** STEPS):
        assert codes(run(loss * factor)) == codes(run(loss))


def test_a_finding_knows_its_row_of_the_table():
    entry = only(run(FALLING + 0.8 * (STEPS >= 120))).as_dict()
    assert entry["causes"] == ["learning rate too large"]
    assert entry["remedies"] == ["lower the learning rate", "use a learning-rate schedule"]
    assert (entry["from"], type(entry["from"])) == (120, int)


def test_the_table_is_in_order_and_complete():
    assert list(FAULTS) == [f"D{number:03}" for number in range(1, 11)]
    for fault in FAULTS.values():
        assert fault.severity in SEVERITIES
        assert fault.causes
        assert fault.remedies
        assert fault.source


def test_a_code_is_found_in_any_case():
    assert explain("d004") is FAULTS["D004"]
    with pytest.raises(UnknownName, match="D099"):
        explain("D099")
