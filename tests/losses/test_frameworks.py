"""A name under its framework is that framework's number: values that the frameworks computed, at usual inputs and at edges."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lossctl.cli.program import program
from lossctl.errors import BadParameter, LossctlError, NoSuchReduction, ShapeMismatch
from lossctl.losses.names import FRAMEWORKS, PREFIXES

CASES = json.loads((Path(__file__).parents[1] / "data" / "frameworks.json").read_text())["cases"]
# Options without which a name is refused.
NEEDED = {"kl_divergence": ["--reduction", "batchmean"], "Perplexity": ["--class-dim", "-1"]}
# Keras adds 1e-7 below where we keep clear of it; MONAI computes in float32.
CLOSE = 5e-7
# Losses of torch are compared in test_vectors.py, those of scikit-learn below; these have no call to compare with.
UNCOMPARED = {"torch", "sklearn", "xgboost", "catboost", "smp.LovaszLoss", "lightgbm.regression_l2", "lightgbm.multiclass"}


def value(name, *words):
    printed = program()(["compute", name, *words, "--format", "json"], prog_name="lossctl", standalone_mode=False)
    return json.loads(printed.text)["results"][0]["value"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['framework']}.{case['name']}")
def test_a_name_is_its_frameworks_number(case):
    more = next(
        (words for name, words in NEEDED.items() if case["name"].startswith(name) and case["framework"][:5] != "keras"), []
    )
    found = value(f"{case['framework']}.{case['name']}", json.dumps(case["pred"]), json.dumps(case["target"]), *more)
    assert found == pytest.approx(case["value"], rel=CLOSE, abs=1e-9)


def test_every_name_is_compared():
    prefixes = {prefix: framework for framework, spellings in PREFIXES.items() for prefix in spellings}
    seen = {(prefixes[case["framework"]], case["name"].partition(":")[0]) for case in CASES}
    for framework, table in FRAMEWORKS.items():
        for name in table:
            assert (framework, name) in seen or {framework, f"{framework}.{name}"} & UNCOMPARED, name


DRAWN = np.random.default_rng(5)
PRED, TARGET = DRAWN.gamma(2, 1, 30) + 0.1, DRAWN.gamma(2, 1, 30) + 0.1
CHANCES, LABELS = DRAWN.dirichlet(np.ones(3), 30), np.arange(30) % 3
SIGNS = np.where(DRAWN.uniform(size=30) < 0.5, -1, 1)
HELD = (DRAWN.uniform(size=(30, 3)) < 0.5).astype(int)
SKLEARN = {
    "brier_score_loss": (CHANCES, LABELS),
    "coverage_error": (CHANCES, HELD),
    "hamming_loss": (LABELS, LABELS[::-1]),
    "hinge_loss": (PRED - 2, SIGNS),
    "label_ranking_loss": (CHANCES, HELD),
    "log_loss": (CHANCES, LABELS),
    "zero_one_loss": (LABELS, LABELS[::-1]),
}
ONE_COLUMN = {"max_error", "root_mean_squared_error", "root_mean_squared_log_error"}
ONE_COLUMN_THERE = {"mean_gamma_deviance", "mean_poisson_deviance", "mean_tweedie_deviance", "d2_tweedie_score"}


@pytest.mark.parametrize("name", FRAMEWORKS["sklearn"])
def test_a_name_of_scikit_learn_is_its_number(name):
    metrics = pytest.importorskip("sklearn.metrics")
    pred, target = SKLEARN.get(name, (PRED, TARGET))
    wanted = float(getattr(metrics, name)(target, pred))
    for typed in (f"sklearn.metrics.{name}", f"sklearn.{name}"):
        assert value(typed, json.dumps(pred.tolist()), json.dumps(target.tolist())) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", sorted(set(FRAMEWORKS["sklearn"]) - set(SKLEARN) - ONE_COLUMN_THERE))
def test_a_name_of_scikit_learn_of_several_columns_is_its_number_or_refused(name):
    metrics = pytest.importorskip("sklearn.metrics")
    pred, target = PRED.reshape(10, 3), TARGET.reshape(10, 3)
    words = json.dumps(pred.tolist()), json.dumps(target.tolist())
    if name in ONE_COLUMN:
        with pytest.raises(ShapeMismatch, match="pred has shape"):
            value(f"sklearn.{name}", *words)
        return
    assert value(f"sklearn.{name}", *words) == pytest.approx(float(getattr(metrics, name)(target, pred)), rel=1e-12)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        # 0.9 (8 - 4) + 0.9 (1.5 - 1) + 0.1 (3 - 1) = 4.25, over 4
        ("sklearn.mean_pinball_loss:alpha=0.9", 1.0625),
        ("lightgbm.quantile", 1.0625),
        ("lightgbm.quantile:alpha=0.5", 0.8125),
        ("xgboost.reg:quantileerror:quantile_alpha=0.9", 1.0625),
        # errors .5, 0, 2, 4 over max(1, target) = 1.5, 2, 1, 8: 1/3 + 0 + 2 + 1/2
        ("catboost.MAPE", 17 / 24),
        # 1/2 .25 + .9 (2 - .45) + .9 (4 - .45) = .125 + 1.395 + 3.195
        ("lightgbm.huber", 4.715 / 4),
        ("reg:squarederror", 5.0625),
        ("keras.losses.huber", 1.28125),
    ],
)
def test_parameters_of_a_framework_keep_their_names_and_defaults(typed, wanted):
    assert value(typed, "[1,2,3,4]", "[1.5,2,1,8]") == pytest.approx(wanted, rel=1e-12)


def test_what_a_name_leaves_open_is_refused():
    rows = "[[-1.5,-0.5,-1.2]]", "[[0.2,0.3,0.5]]"
    with pytest.raises(NoSuchReduction, match="adds over classes") as caught:
        value("optax.kl_divergence", *rows)
    assert "--reduction batchmean" in caught.value.hint
    with pytest.raises(BadParameter, match="has no default of q"):
        value("reg:quantileerror", "[1]", "[2]")
    cube = json.dumps(np.full((2, 3, 3), 1 / 3).tolist())
    with pytest.raises(ShapeMismatch, match="keras has classes on the last axis"):
        value("keras.losses.SparseCategoricalCrossentropy", cube, "[[0,1,2],[0,1,2]]")
    last = value("keras.losses.SparseCategoricalCrossentropy", cube, "[[0,1,2],[0,1,2]]", "--class-dim", "-1")
    assert last == pytest.approx(math.log(3))


def test_a_focal_loss_of_a_framework_does_not_change_its_form_by_shapes():
    for typed in ("torchvision.ops.sigmoid_focal_loss", "smp.FocalLoss", "optax.sigmoid_focal_loss"):
        with pytest.raises(LossctlError):
            value(typed, "[[1,2,3],[1,0,0]]", "[2,0]")


def test_what_is_said_beside_a_frameworks_number(capsys):
    value("torchvision.ops.sigmoid_focal_loss", "[0,2,-3]", "[1,0,0]")
    assert "the default reduction there is none" in capsys.readouterr().err
    value("keras.losses.MeanSquaredError", "[1,4]", "[0,0]")
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "ours"),
    [
        ("keras.losses.MeanSquaredError", "mse"),
        ("keras.MeanAbsoluteError", "l1"),
        ("tf.keras.losses.mape", "mape:percent=true,eps=1e-7"),
    ],
)
def test_a_mean_of_keras_with_weights_is_refused(typed, ours):
    # Of squared errors 1 and 16 with weights 1 and 3 Keras has 49 / 2 = 24.5, and the mean by weights is 49 / 4 = 12.25.
    with pytest.raises(NoSuchReduction, match="sum_over_batch_size divides by the number of samples") as caught:
        value(typed, "[1,4]", "[2,1]", "--weights", "[1,3]")
    assert f"Write {ours} for the mean by weights" in caught.value.hint


def test_sums_of_keras_with_weights_are_its_own():
    assert value("keras.losses.MeanSquaredError", "[1,4]", "[0,0]", "--weights", "[1,3]", "--reduction", "sum") == 49
    for typed in ("mse", "keras.metrics.MeanSquaredError"):
        assert value(typed, "[1,4]", "[0,0]", "--weights", "[1,3]") == 12.25
