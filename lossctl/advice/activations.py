"""Traps about what the network has, or has not, done to its output."""

from __future__ import annotations

import numpy as np

from lossctl.advice.sight import CLOSE, ENOUGH, Sight, adds_up, inside_unit, trap


@trap("L001", "probabilities where cross-entropy wants scores")
def softmax_twice(sight: Sight) -> str:
    """cross_entropy applies softmax itself. Given probabilities it applies it twice: the value can then never fall below
    log(1 + (C-1)/e), whatever the network learns, and gradients shrink. Give it the scores before softmax, or use a
    loss of probabilities.
    """
    if not sight.takes("raw scores, one a class") or not adds_up(sight.pred) or sight.pred.shape[1] < 2:  # noqa: PLR2004
        return ""
    classes = sight.pred.shape[1]
    floor = np.log1p((classes - 1) / np.e)
    right = sight.command("categorical_crossentropy_prob")
    return (
        f"pred's rows are probabilities: with softmax applied again {sight.loss} cannot fall below {floor:.4g}. Right: {right}"
    )


@trap("L002", "probabilities where a sigmoid is applied")
def sigmoid_twice(sight: Sight) -> str:
    """bce_with_logits and focal apply the sigmoid themselves. Probabilities given to them lie in [0, 1], so that no
    positive can cost less than log(1 + 1/e) = 0.3133 and no negative less than 0.6931. Give the scores before the
    sigmoid, or use bce.
    """
    if not sight.takes("raw scores") or sight.takes("raw scores, one a class"):
        return ""
    if sight.pred.size < ENOUGH or not inside_unit(sight.pred):
        return ""
    low, high = sight.pred.min(), sight.pred.max()
    return f"pred lies in [{low:.4g}, {high:.4g}], which looks like probabilities; floor 0.3133. Right: {sight.command('bce')}"


@trap("L003", "probabilities where log-probabilities are wanted")
def not_logarithms(sight: Sight) -> str:
    """Nll and kl_div take logarithms of probabilities, which are never above 0. Probabilities themselves give a negative
    number that means nothing. Take log_softmax of the scores, or use a loss of probabilities.
    """
    if not any(slot.input.word.logs for slot in sight.bound.slots) or not sight.pred.size or sight.pred.min() < 0:
        return ""
    right = "categorical_crossentropy_prob" if sight.loss == "nll" else "cross_entropy"
    least, command = sight.pred.min(), sight.command(right)
    return f"pred is never below 0 (least {least:.4g}), so it holds no log-probabilities. Perhaps: {command}"


@trap("L004", "scores where log-probabilities are wanted")
def not_normalised(sight: Sight) -> str:
    """Log-probabilities add up to 1 once exponentiated. Raw scores do not, and ctc and nll then give a number, sometimes a
    negative one, that is no likelihood. Apply log_softmax over the classes.
    """
    if sight.loss not in {"ctc", "nll"} or sight.pred.ndim < 2 or not sight.pred.size or sight.pred.min() >= 0:  # noqa: PLR2004
        return ""
    axis = -1 if sight.loss == "ctc" else 1
    sums = np.exp(sight.pred).sum(axis=axis)
    worst = float(sums.flat[int(np.argmax(np.abs(sums - 1)))])
    wrong = abs(worst - 1) > 10 * CLOSE
    return f"exp(pred) adds up to {worst:.4g} for one sample instead of 1: apply log_softmax first" if wrong else ""


@trap("L005", "probabilities where signed scores are wanted")
def unsigned(sight: Sight) -> str:
    """Hinge losses look at the sign of a score. A probability is never negative, so every negative sample costs at least
    the margin. Give the score before the sigmoid.
    """
    if not sight.takes("signed scores") or sight.pred.size < ENOUGH or not inside_unit(sight.pred):
        return ""
    return f"pred lies in [{sight.pred.min():.4g}, {sight.pred.max():.4g}] and has no sign: give scores, not probabilities"


@trap("L006", "hinge_embedding is not the hinge loss")
def not_a_distance(sight: Sight) -> str:
    """hinge_embedding takes distances and adds them up for y = 1; the hinge loss of a classifier is max(0, 1 - y x).
    Scores of either sign in hinge_embedding are nearly always meant for hinge.
    """
    if sight.loss != "hinge_embedding" or not sight.pred.size or sight.pred.min() >= 0:
        return ""
    hinge = np.maximum(0, 1 - sight.target * sight.pred).mean()
    least, command = sight.pred.min(), sight.command("hinge")
    return f"pred has negative values (least {least:.4g}), so no distances; hinge gives {hinge:.6g}: {command}"
