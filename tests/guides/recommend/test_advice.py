"""From data and answers to advice: what is refused, what is assumed, and that every sentence has its rule."""

import numpy as np
import pytest

from lossctl.errors import BadParameter, NothingLeft, OutOfDomain, ShapeMismatch, UsageError
from lossctl.guides.recommend.advice import DOMAIN, advise
from lossctl.guides.recommend.answers import ASKED, ASSUMED, DATA, FLAG, as_flag, given_answers
from lossctl.guides.recommend.deriving import counts_of_target, known_of
from lossctl.guides.recommend.knowledge import questions, rules, settings
from lossctl.sources.readers import Memory

RNG = np.random.default_rng(2)
NORMAL = RNG.normal(0, 1, 300)


def memory(array):
    return Memory(np.asarray(array), "target.npy")


def how(advice):
    return {one.question: one.how for one in advice.answers.path}


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (np.full(50, 3.0), OutOfDomain, "Every value of target.npy is 3"),
        (np.full(50, np.nan), NothingLeft, "nothing but NaN"),
        (np.full(50, np.inf), NothingLeft, "nothing but NaN"),
        (np.zeros((0, 3)), NothingLeft, "no values"),
        (np.arange(100), OutOfDomain, "is no target"),
        (1_600_000_000 + RNG.integers(0, 10**8, 100), OutOfDomain, "seconds since 1970"),
    ],
)
def test_nonsense_is_refused(target, error, words):
    with pytest.raises(error, match=words) as found:
        advise({}, target=memory(target))
    assert found.value.hint


def test_a_prediction_of_another_length_is_refused():
    with pytest.raises(ShapeMismatch, match="do not fit"):
        advise({}, target=memory(NORMAL), pred=memory(NORMAL[:-1]))


def test_nothing_to_go_on_is_refused():
    with pytest.raises(UsageError, match="nothing to go on"):
        advise({})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"task": "binary", "outliers": "yes"}, "--outliers means nothing here: the task is binary"),
        ({"task": "regression", "outliers": "no", "outliers_matter": "yes"}, "--outliers-matter means nothing"),
        ({"margin": "yes", "examples": "pairs"}, "means nothing here"),
    ],
)
def test_an_answer_that_means_nothing_is_refused(given, words):
    with pytest.raises(UsageError, match=words):
        advise(given)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"task": "regresion"}, "Did you mean 'regression'"),
        ({"head": "logits"}, "Known answers"),
        ({"over_cost": 0.0}, "above 0"),
        ({"under_cost": float("nan")}, "above 0"),
        ({"quantiles": "0.1,high"}, "between 0 and 1"),
        ({"quantiles": "1.5"}, "between 0 and 1"),
    ],
)
def test_a_word_that_is_no_answer_is_refused(typed, words):
    with pytest.raises(BadParameter) as found:
        given_answers(typed)
    assert words in found.value.paragraph()


def test_typed_answers():
    typed = {"outliers": True, "smooth": False, "head": None, "quantiles": "0.9,0.1", "under_cost": 2.0}
    assert given_answers(typed) == {"outliers": "yes", "smooth": "no", "quantiles": [0.1, 0.9], "under_cost": 2.0}


@pytest.mark.parametrize(
    ("question", "answer", "flag"),
    [
        ("task", "count", "--task count"),
        ("outliers", "yes", "--outliers"),
        ("outliers", "no", "--no-outliers"),
        ("quantiles", [0.1, 0.9], "--quantiles 0.1,0.9"),
        ("over_cost", 2.5, "--over-cost 2.5"),
    ],
)
def test_an_answer_as_a_flag(question, answer, flag):
    assert as_flag(question, answer) == flag


def test_flags_go_before_data_and_data_before_questions_and_those_before_defaults():
    def ask(question):
        return "median" if question.id == "predict" else None

    found = how(advise({"wide": "no"}, target=memory(NORMAL), ask=ask))
    assert found == {"task": DATA, "predict": ASKED, "wide": FLAG, "outliers": DATA}
    assert how(advise({"task": "regression"}))["outliers"] == ASSUMED


def test_only_what_nobody_knows_is_asked():
    asked = []
    advise({"predict": "mean"}, target=memory(NORMAL), ask=lambda question: asked.append(question.id))
    assert asked == ["wide"]


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ({"examples": "pairs"}, "embedding"),
        ({"quantiles": [0.5]}, "quantile"),
        ({"outliers": "yes"}, "regression"),
        ({"small_regions": "yes"}, "segmentation"),
        ({"margin": "yes", "noisy": "yes"}, "multiclass"),
    ],
)
def test_answers_say_what_the_task_is(given, task):
    assert advise(given).answers.task == task


def test_the_registry_s_domains_keep_losses_out():
    target = np.r_[RNG.gamma(2, 2, 300), 0.0]
    others = dict(advise({"task": "positive"}, target=memory(target)).why_not())
    assert others["gamma_deviance"].rule == DOMAIN
    assert "numbers > 0" in others["gamma_deviance"].text


def test_every_sentence_stands_beside_a_rule_that_exists():
    known = {row.id for row in [*rules(), *settings()]} | {DOMAIN}
    advice = advise({}, target=memory(RNG.choice(3, 300, p=[0.9, 0.07, 0.03])))
    reasons = [reason for choice in advice.choices for reason in choice.candidate.reasons]
    reasons += [derived for choice in advice.choices for derived in choice.derived]
    reasons += [reason for _, reason in advice.why_not()] + [one for one in advice.answers.path if one.rule]
    assert len(reasons) > 10
    assert {reason.rule for reason in reasons} <= known


def test_scores_are_sums_and_in_order():
    scores = [choice.candidate.score for choice in advise({}, target=memory(NORMAL)).choices]
    assert scores == sorted(scores, reverse=True)
    first = advise({}, target=memory(NORMAL)).choices[0].candidate
    assert first.score == sum(reason.weight for reason in first.reasons) == 6


def test_columns_of_other_units_are_no_outliers_of_one_another():
    target = np.hstack([RNG.normal(0, 1, (300, 3)), RNG.normal(1000, 50, (300, 1))])
    advice = advise({}, target=memory(target))
    assert advice.choices[0].name == "mse"
    assert not [one for choice in advice.choices for one in choice.derived]


def test_classes_are_counted_with_gaps_and_without_what_is_ignored():
    labels = np.array([0, 0, 3, -1, 3, 3])
    assert counts_of_target(memory(labels), {"kind": "labels", "high": 3}) == [2, 0, 0, 3]
    assert known_of(memory(np.eye(3)[[0, 0, 1, 2]]))["class_counts"] == [2, 1, 1]


def test_classes_that_may_be_counts_are_doubted():
    doubtful = np.where(RNG.random(400) < 0.6, 0, RNG.integers(0, 9, 400))
    assert known_of(memory(doubtful))["kind"] == "labels"
    assert advise({}, target=memory(doubtful)).doubtful
    assert not advise({"task": "multiclass"}, target=memory(doubtful)).doubtful
    assert not advise({}, target=memory(RNG.integers(0, 9, 400))).doubtful


def test_defaults_and_flags_are_as_the_questions_say():
    for question in questions().values():
        assert question.default is None or question.default in question.words
        assert {*question.when} <= {*questions()["task"].words}
        assert question.flag.startswith("--")
