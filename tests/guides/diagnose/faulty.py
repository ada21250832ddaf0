"""Faults planted in simulated runs, at several strengths that a person would call clear."""

from __future__ import annotations

import curves
import numpy as np

from lossctl.guides.diagnose.history import History, Series


def begun(seed, code, least=40):
    """A random generator, a quiet healthy plan, and its loss."""
    random = np.random.default_rng([seed, *code.encode()])
    planned = curves.plan(random, least, loudest=0.06)
    return random, planned, planned.clean + planned.noise


def not_falling(seed):
    """A flat or slowly rising loss under noise."""
    random, planned, _ = begun(seed, "D001")
    kind = curves.NOISES[random.integers(len(curves.NOISES))]
    noise = curves.noise_of(kind if kind != "autocorrelated" else "independent", random, np.ones_like(planned.time))
    drift = random.choice([0, 0, 0.002]) * planned.time
    return History(Series(planned.steps, 2.3 * (1 + drift + np.exp(random.uniform(-7, -2.5)) * noise)))


def not_finite(seed):
    """NaN or infinity from some step on, sometimes after growth, sometimes for a few steps only."""
    random, planned, loss = begun(seed, "D002")
    at = int(random.uniform(0.02, 0.98) * len(loss))
    length = random.choice([1, 3, len(loss)])
    loss[at : at + length] = random.choice([np.nan, np.inf])
    return History(Series(planned.steps, loss))


def oscillating(seed):
    """A swing of half the decrease and more: from value to value, slow, or random."""
    random, planned, loss = begun(seed, "D003")
    swing = planned.unit * random.uniform(0.5, 1.2)
    kind = random.integers(3)
    if kind == 0:
        wave = (-1.0) ** np.arange(len(loss))
    elif kind == 1:
        wave = np.sqrt(2) * np.sin(2 * np.pi * random.uniform(8, len(loss) / 5) * planned.time)
    else:
        wave = random.standard_normal(len(loss))
    return History(Series(planned.steps, loss + swing * wave))


def jumping(seed):
    """A rise at once, of 60 % of the decrease and more, that stays or is slowly worked off."""
    random, planned, loss = begun(seed, "D004")
    at = int(random.uniform(0.3, 0.85) * len(loss))
    since = np.maximum(0, planned.time - planned.time[at])
    back = np.exp(-since * random.choice([0, 2, 10]))
    return History(
        Series(planned.steps, loss + random.uniform(0.6, 2) * planned.unit * back * (planned.time >= planned.time[at]))
    )


def diverging(seed):
    """A rise from some step on to the end, straight or ever faster, to the starting level and above."""
    random, planned, loss = begun(seed, "D005")
    at = random.uniform(0.2, 0.7)
    since = np.maximum(0, planned.time - at) / (1 - at)
    rise = since if random.random() < 0.5 else np.expm1(4 * since) / np.expm1(4)
    return History(Series(planned.steps, loss + planned.unit * random.uniform(1, 20) * rise))


def overfitting(seed):
    """A validation loss that turns and rises by a quarter of its decrease and more."""
    random, planned, loss = begun(seed, "D006")
    at, val = curves.validated(planned, random)
    turn = random.uniform(0.25, 0.6)
    rise = np.maximum(0, planned.time[at] - turn) / (1 - turn)
    kept = np.minimum(np.arange(len(at)), int(np.searchsorted(planned.time[at], turn)))
    val = val - planned.clean[at] + planned.clean[at][kept] + planned.unit * random.uniform(0.25, 1.5) * rise
    return History(Series(planned.steps, loss), val=Series(planned.steps[at], val))


def plateau(seed):
    """A loss that falls by a twelfth to a quarter in the first tenth of the run, and then stays, at a constant rate."""
    random, planned, _ = begun(seed, "D007", least=60)
    fall = random.uniform(0.08, 0.25)
    noise = curves.noise_of("independent", random, planned.clean) * fall * random.uniform(0.01, 0.15)
    loss = 1 - fall + fall * np.exp(-planned.time * random.uniform(15, 40)) + noise
    lr = Series(planned.steps, np.full_like(loss, 1e-3)) if random.random() < 0.5 else Series()
    return History(Series(planned.steps, loss), lr=lr)


def spiking(seed):
    """A learning rate five times too high and more, for a few steps or from there on."""
    random, planned, loss = begun(seed, "D008")
    rates = np.maximum(1e-3, planned.rates)
    at = int(random.uniform(0.3, 0.9) * len(loss))
    if random.random() < 0.5:
        rates[at : at + random.integers(1, 4)] *= random.uniform(5, 100)
    else:
        rates[at:] = rates.max() * random.uniform(5, 100)
    return History(Series(planned.steps, loss), lr=Series(planned.steps, rates))


def dead(seed):
    """Gradients that vanish while the loss stands still, high above any floor."""
    random, planned, loss = begun(seed, "D009")
    at = int(random.uniform(0.1, 0.8) * len(loss))
    found = curves.norms(planned, random)
    found[at:] *= random.choice([0, 1e-12, 1e-9])
    going = 0.6 + 0.4 * planned.clean
    stuck = np.where(planned.time < planned.time[at], going, going[at])
    loss = Series(planned.steps, stuck + planned.noise + 0.01 * random.standard_normal(len(loss)))
    return History(loss, grad_norm=Series(planned.steps, found))


def exploding(seed):
    """Gradients a hundred times too large and more, for some steps, or not finite."""
    random, planned, loss = begun(seed, "D010")
    found = curves.norms(planned, random)
    at = int(random.uniform(0.5, 0.95) * len(loss))
    found[at : at + random.integers(1, 6)] *= random.choice([200, 1e4, np.inf])
    return History(Series(planned.steps, loss), grad_norm=Series(planned.steps, found))


# Beside the fault itself, what else such a run may rightly be told.
PLANTED = {
    "D001": (not_falling, set()),
    "D002": (not_finite, set()),
    "D003": (oscillating, {"D001"}),
    "D004": (jumping, set()),
    "D005": (diverging, set()),
    "D006": (overfitting, set()),
    "D007": (plateau, set()),
    "D008": (spiking, set()),
    "D009": (dead, {"D001", "D007"}),
    "D010": (exploding, set()),
}
