"""One run, against torch by hand."""

from dataclasses import replace

import made
import numpy as np
import pytest
import torch

from lossctl.guides.trial.running import Budget, converged, scores_of, train
from lossctl.guides.trial.running import TrainingRun as Run

STEPS = Budget(steps=30, batch=16, lr=0.03, model="linear")


def ran(name, given, budget=STEPS, seed=0):
    ticks = []
    run = train(made.candidates(name, given)[0], given, budget, seed, scores_of(given.task)[0], ticks.append)
    assert sum(ticks) == budget.steps
    return run


def by_hand(given, budget, seed, objective, outputs=1):
    """The same run as anybody would write it."""
    torch.manual_seed(seed)
    width = given.train.features.shape[1]
    double = {"dtype": torch.float64}
    model = torch.nn.Linear(width, outputs, **double)
    if budget.model == "mlp":
        torch.manual_seed(seed)
        first, last = torch.nn.Linear(width, budget.hidden, **double), torch.nn.Linear(budget.hidden, outputs, **double)
        model = torch.nn.Sequential(first, torch.nn.ReLU(), last)
    x, y = torch.tensor(given.train.features), torch.tensor(given.train.target)
    order = torch.Generator().manual_seed(seed)
    rows = [part for _ in range(budget.steps) for part in torch.randperm(len(x), generator=order).split(budget.batch)]
    adam = torch.optim.Adam(model.parameters(), lr=budget.lr)
    for part in rows[: budget.steps]:
        adam.zero_grad()
        objective(model(x[part]), y[part]).backward()
        adam.step()
    with torch.no_grad():
        return model(torch.tensor(given.test.features))


@pytest.mark.parametrize("model", ["linear", "mlp"])
@pytest.mark.parametrize("seed", [0, 3])
def test_cross_entropy_is_what_torch_trains(model, seed):
    given, budget = made.data(*made.classes()), Budget(steps=30, batch=16, lr=0.03, model=model, hidden=5)
    wanted = by_hand(given, budget, seed, torch.nn.functional.cross_entropy, outputs=3)
    assert np.allclose(ran("cross_entropy", given, budget, seed).outputs, wanted, rtol=1e-9, atol=1e-12)


def test_mse_is_trained_in_the_target_s_units():
    given = made.data(*made.numbers())
    low, centre, high = np.quantile(given.train.target, [0.25, 0.5, 0.75])

    def objective(raw, y):
        return torch.nn.functional.mse_loss(raw[:, 0] * (high - low) + centre, y)

    wanted = by_hand(given, STEPS, 0, objective)[:, 0] * (high - low) + centre
    assert np.allclose(ran("mse", given).outputs, wanted, rtol=1e-9, atol=1e-12)


def test_a_loss_that_is_no_mean_is_finished_by_its_own_formula():
    # Batches of 28 of 84 rows: none is so small that it could lack a class, which dice counts as 0.
    given, budget = made.data(*made.two()), replace(STEPS, batch=28)

    def dice(raw, y):
        p = raw[:, 0].sigmoid()
        return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)

    wanted = by_hand(given, budget, 1, dice)[:, 0]
    assert np.allclose(ran("dice:smooth=0.5", given, budget, seed=1).outputs, wanted, rtol=1e-9, atol=1e-12)


def test_a_loss_of_somebody_else_s_trains_as_it_does_itself():
    given = made.data(*made.classes())
    assert np.allclose(ran("torch.nn:CrossEntropyLoss", given).outputs, ran("cross_entropy", given).outputs, atol=1e-9)


def test_one_step_at_a_time_costs_nothing_and_changes_no_random_numbers():
    given = made.data(*made.two())
    torch.manual_seed(7)
    wanted, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(7)
    run = ran("bce", given, Budget(steps=3, batch=1000, model="linear"))
    assert len(run.scores) == 4
    assert torch.equal(torch.rand(3), wanted)
    assert torch.get_num_threads() == threads


def test_a_run_that_diverges_says_where():
    given = made.data(*made.two())
    run = ran("exponential", given, Budget(steps=50, batch=32, lr=1e3, model="mlp"))
    assert run.diverged is not None
    assert 1 < run.diverged <= 50
    assert run.outputs is None
    assert np.isnan(run.final)


def test_runs_repeat_to_the_last_bit():
    given = made.data(*made.two())
    one, two = (ran("focal", given, Budget(steps=40, model="mlp", hidden=8)) for _ in range(2))
    assert one.outputs.tobytes() == two.outputs.tobytes()
    assert one.scores == two.scores


@pytest.mark.parametrize(
    ("scores", "higher", "wanted"),
    [
        ((0.0, 0.5, 0.94, 0.95, 1.0), True, 30),
        ((0.0, 1.2, 0.9, 0.95, 1.0), True, 10),
        ((5.0, 3.0, 1.05, 1.0, 1.0), False, 20),
        ((1.0, 0.5, 0.5, 0.5, 0.9), True, None),
        ((1.0, 1.0, 1.0, 1.0, 1.0), True, None),
    ],
)
def test_convergence_is_the_first_look_within_5_percent_of_the_improvement(scores, higher, wanted):
    assert converged([0, 10, 20, 30, 40], scores, higher=higher) == wanted


def test_looks_are_spread_evenly_to_the_last_step():
    assert Budget(steps=40).looks == list(range(0, 41, 2))
    assert Budget(steps=3).looks == [0, 1, 2, 3]
    assert Run(0, (1.0, 2.0), np.zeros(1), None, 0.1).final == 2.0
