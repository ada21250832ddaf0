"""Regression losses at infinite predictions and targets: the limit where there is one, and no overflow in float32."""

import math

import pytest
from inside import run

INF = math.inf
# What is bounded goes to its bound, with gradient 0: tukey's is c^2 / 6 with c = 4.685.
BOUNDED = {
    "geman_mcclure": 2.0,
    "welsch": 1.0,
    "tukey": 4.685**2 / 6,
    "barron -p alpha=-2": 2.0,
    "barron -p alpha=-inf": 1.0,
    "smape": 2.0,
    "smape -p bounded=true": 1.0,
    "smape -p percent=true": 200.0,
}
UNBOUNDED = ("fair", "pseudo_huber", "charbonnier", "cauchy", "log_cosh", "barron", "barron -p alpha=3", "mse", "huber")
COUNTS = (
    "poisson_deviance",
    "gamma_deviance",
    "tweedie_deviance -p power=1.5",
    "tweedie_deviance -p power=2.5",
    "keras_poisson",
    "poisson_nll",
    "poisson_nll -p log_input=false",
)


def numbers(folder, line):
    done = run(line, folder)
    assert done.code == 0, done.stderr
    return [float(number) for number in done.stdout.split()]


def values(tmp_path, name, pred, target):
    return numbers(tmp_path, f"compute {name} [{pred},3] [{target},1] --nan propagate --reduction none -f value -q")


def slopes(tmp_path, name, pred, target, wrt="pred"):
    return numbers(tmp_path, f"grad {name} [{pred},3] [{target},1] --nan propagate --reduction sum --wrt {wrt} -f value -q")


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize(("pred", "target"), [("inf", 1), ("-inf", 1), (1, "inf"), (1, "-inf"), ("inf", "-inf")])
def test_a_bounded_loss_of_an_infinite_error_is_its_bound_and_flat(tmp_path, name, pred, target):
    assert values(tmp_path, name, pred, target)[0] == pytest.approx(BOUNDED[name], rel=1e-14)
    assert slopes(tmp_path, name, pred, target)[0] == 0
    assert slopes(tmp_path, name, pred, target, "target")[0] == 0


@pytest.mark.parametrize("name", UNBOUNDED)
@pytest.mark.parametrize(("pred", "target"), [("inf", 1), ("-inf", 1), (1, "inf"), (1, "-inf")])
def test_an_unbounded_loss_of_an_infinite_error_is_infinite(tmp_path, name, pred, target):
    assert values(tmp_path, name, pred, target)[0] == INF


@pytest.mark.parametrize("name", ["fair", "pseudo_huber", "charbonnier", "log_cosh", "barron -p alpha=1", "huber"])
def test_losses_that_end_in_a_line_keep_its_slope(tmp_path, name):
    assert slopes(tmp_path, name, "inf", 1)[0] == 1
    assert slopes(tmp_path, name, "-inf", 1)[0] == -1


@pytest.mark.parametrize("name", COUNTS)
def test_an_infinite_rate_costs_infinitely_much(tmp_path, name):
    # The rate outgrows its logarithm; a power above 2 alone has a limit: 2 (t^(2-k) / ((1-k)(2-k))) = 8/3 of t = 1, k = 2.5.
    expected = 8 / 3 if name.endswith("2.5") else INF
    assert values(tmp_path, name, "inf", 1)[0] == pytest.approx(expected)


@pytest.mark.parametrize("name", [name for name in COUNTS if "deviance" in name])
def test_an_infinite_count_costs_infinitely_much(tmp_path, name):
    assert values(tmp_path, name, 1, "inf")[0] == INF


@pytest.mark.parametrize("name", ["mape", "mspe", "rmspe", "mape -p percent=true"])
def test_an_error_as_a_share_of_an_infinite_target_is_all_of_it(tmp_path, name):
    whole = 100 if "percent" in name else 1
    line = f"{name} [5] [-inf] --nan propagate -f value -q"
    assert numbers(tmp_path, f"compute {line}") == [whole]
    assert numbers(tmp_path, f"grad {line}") == [0]


@pytest.mark.parametrize(
    "name", ["mape", "smape", "fair", "geman_mcclure", "poisson_deviance", "gamma_deviance", "keras_poisson"]
)
def test_infinity_against_itself_has_no_limit(tmp_path, name):
    assert math.isnan(values(tmp_path, name, "inf", "inf")[0])


# Errors of 2 and 1e30: by hand sqrt(5) - 1, ln(1 + 2), 8 / (4 + 4), 1 - e^-2, sqrt(4 + 1e-6).
NARROW = {
    "pseudo_huber": (math.sqrt(5) - 1, 1e30),
    "cauchy": (math.log(3), math.log(0.5) + 60 * math.log(10)),
    "geman_mcclure": (1.0, 2.0),
    "welsch": (-math.expm1(-2), 1.0),
    "charbonnier": (math.sqrt(4 + 1e-6), 1e30),
    "barron": (math.sqrt(5) - 1, 1e30),
}


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_robust_losses_work_in_narrow_floats(tmp_path, name, backend):
    line = f"compute {name} [3,1e30] [1,1] --reduction none --dtype f32 --backend {backend} -f value -q"
    assert numbers(tmp_path, line) == pytest.approx(NARROW[name], rel=1e-6)


def test_an_impossible_class_of_weight_0_costs_nothing_and_is_flat(tmp_path):
    # The sum over both rows is that of the second row alone, whose class has weight 1.
    line = "focal_multiclass [[-inf,1,2],[0,1,2]] [0,1] -i alpha=[0,1,1] --nan propagate --reduction sum -f value -q"
    alone = "focal_multiclass [[0,1,2]] [1] --reduction sum -f value -q"
    assert numbers(tmp_path, f"compute {line}") == pytest.approx(numbers(tmp_path, f"compute {alone}"), rel=1e-14)
    assert numbers(tmp_path, f"grad {line}") == pytest.approx([0, 0, 0, *numbers(tmp_path, f"grad {alone}")], rel=1e-14)
