"""Rows that belong together are never said not to, whatever the data are like and however bad the predictions."""

import numpy as np
import pytest
from test_warnings_of_order import message

LOSSES = ("mse", "l1", "rmse", "huber", "mape", "log_cosh")
LABELLED = ("cross_entropy", "bce", "bce_with_logits")


def white(rng, n):
    return rng.normal(size=n)


def constant(rng, n):
    return np.full(n, rng.normal())


def autocorrelated(rng, n):
    series = rng.normal(size=n)
    for row in range(1, n):
        series[row] += 0.95 * series[row - 1]
    return series


def walk(rng, n):
    return np.cumsum(rng.normal(size=n))


def periodic(rng, n):
    return np.sin(np.arange(n) * 2 * np.pi / rng.integers(2, 25)) * rng.uniform(1, 9)


def in_order(rng, n):
    return np.sort(rng.exponential(size=n))


def steps(rng, n):
    return np.repeat(rng.normal(size=n), rng.integers(2, 9))[:n]


def few_values(rng, n):
    return rng.integers(0, 3, n).astype(float)


def spikes(rng, n):
    return np.where(rng.random(n) < 0.05, rng.exponential(100, n), 0.0)


def heavy(rng, n):
    return rng.standard_t(1.5, n)


TARGETS = (white, constant, autocorrelated, walk, periodic, in_order, steps, few_values, spikes, heavy)


def noisy(rng, target):
    return target + rng.normal(size=target.shape) * rng.choice([1e-6, 0.01, 0.3, 3]) * (target.std() + 0.1)


def unrelated(rng, target):
    return rng.normal(size=target.shape)


def average(rng, target):
    return np.full_like(target, target.mean()) + rng.normal() * 0.01


def biased(rng, target):
    return target * rng.uniform(0.1, 3) + rng.normal() * 5


def outlying(rng, target):
    pred = target + rng.normal(size=target.shape) * 0.01
    pred[rng.choice([0, -1, len(pred) // 2])] += 1e6
    return pred


def smoothed(rng, target):
    width = rng.integers(3, 9)
    return np.convolve(target, np.ones(width) / width, mode="same")


def shuffled(rng, target):
    return rng.permutation(target)


PREDICTORS = (noisy, unrelated, average, biased, outlying, smoothed, shuffled)


def regression(rng, n):
    target = rng.choice(TARGETS)(rng, n)
    pred = rng.choice(PREDICTORS)(rng, target)
    return rng.choice(LOSSES), pred, target


def labelled(rng, n):
    """Labels in runs, sorted, rare or in turns, and scores from useless to nearly perfect."""
    loss, count = rng.choice(LABELLED), rng.integers(2, 6)
    labels = rng.choice([rng.integers(0, count, n), np.arange(n) % 2, (rng.random(n) < 0.04).astype(int)][rng.integers(3)], n)
    labels = [labels, np.sort(labels), np.repeat(labels, 4)[:n]][rng.integers(3)]
    scores = rng.normal(size=(n, count)) + rng.choice([0, 1, 4, 20]) * np.eye(count)[labels]
    if loss == "cross_entropy":
        return loss, scores, labels
    target = (labels > 0).astype(float)
    score = scores[:, 1] - scores[:, 0]
    return loss, 1 / (1 + np.exp(-score)) if loss == "bce" else score, target


def alarms(seeds):
    """The draws of aligned rows in which something is said."""
    found = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        loss, pred, target = (labelled if seed % 3 == 0 else regression)(rng, int(rng.integers(20, 400)))
        if text := message(loss, pred, target):
            found.append((seed, loss, text))
    return found


def test_aligned_rows_raise_no_alarm():
    assert alarms(range(200)) == []


@pytest.mark.slow
def test_aligned_rows_raise_no_alarm_in_two_thousand_draws():
    assert alarms(range(200, 2200)) == []


def test_the_draws_are_of_many_kinds():
    """The test above says something only if a planted shift is found in many of the same draws."""
    found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        target = white(rng, 100)
        found += bool(message("mse", np.roll(noisy(rng, target), 1), target))
    assert found > 30


def test_a_few_rows_are_no_evidence():
    """Three rare events, each predicted one row too late: the loss falls to 0 in a shift, and may do so by chance."""
    target = np.zeros(200)
    target[[20, 90, 150]] = 100
    assert message("mse", np.roll(target, 1), target) == ""


@pytest.mark.parametrize(("noise", "said"), [(0.6, False), (0.2, True)])
def test_a_tenth_is_asked_for(noise, said):
    """White noise paired a row off costs about 2 + noise^2, and paired rightly noise^2: 2.36 to 0.36 is no tenfold cut."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=1000)
    assert bool(message("mse", np.roll(target, 1) + rng.normal(size=1000) * noise, target)) == said
