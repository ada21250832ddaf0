"""Gradients where a probability, a rate or a count is exactly 0: what they are from inside the domain, infinity among it."""

import math

import numpy as np
import pytest

from lossctl.checking.checks import Drawn, gradients
from lossctl.losses import LOSSES
from lossctl.losses.loss import scalars

INF, LN2 = math.inf, math.log(2)
P, T = [0.25, 0.75, 0.0], [0.5, 0.5, 0.0]
BARE, FULL = [0.0, 0.4, 0.6], [0.3, 0.3, 0.4]
HELLINGER = math.sqrt(((0.5 - math.sqrt(0.5)) ** 2 + (math.sqrt(0.75) - math.sqrt(0.5)) ** 2) / 2)
# sum of sqrt(p t) for BARE against FULL, and of t^2 / p the other way round.
SHARED = math.sqrt(0.4 * 0.3) + math.sqrt(0.6 * 0.4)
SQUARES = 0.4**2 / 0.3 + 0.6**2 / 0.4
# name, pred, target, parameters, by which input, at which class, and the derivative by hand.
CASES = [
    # t^2/p - 2t + p: with nothing on both sides only p is left; by the target, t^2/0.
    ("chi2", P, T, {}, "pred", 2, 1.0),
    ("chi2", P, T, {}, "target", 2, INF),
    # ln(2p/(p + t))/2; with t = 0 it is ln(2)/2 for every p, and with p = 0 alone ln 0.
    ("js_div", P, T, {}, "pred", 2, LN2 / 2),
    ("js_div", P, T, {}, "target", 2, LN2 / 2),
    ("js_div", BARE, FULL, {}, "pred", 0, -INF),
    ("js_div", BARE, FULL, {}, "target", 0, LN2 / 2),
    ("js_div", BARE, FULL, {}, "pred", 1, math.log(0.4 / 0.35) / 2),
    ("js_div", FULL, BARE, {}, "target", 0, -INF),
    # H^2 grows by p/2, so H by p/(4H); with p = 0 alone by -sqrt(p t)/(2H).
    ("hellinger", P, T, {}, "pred", 2, 1 / (4 * HELLINGER)),
    ("hellinger", P, T, {}, "target", 2, 1 / (4 * HELLINGER)),
    ("hellinger", BARE, FULL, {}, "pred", 0, -INF),
    # |p - t|/2 can only grow from 0.
    ("total_variation_dist", P, T, {}, "pred", 2, 0.5),
    ("total_variation_dist", [1.0, 0.0], [1.0, 0.0], {}, "target", 0, -0.5),
    # -ln sum sqrt(p t): sqrt(p t)/sqrt(..) has an infinite slope where one alone is 0, and none where both are.
    ("bhattacharyya", BARE, FULL, {}, "pred", 0, -INF),
    ("bhattacharyya", FULL, BARE, {}, "target", 0, -INF),
    ("bhattacharyya", FULL, BARE, {}, "pred", 0, 0.0),
    ("bhattacharyya", FULL, BARE, {}, "pred", 1, -math.sqrt(0.4 / 0.3) / 2 / SHARED),
    ("bhattacharyya", P, T, {}, "target", 2, 0.0),
    ("bhattacharyya", [1.0, 0.0], [0.0, 1.0], {}, "pred", 1, -INF),
    # t^a p^(1 - a): at a = 1/2 as above, doubled; at a = 2 it is t^2/p, flat at t = 0.
    ("renyi", FULL, BARE, {}, "target", 0, -INF),
    ("renyi", FULL, BARE, {"alpha": 2.0}, "target", 0, 0.0),
    ("renyi", FULL, BARE, {"alpha": 2.0}, "target", 1, 2 * 0.4 / 0.3 / SQUARES),
    ("renyi", FULL, BARE, {"alpha": 1.0}, "target", 0, -INF),
    ("renyi", FULL, BARE, {"alpha": 1.0}, "pred", 0, 0.0),
    # t ln t has slope ln 0; raised to eps it is flat.
    ("kl_div", [-1.0, -2.0, -0.7], BARE, {}, "target", 0, -INF),
    ("kl_div", [-1.0, -2.0, -0.7], BARE, {}, "pred", 0, 0.0),
    ("kl_div_prob", FULL, BARE, {}, "target", 0, 0.0),
    ("kl_div_prob", FULL, BARE, {"eps": 0}, "target", 0, -INF),
    # 2 ln(t/p) by t, and 2 (1 - t/p) by p.
    ("poisson_deviance", [1.5], [0.0], {}, "target", 0, -INF),
    ("poisson_deviance", [1.5], [0.0], {}, "pred", 0, 2.0),
    ("tweedie_deviance", [1.5], [0.0], {"power": 1.5}, "target", 0, -INF),
    ("tweedie_deviance", [2.25], [0.0], {"power": 1.5}, "pred", 0, 2 * 2.25**-0.5),
    # 2 (t^2/2 - p t + p^2/2 ...) with power -1: t^3/6 - t p^2/2 + p^3/3, twice: -p^2 by t at 0.
    ("tweedie_deviance", [1.5], [0.0], {"power": -1.0}, "target", 0, -(1.5**2)),
    # -ln(p + eps) by t, for every t.
    ("keras_poisson", [0.4], [0.0], {}, "target", 0, -math.log(0.4 + 1e-7)),
    # One class is there, whose error is 1 - p.
    ("lovasz_softmax", [1.0, 0.0], [0], {}, "pred", 0, -1.0),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, (case[0], *case[3].values(), *case[4:6]))))
def test_gradient_at_the_edge_is_that_from_inside(case):
    name, pred, target, params, by, place, wanted = case
    loss = LOSSES.get(name)
    rows = loss.signature.inputs[0].word.shape.startswith("n c") or name == "kl_div"
    labels = loss.signature.inputs[1].word.index
    arrays = {
        "pred": np.asarray([pred] if rows else pred),
        "target": np.asarray([target] if rows and not labels else target, np.int64 if labels else np.float64),
    }
    found = gradients(loss, Drawn(arrays, {}, scalars(loss, params)))[by].reshape(-1)
    scale = len(pred) if name == "kl_div" else 1
    assert found[place] * scale == pytest.approx(wanted, rel=1e-12, abs=0)
    assert not np.isnan(found).any()
