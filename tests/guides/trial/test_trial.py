"""Whole trials on data whose outcome is known."""

import math

import made
import numpy as np
import pytest
import torch

from lossctl.guides.trial.data import divide, understand
from lossctl.guides.trial.running import Budget, scores_of
from lossctl.guides.trial.trial import Over, Plan, judge, tuned

LONGER = Budget(steps=400, batch=64, lr=0.05, model="linear")


def with_outliers():
    """A linear relation in which a fifth of the targets are far too high, on either side of the split."""
    x, y = made.numbers(300)
    y[np.random.default_rng(5).random(300) < 0.2] += 30
    return made.data(x, y)


def test_outliers_drag_the_mean_and_not_the_median():
    mse, l1, huber = made.tried("mse,l1,huber:delta=0.5", with_outliers(), LONGER)
    label = l1.candidate.label
    assert l1.under[label].mean < 0.8 * mse.under[label].mean
    assert huber.under[label].mean < 0.8 * mse.under[label].mean
    assert mse.under[mse.candidate.label].mean < l1.under[mse.candidate.label].mean
    assert (l1.judged.verdict, huber.judged.verdict) == ("worse", "worse"), "squared errors are what the mean is best at"


def test_weights_of_classes_find_the_rare_one():
    random = np.random.default_rng(0)
    codes = (random.random(600) < 0.06).astype(int)
    x = random.normal(size=(600, 2)) + codes[:, None]
    task, coded = understand(codes)
    given = divide(x, coded, task, 0.3)
    plain, focal = made.tried("bce_with_logits,focal:alpha=0.95;gamma=0".replace(";", ","), given, LONGER)
    assert focal.scores["f1"].mean > plain.scores["f1"].mean + 0.1
    assert focal.judged.verdict == "worse", "fewer rare ones missed, more errors in all"


def test_the_same_loss_under_two_names_gives_the_same_numbers():
    one, two, three = made.tried("mse,l2,mean_squared_error", made.data(*made.numbers()))
    assert one.scores == two.scores == three.scores
    assert [run.scores for run in one.runs] == [run.scores for run in two.runs]
    assert two.judged.verdict == three.judged.verdict == "identical"
    assert two.under[one.candidate.label].values == one.under[one.candidate.label].values


def test_losses_that_differ_by_a_factor_train_alike_by_adam():
    one, half = made.tried("mse,l2_half", made.data(*made.numbers()))
    assert one.scores["r2"].mean == pytest.approx(half.scores["r2"].mean, abs=1e-6)


def test_the_matrix_holds_what_numpy_gives_of_the_runs_outputs():
    given = made.data(*made.numbers())
    mse, l1 = made.tried("mse,l1", given)
    for one in (mse, l1):
        apart = [run.outputs - given.test.target for run in one.runs]
        assert one.under[mse.candidate.label].values == pytest.approx([np.mean(part**2) for part in apart], rel=1e-12)
        assert one.under[l1.candidate.label].values == pytest.approx([np.mean(abs(part)) for part in apart], rel=1e-12)
        assert one.scores["rmse"].values == pytest.approx([np.mean(part**2) ** 0.5 for part in apart], rel=1e-12)


@pytest.mark.parametrize(("task", "chances"), [("binary", "sigmoid"), ("classification", "softmax"), ("multilabel", "sigmoid")])
def test_real_numbers_against_classes_are_probabilities_of_a_model_that_was_trained_on_scores(task, chances):
    given = made.data(*made.MADE[task]())
    scores, mse, l1 = made.tried("bce_with_logits,mse,l1", given)
    marks = np.eye(3)[given.test.target] if task == "classification" else given.test.target
    for one in (scores, mse, l1):
        raw = torch.tensor(one.runs[0].outputs)
        pred = raw if task == "classification" else raw + 0.5
        if one is scores:
            pred = raw.softmax(1) if chances == "softmax" else raw.sigmoid()
        assert one.under[mse.candidate.label].values[0] == pytest.approx(float(((pred - torch.tensor(marks)) ** 2).mean()))


def test_outputs_that_another_loss_does_not_take_are_said():
    x, y = made.numbers(80)
    given = made.data(x, np.exp(y))
    mse, gamma = made.tried("mse,gamma_deviance", given)
    assert "outside of > 0" in mse.unread[gamma.candidate.label]
    assert math.isnan(mse.under[gamma.candidate.label].mean)
    assert not gamma.unread
    assert gamma.under[mse.candidate.label].mean > 0


@pytest.mark.parametrize("task", ["classification", "binary", "multilabel", "regression"])
def test_easy_data_are_learnt_under_every_usual_loss(task):
    from lossctl.guides.trial.data import USUAL

    for one in made.tried(USUAL[task], made.data(*made.MADE[task]()), LONGER):
        lead = next(iter(one.scores.values()))
        assert lead.mean > 0.88, one.candidate.label
        assert 0 < one.steps.mean <= 400
        assert not one.diverged


def test_divergence_is_kept_apart():
    given = made.data(*made.two())
    budget = Budget(steps=50, batch=32, lr=1e3, model="mlp")
    bce, wild = made.tried("bce_with_logits,exponential", given, budget)
    assert not bce.diverged
    assert len(wild.diverged) == 2
    assert wild.judged.verdict == "diverged"
    assert math.isnan(wild.scores["accuracy"].mean)
    assert wild.scores["accuracy"].values == pytest.approx((math.nan, math.nan), nan_ok=True)
    assert not wild.unread


def test_a_rate_is_chosen_on_rows_that_are_not_held_out():
    x, y = made.numbers()
    given = made.data(x, y)
    plan = Plan(Budget(steps=60, batch=32, lr=0.002, model="linear"), 1, scores_of(given.task), tune=True)
    one = made.candidates("mse", given)[0]
    rate = tuned(one, given, plan, lambda _: None)
    assert rate == pytest.approx(0.02), "sixty steps are few: the largest rate gets farthest"
    given.test.target[:] *= -1
    assert tuned(one, given, plan, lambda _: None) == rate
    assert made.tried("mse", given, plan.budget, tune=True)[0].lr == rate
    assert plan.steps(3) == 3 * 60 * 6


def test_numbers_over_seeds():
    over = Over((1.0, 2.0, math.nan, 6.0))
    assert (over.mean, over.worst(higher=True), over.worst(higher=False)) == (3.0, 1.0, 6.0)
    assert over.sd == pytest.approx(math.sqrt(7))
    assert math.isnan(Over((1.0,)).sd)
    assert math.isnan(Over((math.nan,)).mean)


def test_verdicts_are_paired_and_corrected():
    random = np.random.default_rng(0)
    base = random.normal(size=200) ** 2
    worse, same = base + 0.2 + 0.5 * random.normal(size=200), base + 0.5 * random.normal(size=200)
    first, one, two, three, four = judge([base, worse, same, None, base.copy()])
    assert [each.verdict for each in (first, one, two, three, four)] == [
        *("baseline", "worse", "undecided", "diverged", "identical")
    ]
    assert one.difference == pytest.approx(np.mean(worse - base))
    assert 0 < one.low < one.difference < one.high
    assert one.adjusted >= one.p
    assert [each.verdict for each in judge([None, base])] == ["diverged", "not tested"]
    assert [each.verdict for each in judge([base])] == ["baseline"]
