"""Whatever a loss is called elsewhere, its name leads to a loss that exists here, with parameters that it has."""

import json

import pytest

from lossctl.cli.program import program
from lossctl.errors import UnknownName
from lossctl.losses import AMBIGUOUS, LOSSES, catalogue
from lossctl.losses.loss import scalars
from lossctl.losses.names import ALSO, FRAMEWORKS, PREFIXES, REFUSED, RULES
from lossctl.request.lookup import look_up, understand
from lossctl.request.spec import parse_losses

THEIRS = [(framework, theirs, ours) for framework, table in FRAMEWORKS.items() for theirs, ours in table.items()]


@pytest.mark.parametrize(("framework", "theirs", "ours"), THEIRS, ids=str)
def test_a_name_of_another_framework_leads_to_a_loss(framework, theirs, ours):
    if theirs == "AdaptiveLogSoftmaxWithLoss":
        with pytest.raises(UnknownName, match="cannot be computed from files"):
            look_up(f"nn.{theirs}")
        return
    meant, _ = understand(f"{PREFIXES[framework][0]}.{theirs}")
    loss = LOSSES.get(meant.name)
    assert loss.name == LOSSES.get(parse_losses(ours)[0].name).name
    scalars(loss, meant.params)


@pytest.mark.parametrize(
    ("typed", "ours"),
    [
        ("nn.CrossEntropyLoss", "cross_entropy"),
        ("torch.nn.functional.mse_loss", "mse"),
        ("F.smooth_l1_loss", "smooth_l1"),
        ("tf.keras.losses.Huber", "huber"),
        ("keras.losses.BinaryCrossentropy", "binary_crossentropy_prob"),
        ("optax.l2_loss", "l2_half"),
        ("l2_loss", "mse"),
        ("sklearn.metrics.root_mean_squared_error", "rmse"),
        ("reg:squarederror", "mse"),
        ("SparseCategoricalCrossentropy", "cross_entropy"),
        ("keras.losses.sparse_categorical_crossentropy", "categorical_crossentropy_prob"),
        ("keras.losses.mean_absolute_percentage_error", "mape"),
        ("keras.losses.kl_divergence", "kl_div_prob"),
        ("keras.metrics.binary_crossentropy", "binary_crossentropy_prob"),
        ("keras.losses.cosine_similarity", "negative_cosine"),
        ("keras.losses.binary_focal_crossentropy", "binary_focal_crossentropy_prob"),
        ("nse", "r2"),
        ("sklearn.metrics.d2_pinball_score", "d2_pinball"),
        ("xgb.reg:squarederror", "mse"),
        ("poisson", "poisson_nll"),
        ("Cross-Entropy", "cross_entropy"),
        ("MAE", "l1"),
        ("weighted_ce", "cross_entropy"),
        ("quantile", "pinball"),
    ],
)
def test_a_typed_name(typed, ours):
    assert look_up(typed).name == ours


@pytest.mark.parametrize(
    ("framework", "theirs"),
    [(framework, theirs) for framework, table in REFUSED.items() if framework in PREFIXES for theirs in table],
)
def test_a_name_that_is_another_number_in_its_framework_is_refused_with_what_to_write(framework, theirs):
    with pytest.raises(UnknownName, match=f"{theirs} of {framework} is no number that lossctl has: ") as caught:
        understand(f"{PREFIXES[framework][0]}.{theirs}")
    assert any(name in caught.value.hint for name in catalogue())
    assert theirs not in FRAMEWORKS[framework]


def test_rules_are_those_of_names():
    for framework, table in RULES.items():
        for name, rules in table.items():
            ours = parse_losses({**ALSO.get(framework, {}), **FRAMEWORKS[framework]}[name])[0].name
            own = {parameter.name for parameter in catalogue()[ours].signature.parameters}
            assert {*rules.params.values(), *rules.needs} <= own
    assert set(ALSO) - {"keras.metrics"} <= set(FRAMEWORKS)


def test_functions_of_torch_are_those_of_the_catalogue():
    for loss in catalogue().values():
        if loss.torch:
            assert look_up(f"torch.nn.functional.{loss.torch}") is loss
            assert look_up(f"F.{loss.torch}") is loss


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("anything.at.all.mse", "'anything.at.all' is no framework that lossctl knows"),
        ("mse.x", "'mse' is no framework"),
        ("sklearn.huber", "no loss of sklearn that lossctl knows"),
        ("optax.cross_entropy", "no loss of optax"),
        ("keras.metrics.CosineSimilarity", "as a metric it is the cosine itself"),
        ("torchmetrics.functional.kl_divergence", "it takes probabilities"),
        ("torchmetrics.KLDivergence", "it takes probabilities"),
    ],
)
def test_a_prefix_is_never_dropped(typed, said):
    with pytest.raises(UnknownName, match=said) as caught:
        understand(typed)
    assert caught.value.code == 2


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_name_with_several_meanings_says_which_it_took(name):
    meant, note = understand(name)
    assert meant.name in catalogue()
    assert meant.name in note
    mentioned = [word.strip("():;,.") for word in note.replace("-p ", "").split()]
    assert any(word in catalogue() and word != meant.name for word in mentioned) or "also" not in note


def test_every_loss_is_found_under_every_alias():
    for loss in catalogue().values():
        for alias in loss.aliases:
            assert LOSSES.get(alias) is loss


def test_focal_takes_its_form_from_the_shapes(capsys):
    def value(*words):
        printed = program()(["compute", *words, "-f", "json"], prog_name="lossctl", standalone_mode=False)
        return json.loads(printed.text)["results"][0]

    many = value("focal", "[[1,2,3],[1,0,0]]", "[2,0]")
    assert many == value("focal_multiclass", "[[1,2,3],[1,0,0]]", "[2,0]")
    assert value("focal", "[0,2,-3]", "[1,0,0]")["value"] == pytest.approx(0.42698744, abs=1e-8)
    assert "focal_multiclass" in capsys.readouterr().err


def test_list_from_a_framework():
    printed = program()(["list", "--from", "Keras", "--json"], prog_name="lossctl", standalone_mode=False)
    names = {row["theirs"]: row["ours"] for row in json.loads(printed.text)["names"]}
    assert names["Huber"] == "huber"
    with pytest.raises(UnknownName, match="no framework 'kears'"):
        program()(["list", "--from", "kears"], prog_name="lossctl", standalone_mode=False)
