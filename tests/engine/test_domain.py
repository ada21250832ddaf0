"""NaN and infinity are one question, domains are another."""

import json
import math

import numpy as np
import pytest
from ask import ask, value

from lossctl.cli.program import program
from lossctl.errors import NotFinite, OutOfDomain
from lossctl.request.options import Options

# loss, its inputs, the name of the one that has a value outside of the domain, and the value of the formula as it stands.
OUTSIDE = [
    ("hinge", ([5.0, 1.0], [0, 3]), "target", ((1 + 5) + 0) / 2),
    ("bce", ([0.5, 0.5], [1.5, 0.0]), "target", math.log(2)),
    ("brier", ([1.5, 0.25], [1, 0]), "pred", (0.25 + 0.0625) / 2),
    ("log_loss", ([5.0, 1.0], [1, 0]), "pred", 36.04365338911715 / 2),
    ("gaussian_nll", ([5.0, 1.0], [0.0, 3.0], [-1.0, 1.0]), "var", (math.log(1e-6) / 2 + 25 / 1e-6 / 2 + 4 / 2) / 2),
    ("poisson_deviance", ([2.0], [-1.0]), "target", math.nan),
    ("mse:weight=-1,3", ([1.0, 2.0], [0.0, 0.0]), "weight", (-1 + 12) / 2),
]


def split(name):
    name, _, weight = name.partition(":weight=")
    return name, {"weight": [float(one) for one in weight.split(",")]} if weight else {}


@pytest.mark.parametrize(("name", "arrays", "culprit", "wanted"), OUTSIDE)
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_no_policy_for_nan_lifts_a_domain(name, arrays, culprit, wanted, backend):
    name, tensors = split(name)
    for nan in ("error", "skip", "propagate"):
        with pytest.raises(OutOfDomain, match=rf"{culprit} \({culprit}\) at .*, outside of") as caught:
            ask(name, *arrays, options=Options(nan=nan, backend=backend), **tensors)
        assert "--domain ignore" in caught.value.hint
    found = value(name, *arrays, options=Options(nan="propagate", domain="ignore", backend=backend), **tensors)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_domain_says_nothing_of_what_is_no_finite_number(bad):
    for name, arrays in (("bce", ([0.5, bad], [1.0, 0.0])), ("msle", ([bad, 1.0], [1.0, 2.0])), ("hinge", ([1.0], [bad]))):
        ask(name, *arrays, options=Options(nan="propagate"))
        with pytest.raises(NotFinite):
            ask(name, *arrays, options=Options(domain="ignore"))


def test_what_is_outside_is_found_beside_what_is_no_number():
    for bad in (math.nan, math.inf):
        with pytest.raises(OutOfDomain, match=r"pred \(pred\) at \[2\] is 1\.5, outside of \[0, 1\]"):
            ask("bce", [0.5, bad, 1.5], [1.0, 0.0, 1.0], options=Options(nan="propagate"))


def test_labels_are_places_under_any_policy():
    with pytest.raises(OutOfDomain, match="is class 2, but 2 classes are"):
        ask("ce", np.zeros((1, 2)), [2], options=Options(domain="ignore"))
    with pytest.raises(OutOfDomain, match="a whole number"):
        ask("ce", np.zeros((1, 2)), [0.5], options=Options(domain="ignore"))


def test_one_sample_of_probabilities_that_do_not_add_up():
    with pytest.raises(OutOfDomain, match="adds up to 2"):
        ask("ce", [0.0, 0.0], [1.0, 1.0], options=Options(nan="propagate"))
    assert value("ce", [0.0, 0.0], [1.0, 1.0], options=Options(domain="ignore")) == pytest.approx(2 * math.log(2))


def test_the_last_of_many_values_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pred = np.full((700_000, 1), 0.5)
    pred[-2:] = [[1.5], [-0.5]]
    np.save("p.npy", pred)
    np.save("t.npy", np.zeros((700_000, 1)))
    argv = ["compute", "dice", "p.npy", "t.npy", "--domain", "ignore", "-f", "json"]
    printed = program()(argv, prog_name="lossctl", standalone_mode=False)
    document = json.loads(printed.text)
    assert [one for one in document["warnings"] if one["code"] == "L063"] == [
        {
            "code": "L063",
            "message": "pred (p.npy) has 2 values outside of [0, 1], first 1.5 at [699998, 0]: computed as it stands",
        }
    ]
    assert "domain:ignore" in document["signature"]
    assert document["request"]["options"]["domain"] == "ignore"
