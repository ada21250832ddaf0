"""Training runs by simulation: healthy ones of many kinds, and the same with one fault that a person would call clear."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lossctl.guides.diagnose.history import History, Series

SCHEDULES = ("constant", "cosine", "steps", "one cycle", "restarts", "warm-up")
NOISES = ("independent", "autocorrelated", "heavy-tailed", "shrinking", "proportional")


@dataclass(frozen=True)
class Plan:
    """What a healthy run is made of: `time` goes from 0 to 1, `clean` is the loss without its noise, `unit` its decrease."""

    time: np.ndarray
    steps: np.ndarray
    clean: np.ndarray
    noise: np.ndarray
    rates: np.ndarray
    unit: float


def size(random, least=30):
    return int(np.exp(random.uniform(np.log(least), np.log(20_000))))


def shape(random, time):
    """A curve from 1 to 0, which most of the decrease reaches within the run."""
    kind = random.integers(4)
    if kind == 0:
        return np.exp(-time * random.uniform(3, 40))
    if kind == 1:
        return (1 + time * np.exp(random.uniform(3, 7))) ** -random.uniform(0.4, 1.2)
    if kind == 2:
        fast = random.uniform(0.4, 0.8)
        return fast * np.exp(-time * random.uniform(20, 80)) + (1 - fast) * np.exp(-time * random.uniform(2, 5))
    return np.exp(-((time * random.uniform(4, 20)) ** random.uniform(0.5, 0.9)))


def schedule(kind, random, time):
    """A learning rate, at most 1."""
    cosine = 0.5 * (1 + np.cos(np.pi * time))
    if kind == "constant":
        return np.ones_like(time)
    if kind == "steps":
        return random.choice([0.1, 0.2, 0.5]) ** np.floor(time * random.integers(2, 5))
    if kind == "one cycle":
        top = random.uniform(0.2, 0.4)
        rise, fall = (1 - np.cos(np.pi * np.minimum(1, time / top))) / 2, (time - top) / (1 - top)
        return np.where(time < top, 0.04 + 0.96 * rise, np.maximum(1e-4, 0.5 * (1 + np.cos(np.pi * fall))))
    if kind == "restarts":
        return 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * (time * random.integers(2, 5) % 1)))
    warm = random.uniform(0.01, 0.1)
    return np.minimum(1, np.maximum(time, time[1]) / warm) * (cosine * 0.9 + 0.1) if kind == "warm-up" else cosine


def scheduled(kind, clean, rates, random):
    """What a schedule does to a loss: a drop at each step down, a bump after each restart."""
    if kind == "steps":
        return clean * 0.6 ** np.cumsum(np.append(0, np.diff(rates) < 0))
    if kind == "restarts":
        return clean + random.uniform(0.02, 0.12) * rates * (np.cumsum(np.append(0, np.diff(rates) > 0.3)) > 0)
    return clean


def noise_of(kind, random, clean):
    """Noise with a standard deviation of about 1."""
    count = len(clean)
    white = random.standard_normal(count)
    if kind == "autocorrelated":
        weight = random.uniform(0.3, 0.9)
        found = np.empty(count)
        found[0] = white[0]
        for at in range(1, count):
            found[at] = weight * found[at - 1] + np.sqrt(1 - weight**2) * white[at]
        return found
    if kind == "heavy-tailed":
        return random.standard_t(3, count) / np.sqrt(3)
    if kind == "shrinking":
        return white / np.sqrt(1 + 9 * np.linspace(0, 1, count))
    return white * (0.3 + 0.7 * clean) if kind == "proportional" else white


def plan(random, least=30, loudest=0.1):
    """A healthy run, its loss between 1 and a floor of up to half of it."""
    count = size(random, least)
    time = np.linspace(0, 1, count)
    kind = SCHEDULES[random.integers(len(SCHEDULES))]
    rates = schedule(kind, random, time)
    clean = shape(random, time)
    clean = scheduled(kind, (clean - clean[-1]) / (clean[0] - clean[-1]), rates, random)
    noise = noise_of(NOISES[random.integers(len(NOISES))], random, clean)
    unit = random.uniform(0.55, 1)
    loud = np.exp(random.uniform(np.log(0.003), np.log(loudest)))
    every = random.choice([1, 1, 10, 50])
    return Plan(time, every * np.arange(1, count + 1.0), 1 - unit + unit * clean, unit * loud * noise, rates, unit)


def validated(planned, random, most=100):
    """Validation every so often, a little above the training loss, with noise of its own."""
    count = min(len(planned.time), int(random.integers(12, most)))
    at = np.unique(np.linspace(0, len(planned.time) - 1, count).astype(int))
    gap = 1 + random.uniform(0, 0.2)
    return at, planned.clean[at] * gap + planned.unit * random.uniform(0.003, 0.03) * random.standard_normal(len(at))


def norms(planned, random):
    """Gradient norms: lognormal around a level that moves slowly, with rare outliers."""
    level = np.exp(random.uniform(-2, 2) * planned.time) * (0.5 + planned.clean)
    outliers = np.where(random.random(len(level)) < 0.002, 5, 1)
    return level * outliers * np.exp(random.uniform(0.05, 0.4) * random.standard_normal(len(level)))


def healthy(seed):
    """A run without any fault, its loss in any unit, and sometimes below 0."""
    random = np.random.default_rng([seed, 1])
    planned = plan(random)
    scale, shift = np.exp(random.uniform(-5, 5)), -random.uniform(0, 2) * (random.random() < 0.1)
    at, val = validated(planned, random)
    loss = Series(planned.steps, scale * (planned.clean + planned.noise + shift))
    kept = random.random(3) < 0.7
    return History(
        loss,
        Series(planned.steps[at], scale * (val + shift)) if kept[0] else Series(),
        Series(planned.steps, np.exp(random.uniform(-10, 0)) * planned.rates) if kept[1] else Series(),
        Series(planned.steps, norms(planned, random)) if kept[2] else Series(),
    )


def with_loss(history, values):
    return replace(history, loss=Series(history.loss.steps, values))
