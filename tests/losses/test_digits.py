"""Losses of nearly equal numbers keep their digits: against the same formulas in 60 digits, over many sizes and distances."""

import mpmath as mp
import numpy as np
import pytest
import torch

from lossctl.losses import LOSSES
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import scalars

mp.mp.dps = 60
XP = BACKENDS.get("torch")().xp
RNG = np.random.default_rng(18)


def terms(name, first, second, xp=np, **params):
    loss = LOSSES.get(name)
    with np.errstate(all="ignore"):
        found = loss.terms(xp, first, second, **scalars(loss, params))
    return found["value"] if isinstance(found, dict) else found


def entropy(t, p):
    return p if t == 0 else t * mp.log(t / p) - t + p


def tweedie(p, t, power):
    if power == 1:
        return 2 * entropy(t, p)
    if power == 2:
        return 2 * (t / p - 1 - mp.log(t / p))
    k = mp.mpf(power)
    return 2 * (t ** (2 - k) / ((1 - k) * (2 - k)) - t * p ** (1 - k) / (1 - k) + p ** (2 - k) / (2 - k))


def barron(e, alpha, scale):
    a, z = mp.mpf(alpha), (e / scale) ** 2
    return abs(a - 2) / a * ((z / abs(a - 2) + 1) ** (a / 2) - 1)


# Of a prediction and a target above 0.
POSITIVE = {
    "poisson_deviance": ({}, lambda p, t: 2 * entropy(t, p)),
    "gamma_deviance": ({}, lambda p, t: 2 * (mp.log(p / t) + t / p - 1)),
    "msle": ({}, lambda p, t: (mp.log(1 + p) - mp.log(1 + t)) ** 2),
    **{
        f"tweedie_deviance {power}": ({"power": power}, lambda p, t, power=power: tweedie(p, t, power))
        for power in (-1.0, 1.0, 1.0 + 1e-9, 1.001, 1.3, 1.5, 1.98, 2 - 1e-7, 2.0, 2 + 1e-12, 2.02, 3.0)
    },
}
# Of an error.
ERRORS = {
    "log_cosh": ({}, lambda e: mp.log(mp.cosh(e))),
    "fair": ({"scale": 1.25}, lambda e: mp.mpf(1.25) ** 2 * (abs(e) / mp.mpf(1.25) - mp.log(1 + abs(e) / mp.mpf(1.25)))),
    "charbonnier": ({"eps": 0.5, "shifted": True}, lambda e: mp.sqrt(e * e + mp.mpf(0.25)) - mp.mpf(0.5)),
    "pseudo_huber": ({"delta": 2.0}, lambda e: 4 * (mp.sqrt(1 + e * e / 4) - 1)),
    "cauchy": ({}, lambda e: mp.log(1 + e * e / 2)),
    "welsch": ({}, lambda e: -mp.expm1(-e * e / 2)),
    "geman_mcclure": ({}, lambda e: 2 * e * e / (e * e + 4)),
    "tukey": ({"scale": 3.0}, lambda e: mp.mpf(9) / 6 * (1 - (1 - min(e * e / 9, mp.mpf(1))) ** 3)),
    **{
        f"barron {alpha}": ({"alpha": alpha, "scale": 2.0}, lambda e, alpha=alpha: barron(e, alpha, 2))
        for alpha in (1.0, 1e-9, -1e-12, 2 - 1e-9, 2 + 1e-12, 1.7, -3.0, 2.5)
    },
}


def pairs(count=200):
    """Numbers of any size, and others that are from 1e-15 to 1e3 of them away."""
    first = 10 ** RNG.uniform(-12, 12, count)
    apart = 10 ** RNG.uniform(-15, 3, count) * RNG.choice([-1, 1], count)
    second = first * np.where(apart < -0.9, 10 ** -np.abs(apart).clip(1, 12), 1 + apart)
    return first, second


def off(found, wanted):
    """The largest relative error, and whether anything is below 0."""
    worst = mp.mpf(0)
    for one, right in zip(np.asarray(found).reshape(-1), wanted, strict=True):
        assert one >= 0
        worst = max(worst, abs(mp.mpf(float(one)) - right) / right if right else abs(mp.mpf(float(one))))
    return float(worst)


@pytest.mark.parametrize("case", POSITIVE)
def test_losses_of_two_positive_numbers(case):
    params, formula = POSITIVE[case]
    pred, target = pairs()
    exact = [(mp.mpf(p), mp.mpf(t)) for p, t in zip(pred, target, strict=True)]
    assert off(terms(case.split()[0], pred, target, **params), [formula(p, t) for p, t in exact]) < 1e-12
    same = terms(case.split()[0], pred, pred, **params)
    assert not same.any()


@pytest.mark.parametrize("case", POSITIVE)
def test_gradients_of_two_positive_numbers(case):
    params, formula = POSITIVE[case]
    pred, target = pairs(40)
    leaves = [torch.from_numpy(array).requires_grad_() for array in (pred, target)]
    found = torch.autograd.grad(terms(case.split()[0], *leaves, xp=XP, **params).sum(), leaves)
    for number, (p, t) in enumerate(zip(map(mp.mpf, pred), map(mp.mpf, target), strict=True)):
        with mp.workdps(120):
            wanted = (mp.diff(lambda x, t=t: formula(x, t), p), mp.diff(lambda x, p=p: formula(p, x), t))
        for one, right in zip(found, wanted, strict=True):
            assert float(one[number]) == pytest.approx(float(right), rel=1e-10)


@pytest.mark.parametrize("case", ERRORS)
def test_losses_of_an_error(case):
    params, formula = ERRORS[case]
    error = np.concatenate([10 ** RNG.uniform(-12, 2, 200), -(10 ** RNG.uniform(-12, 2, 50)), [0.0]])
    found = terms(case.split()[0], error, np.zeros_like(error), **params)
    assert off(found, [formula(mp.mpf(e)) for e in error]) < 1e-12


GROWTH = {"barron 1.0", "barron 1e-09", "barron -3.0", "charbonnier", "pseudo_huber", "cauchy", "geman_mcclure", "log_cosh"}


@pytest.mark.parametrize("case", sorted(GROWTH))
def test_losses_of_a_huge_error_do_not_overflow(case):
    params, formula = ERRORS[case]
    error = np.array([1e100, -1e160, 1e200, 1e300])
    found = terms(case.split()[0], error, np.zeros_like(error), **params)
    with mp.workdps(700):
        wanted = [mp.mpf(e) - mp.log(2) if case == "log_cosh" else formula(mp.mpf(abs(e))) for e in error]
    assert off(found, wanted) < 1e-12
    leaf = torch.from_numpy(error).requires_grad_()
    (slope,) = torch.autograd.grad(terms(case.split()[0], leaf, torch.zeros_like(leaf), xp=XP, **params).sum(), leaf)
    assert torch.isfinite(slope).all()


def shares(distance, classes=4):
    """Two distributions over classes, of whole numbers of 2^-40, so that both add up to 1 exactly."""
    one = RNG.integers(2**30, 2**36, classes)
    one[-1] = 2**40 - one[:-1].sum()
    step = max(1, int(2**30 * distance)) * np.resize([1, -1], classes)
    return np.ldexp(one.astype(float), -40), np.ldexp((one + step).astype(float), -40)


def power_sum(t, p, a):
    return mp.fsum(x**a * y ** (1 - a) for x, y in zip(t, p, strict=True))


DIVERGENCES = {
    "kl_div_prob": ({"eps": 0}, lambda p, t: mp.fsum(y * mp.log(y / x) for x, y in zip(p, t, strict=True))),
    "js_div": ({}, lambda p, t: mp.fsum(z * mp.log(2 * z / (x + y)) / 2 for x, y in zip(p, t, strict=True) for z in (x, y))),
    "hellinger": ({}, lambda p, t: mp.sqrt(mp.fsum((mp.sqrt(x) - mp.sqrt(y)) ** 2 for x, y in zip(p, t, strict=True)) / 2)),
    "chi2": ({}, lambda p, t: mp.fsum((y - x) ** 2 / x for x, y in zip(p, t, strict=True))),
    "bhattacharyya": ({}, lambda p, t: -mp.log(power_sum(t, p, mp.mpf(0.5)))),
    "renyi 1": ({"alpha": 1.0}, lambda p, t: mp.fsum(y * mp.log(y / x) for x, y in zip(p, t, strict=True))),
    **{
        f"renyi {alpha}": ({"alpha": alpha}, lambda p, t, a=alpha: mp.log(power_sum(t, p, mp.mpf(a))) / (mp.mpf(a) - 1))
        for alpha in (1e-6, 0.3, 0.5, 0.999, 1 - 1e-9, 1 + 1e-10, 1.01, 2.0, 5.0)
    },
}


@pytest.mark.parametrize("case", DIVERGENCES)
@pytest.mark.parametrize("distance", [0.9, 1e-2, 1e-4, 1e-6, 1e-9])
def test_divergences_of_nearly_equal_distributions(case, distance):
    params, formula = DIVERGENCES[case]
    pred, target = shares(distance)
    right = formula([mp.mpf(x) for x in pred], [mp.mpf(x) for x in target])
    found = terms(case.split()[0], pred[None], target[None], **params)
    assert off(found, [right]) < 1e-12
    leaf = torch.from_numpy(pred[None]).requires_grad_()
    (slope,) = torch.autograd.grad(terms(case.split()[0], leaf, torch.from_numpy(target[None]), xp=XP, **params).sum(), leaf)
    with mp.workdps(150):
        chances = [mp.mpf(x) for x in target]
        for place in range(len(pred)):
            moved = [mp.mpf(x) for x in pred]
            wanted = mp.diff(lambda x, moved=moved: formula([*moved[:place], x, *moved[place + 1 :]], chances), moved[place])  # noqa: B023
            assert float(slope[0, place]) == pytest.approx(float(wanted), rel=1e-9)


@pytest.mark.parametrize(
    "name", ["kl_div_prob", "js_div", "hellinger", "chi2", "bhattacharyya", "renyi", "total_variation_dist"]
)
def test_rows_that_add_up_to_1_but_for_rounding_are_never_below_0(name):
    rows = RNG.dirichlet(np.ones(7), 500)
    near = rows * (1 + RNG.normal(size=rows.shape) * 1e-9)
    near /= near.sum(axis=1, keepdims=True)
    assert (terms(name, near, rows) >= 0).all()
    assert not terms(name, rows, rows).any()


@pytest.mark.parametrize("turn", [1.0, 1e-2, 1e-4, 1e-6, 1e-7])
def test_the_distance_of_nearly_parallel_vectors(turn):
    first = RNG.normal(size=(20, 5))
    second = first * RNG.uniform(0.1, 10, (20, 1)) + turn * RNG.normal(size=(20, 5))
    wanted, slopes = [], []
    for one, other in zip(first, second, strict=True):
        a, b = ([mp.mpf(x) for x in vector] for vector in (one, other))
        lengths = [mp.sqrt(mp.fsum(x * x for x in vector)) for vector in (a, b)]
        cosine = mp.fsum(x * y for x, y in zip(a, b, strict=True)) / (lengths[0] * lengths[1])
        wanted.append(1 - cosine)
        slopes.append([float(-(y / lengths[1] - cosine * x / lengths[0]) / lengths[0]) for x, y in zip(a, b, strict=True)])
    assert off(terms("cosine_distance", first, second), wanted) < 1e-12
    leaf = torch.from_numpy(first).requires_grad_()
    (found,) = torch.autograd.grad(terms("cosine_distance", leaf, torch.from_numpy(second), xp=XP).sum(), leaf)
    for one, right in zip(found.numpy(), np.asarray(slopes), strict=True):
        np.testing.assert_allclose(one, right, atol=1e-9 * np.abs(right).max())


def test_bce_of_small_chances_keeps_its_digits():
    chances = 10 ** RNG.uniform(-18, -0.3, 100)
    nothing = np.zeros_like(chances)
    assert off(terms("bce", chances, nothing), [-mp.log(1 - mp.mpf(p)) for p in chances]) < 1e-15
    leaf = torch.from_numpy(chances).requires_grad_()
    found = terms("bce", leaf, torch.from_numpy(nothing), xp=XP)
    twin = torch.nn.functional.binary_cross_entropy(leaf, torch.from_numpy(nothing), reduction="none")
    np.testing.assert_allclose(found.detach().numpy(), twin.detach().numpy(), rtol=1e-15)


@pytest.mark.parametrize("on", [0.0, 1.0])
def test_the_asymmetric_loss_of_what_is_almost_right(on):
    scores = RNG.uniform(-2, 40, (1, 50)) * (1 if on else -1)
    found = terms("asymmetric_multilabel", scores.T, np.full((50, 1), on), gamma_neg=1.0, clip=0.0)
    # The chance that is missing, times minus the logarithm of the other.
    wanted = [(1 - 1 / (1 + mp.exp(-abs(x)))) * mp.log(1 + mp.exp(-abs(x))) for x in map(mp.mpf, scores[0]) if abs(x) > 2]
    assert off(np.asarray(found)[np.abs(scores[0]) > 2], wanted) < 1e-12


@pytest.mark.parametrize("name", ["r2", "explained_variance"])
def test_scores_of_small_differences_far_from_0(name):
    target = 1e8 + np.round(RNG.normal(size=200) * 2**10) * 2.0**-20
    pred = target + np.round(RNG.normal(size=200) * 2**9) * 2.0**-20
    exact, errors = [mp.mpf(t) for t in target], [mp.mpf(t) - mp.mpf(p) for p, t in zip(pred, target, strict=True)]
    middle = mp.fsum(errors) / 200 if name == "explained_variance" else 0
    spread = mp.fsum((t - mp.fsum(exact) / 200) ** 2 for t in exact)
    wanted = 1 - mp.fsum((e - middle) ** 2 for e in errors) / spread
    found = LOSSES.get(name).terms(np, pred, target)["score"]
    assert float(found) == pytest.approx(float(wanted), rel=1e-13)


SURE = np.concatenate([RNG.uniform(-60, 60, 60), [0.0, -700.0, 700.0]])
LOGISTIC = {
    "bce_with_logits": ({}, lambda x, t: mp.log(1 + mp.exp(-x if t else x))),
    "soft_bce_logits": ({}, lambda x, t: mp.log(1 + mp.exp(-x if t else x))),
    "focal": (
        {"alpha": 0.25, "gamma": 2.0},
        lambda x, t: (0.25 if t else 0.75) * mp.log(1 + mp.exp(-x if t else x)) * (1 / (1 + mp.exp(x if t else -x))) ** 2,
    ),
    "poly_binary": ({"epsilon": 2.0}, lambda x, t: mp.log(1 + mp.exp(-x if t else x)) + 2 / (1 + mp.exp(x if t else -x))),
}


@pytest.mark.parametrize("name", LOGISTIC)
@pytest.mark.parametrize("on", [0.0, 1.0])
def test_scores_that_are_surely_right_cost_what_is_left(name, on):
    params, formula = LOGISTIC[name]
    with mp.workdps(700):
        wanted = [formula(mp.mpf(x), on) for x in SURE]
    found = terms(name, SURE, np.full_like(SURE, on), **params)
    # What is below the smallest normal number has few digits.
    kept = np.array([right > 1e-300 for right in wanted])
    assert off(np.asarray(found)[kept], [right for right in wanted if right > 1e-300]) < 1e-12


def test_a_weighted_positive_costs_what_is_left():
    weights = np.full_like(SURE, 3.0)
    for on in (0.0, 1.0):
        found = LOSSES.get("bce_with_logits").terms(np, SURE, np.full_like(SURE, on), weight=None, pos_weight=weights)["value"]
        with mp.workdps(700):
            wanted = [(3 if on else 1) * mp.log(1 + mp.exp(mp.mpf(-x if on else x))) for x in SURE]
        np.testing.assert_allclose(found, [float(right) for right in wanted], rtol=1e-12)


@pytest.mark.parametrize("distance", [30.0, 1.0, 1e-2, 1e-4])
def test_distillation_of_nearly_equal_answers(distance):
    student = RNG.normal(size=(50, 5))
    teacher = student + distance * RNG.normal(size=student.shape)
    found, wanted = terms("distillation_kl", student, teacher, temperature=2.0), []
    for row in zip(student, teacher, strict=True):
        shares = [[mp.exp(mp.mpf(x) / 2) for x in scores] for scores in row]
        p, q = ([x / mp.fsum(part) for x in part] for part in shares)
        wanted.append(4 * mp.fsum(y * mp.log(y / x) for x, y in zip(p, q, strict=True)))
    # Scores have but 16 digits, of which the distance between them has the last.
    assert off(found, wanted) < max(1e-12, 1e-13 / distance)
