"""The command that `inspect` suggests for a pair computes something."""

import json
import math

import golden
import jsonschema
import numpy as np
import pytest
from arrays import one_hot, scores, softmax

from lossctl.commands.inspect import run
from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.reduce import evaluate
from lossctl.losses import LOSSES
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import scalars
from lossctl.request.options import Options
from lossctl.sources.files import Files
from lossctl.sources.source import Given

RNG = np.random.default_rng(0)
LABELS, HOT, MANY = RNG.integers(0, 4, 40), one_hot(RNG, 40), RNG.random((40, 5)) < 0.3
PAIRS = {
    "scores and labels": ("ce", scores(RNG, 40), LABELS),
    "scores of maps and labels": ("ce", scores(RNG, 240).reshape(10, 4, 24), RNG.integers(0, 4, (10, 24))),
    "probabilities and labels": ("log_loss", softmax(scores(RNG, 40)), LABELS),
    "logarithms and labels": ("nll", np.log(softmax(scores(RNG, 40))), LABELS),
    "probabilities and one-hot rows": ("categorical_crossentropy_prob", softmax(scores(RNG, 40)), HOT),
    "probabilities and zeros and ones": ("bce", RNG.random(40), RNG.integers(0, 2, 40)),
    "probabilities and several labels": ("bce", RNG.random((40, 5)), MANY),
    "scores and several labels": ("bce_with_logits", scores(RNG, 40, 5), MANY),
    "scores and zeros and ones": ("bce_with_logits", RNG.normal(size=40), RNG.integers(0, 2, 40)),
    "scores and signs": ("hinge", RNG.normal(size=40), RNG.choice([-1, 1], 40)),
    "scores and masks": ("bce_with_logits", RNG.normal(size=(3, 5, 5)), RNG.random((3, 5, 5)) < 0.3),
    "labels and labels": ("zero_one", LABELS, RNG.permutation(LABELS)),
    "numbers and numbers": ("mse", RNG.normal(size=40), RNG.normal(size=40)),
    "numbers and counts": ("mse", RNG.lognormal(size=90), np.r_[0, RNG.poisson(3, 89)]),
}


@pytest.mark.parametrize(("loss", "pred", "target"), PAIRS.values(), ids=PAIRS)
def test_the_suggested_loss_is_finite(loss, pred, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("pred.npy", pred)
    np.save("target.npy", target)
    said = []
    report = run(["pred.npy", "target.npy"], "", said.append)
    assert report.document["pair"]["command"] == f"lossctl compute {loss} pred.npy target.npy"
    assert said == [
        f"pred.npy and target.npy fit: lossctl compute {loss} pred.npy target.npy, or lossctl recommend pred.npy target.npy"
    ]
    assert math.isfinite(computed(loss))


def computed(name):
    loss, files = LOSSES.get(name), Files()
    readers = {role: files.open(Given(text=f"{role}.npy"), role) for role in ("pred", "target")}
    bound = bind(loss, readers, scalars(loss, {}), Options())
    return evaluate([bound], BACKENDS.get("numpy")(), Options(), Selection())[0].value


def test_a_pair_is_listed_with_its_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("f.npz", pred=RNG.random(40), target=RNG.integers(0, 2, 40), other=np.ones(3))
    reasons, together = run(["f.npz"], "", str).more
    assert [row["name"] for row in reasons.rows] == ["f.npz:pred", "f.npz:target", "f.npz:other"]
    assert {"accuracy", "area under the ROC curve"} <= {row["together"] for row in together.rows}
    assert "R2" not in {row["together"] for row in together.rows}


def strictly(token):
    message = f"{token} is no JSON"
    raise ValueError(message)


@pytest.mark.parametrize("text", ["[1, null]", "[]", "[null]", '["inf", 1e308, -1e308]', "[[1e200, 2], [3, -1e200]]"])
def test_documents_are_strict_and_reproducible(text, tmp_path):
    printed = [golden.run({"argv": ["inspect", text, "--format", "json"]}, tmp_path) for _ in range(2)]
    document = json.loads(printed[0].stdout, parse_constant=strictly)
    jsonschema.validate(document, {"properties": {"schema": {"const": "lossctl/inspect/1"}, "arrays": {"minItems": 1}}})
    assert printed[0] == printed[1]
    assert printed[0].code == 0
