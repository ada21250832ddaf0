"""Rules and settings: each is reached, names what exists, and says sentences that can be formed."""

import zlib
from string import Formatter

import holdout
import numpy as np
import pytest
from pydantic import ValidationError

from lossctl.guides.recommend.advice import advise
from lossctl.guides.recommend.deriving import FUNCTIONS
from lossctl.guides.recommend.knowledge import Condition, Rule, Setting, all_hold, paths, questions, rules, settings
from lossctl.losses import catalogue
from lossctl.sources.readers import Memory


def memory(array):
    return Memory(np.asarray(array), "array")


def fold(**more):
    """The rules and settings that one piece of advice used."""
    advice = advise(**more)
    used = {*advice.ranking.fired, *(one.rule for one in advice.answers.path)}
    return used | {derived.rule for choice in advice.choices for derived in choice.derived}


def pairs(rng):
    """Predictions beside targets, for the rules that need both."""
    labels = rng.integers(0, 3, 200)
    scores = rng.normal(0, 2, (200, 3))
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    for pred in (scores, chances, np.log(chances)):
        yield pred, labels
    size = np.linspace(1, 9, 400)
    yield size, size + rng.normal(0, size)
    yield size, size + rng.normal(0, 0.1, 400)
    yield size, size + rng.standard_t(1, 400)
    yield size, size * rng.lognormal(0, 2, 400)
    yield rng.uniform(1, 5, 300), rng.poisson(3, 300)


ALONE = [
    ({}, np.random.default_rng(0).integers(34, 41, 300)),
    ({"over_cost": 1.0, "under_cost": 5.0}, np.random.default_rng(0).integers(0, 2, 300)),
    ({"margin": "yes"}, np.random.default_rng(0).integers(0, 4, 300)),
    ({"small_regions": "yes"}, np.random.default_rng(0).integers(0, 4, (4, 16, 16))),
    ({"over_cost": 1.0, "under_cost": 5.0}, holdout.mask(np.random.default_rng(0), 0.3)),
]


@pytest.fixture(scope="module")
def fired():
    """Every rule and setting that some case reaches."""
    found = set()
    for case in holdout.CASES:
        rng = np.random.default_rng(zlib.crc32(case.name.encode()))
        found |= fold(given=case.given, target=memory(case.draw(rng)) if case.draw else None)
    for path in paths():
        found |= fold(given=path.answers)
    for pred, target in pairs(np.random.default_rng(1)):
        found |= fold(given={}, target=memory(target), pred=memory(pred))
    for given, target in ALONE:
        found |= fold(given=given, target=memory(target))
    return found


@pytest.mark.parametrize("row", [*rules(), *settings()], ids=lambda row: row.id)
def test_every_row_is_reached(row, fired):
    assert row.id in fired


def test_ids_are_unique():
    names = [row.id for row in [*rules(), *settings()]]
    assert len({*names}) == len(names)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_names_what_exists(rule):
    assert {*rule.prefer, *rule.avoid} <= {*catalogue()}
    assert {*rule.task} <= {*questions()["task"].words}
    for name, answer in rule.concludes.items():
        assert answer in questions()[name].words
    for condition in rule.when:
        known = {*questions(), "several_quantiles"}
        assert condition.fact or condition.answer in known


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_prefers_nothing_that_cannot_be_trained_with(rule):
    assert not [name for name in rule.prefer if catalogue()[name].flat]


@pytest.mark.parametrize("rule", [rule for rule in rules() if not rule.concludes], ids=lambda rule: rule.id)
def test_a_preference_says_where_it_comes_from(rule):
    assert rule.source or any(condition.fact for condition in rule.when)
    assert rule.prefer or rule.avoid


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_sentence_speaks_only_of_what_its_conditions_make_known(rule):
    slots = {name for text in (rule.because, rule.against) for _, name, _, _ in Formatter().parse(text) if name}
    known = {condition.name for condition in rule.when} | {"low", "high"}
    assert slots <= known


@pytest.mark.parametrize("setting", settings(), ids=lambda setting: setting.id)
def test_a_setting_sets_a_parameter_that_its_losses_have(setting):
    assert setting.by in FUNCTIONS
    for name in setting.loss:
        signature = catalogue()[name].signature
        assert setting.param in {one.name for one in (*signature.parameters, *signature.tensors)}


def test_every_function_is_used():
    assert {*FUNCTIONS} == {setting.by for setting in settings()}


@pytest.mark.parametrize(
    ("condition", "facts", "answers", "expected"),
    [
        ({"fact": "kind", "is": "counts"}, {"kind": "counts"}, {}, True),
        ({"fact": "kind", "is": "counts"}, {"kind": "labels"}, {}, False),
        ({"fact": "skew", "above": 1}, {"skew": 1.0}, {}, False),
        ({"fact": "skew", "at_least": 1}, {"skew": 1.0}, {}, True),
        ({"fact": "skew", "below": 1}, {"skew": None}, {}, False),
        ({"fact": "skew", "at_most": 1}, {"skew": float("nan")}, {}, False),
        ({"fact": "skew", "below": 1}, {}, {"skew": 0.0}, False),
        ({"answer": "task", "in": ["count", "binary"]}, {}, {"task": "binary"}, True),
        ({"answer": "task", "in": ["count", "binary"]}, {"task": "binary"}, {}, False),
        ({"fact": "skew", "above": 0, "below": 1}, {"skew": 0.5}, {}, True),
        ({"fact": "integral", "is": False}, {"integral": False}, {}, True),
    ],
)
def test_a_condition(condition, facts, answers, expected):
    assert all_hold([Condition.model_validate(condition)], facts, answers) is expected


@pytest.mark.parametrize(
    ("model", "row"),
    [
        (Rule, {"id": "x", "when": [], "prefer": {"mse": 1}, "because": "y", "becuase": "y"}),
        (Rule, {"id": "x", "when": [{"fact": "skew", "more": 1}], "because": "y"}),
        (Rule, {"id": "x", "when": [], "concludes": {"outliers": True}, "because": "y"}),
        (Rule, {"id": "x", "when": [], "prefer": {"mse": -1}, "because": "y"}),
        (Setting, {"id": "x", "loss": "huber", "param": "delta", "by": "f", "because": "y"}),
    ],
)
def test_a_row_with_a_fault_is_refused(model, row):
    with pytest.raises(ValidationError):
        model.model_validate(row)
