"""The guides' tree: every path is walked, drawn and exported, and holds what the rules say, too."""

import pytest

from lossctl.guides.recommend import knowledge as drawing
from lossctl.guides.recommend.advice import advise
from lossctl.guides.recommend.knowledge import paths, questions, tree_items, walk
from lossctl.losses import catalogue

PATHS = list(paths())
# Where the guides know no loss for the case, ours is another: in-batch negatives, and probabilities of several classes.
BEYOND = {"batch": "info_nce", "logarithm": "categorical_crossentropy_prob"}


def title(path):
    return " ".join(f"{step.question}={step.answer}" for step in path.steps)


@pytest.mark.parametrize("path", PATHS, ids=title)
def test_a_path_is_found_again_by_its_answers(path):
    assert walk(path.answers) == path


@pytest.mark.parametrize("path", PATHS, ids=title)
def test_the_rules_put_a_loss_of_the_leaf_first_or_second(path):
    best = [choice.name for choice in advise(path.answers).choices[:2]]
    assert {*path.end.losses, BEYOND.get(path.leaf)} & {*best}


@pytest.mark.parametrize("path", PATHS, ids=title)
def test_the_answers_of_a_path_are_those_that_advice_takes(path):
    assert advise(path.answers).path == path


def test_every_node_and_leaf_lies_on_a_path():
    items = tree_items()
    assert {step.node for path in PATHS for step in path.steps} == {*items.nodes}
    assert {path.leaf for path in PATHS} == {*items.leaves}


def test_answers_of_nodes_are_those_of_their_questions():
    for name, node in tree_items().nodes.items():
        words = {*questions()[node.question].words}
        # The guides do not have all of our tasks; every other question is answered in full.
        assert {*node.answers} <= words if name == "task" else {*node.answers} == words


def test_losses_of_leaves_are_in_the_catalogue():
    assert {loss for leaf in tree_items().leaves.values() for loss in leaf.losses} <= {*catalogue()}


def test_every_guide_is_a_source():
    assert {source for leaf in tree_items().leaves.values() for source in leaf.source} == {"d001", "d002", "d003", "d004"}


@pytest.mark.parametrize(
    ("answers", "losses"),
    [
        ({"task": "regression", "outliers": "yes", "outliers_matter": "yes"}, ["mse"]),
        ({"task": "regression", "outliers": "yes", "smooth": "no"}, ["l1"]),
        ({"task": "regression", "outliers": "yes"}, ["huber", "smooth_l1"]),
        ({"task": "regression", "wide": "yes"}, ["msle"]),
        ({"task": "multilabel"}, ["bce_with_logits", "multilabel_soft_margin"]),
        ({"task": "sequence"}, ["ctc"]),
        ({"task": "embedding", "examples": "triplets"}, ["triplet_margin"]),
    ],
)
def test_leaves_are_those_of_the_guides(answers, losses):
    assert walk(answers).end.losses == losses


def test_a_task_that_the_guides_do_not_have_has_no_path():
    assert walk({"task": "survival"}) is None
    assert advise({"task": "survival"}).path is None


def test_the_drawing_has_a_line_for_every_answer():
    lines = drawing.text().splitlines()
    answers = sum(1 for _ in {(path.steps[: n + 1]) for path in PATHS for n in range(len(path.steps))})
    assert len(lines) == 2 + answers
    assert sum(loss.endswith(")") for loss in lines) == len(PATHS)
    assert drawing.text(plain=True).isascii()


def test_mermaid_has_every_edge_once_and_marks_the_path():
    path = walk({"task": "embedding", "examples": "triplets"})
    lines = drawing.mermaid(path).splitlines()
    edges = [line for line in lines if "-->" in line]
    assert lines[0] == "flowchart TD"
    assert len(edges) == len({*edges}) == sum(len(node.answers) for node in tree_items().nodes.values())
    assert "    examples -->|triplets| leaf_triplets" in edges
    assert lines[-1] == "    class task,examples,leaf_triplets taken"
    assert "taken" not in drawing.mermaid()
