"""Walking the guides' decision tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossctl.recommendation.loading import questions, tree_items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lossctl.recommendation.models import Leaf


@dataclass(frozen=True)
class Step:
    """A node that was passed, and the answer that was given there."""

    node: str
    question: str
    answer: str


@dataclass(frozen=True)
class Path:
    """Steps from the root, and the leaf at which they end."""

    steps: tuple[Step, ...]
    leaf: str

    @property
    def end(self) -> Leaf:
        """What the leaf says."""
        return tree_items().leaves[self.leaf]

    @property
    def answers(self) -> dict[str, str]:
        """The answers that lead here."""
        return {step.question: step.answer for step in self.steps}


def walk(answers: Mapping[str, object]) -> Path | None:
    """Follow answers to a leaf; a question without an answer takes its default. None for a task that the guides do not have."""
    items, steps = tree_items(), []
    name = items.root
    while name in items.nodes:
        node = items.nodes[name]
        answer = str(answers.get(node.question, questions()[node.question].default))
        if answer not in node.answers:
            return None
        steps.append(Step(name, node.question, answer))
        name = node.answers[answer]
    return Path(tuple(steps), name)


def paths(name: str = "", before: tuple[Step, ...] = ()) -> Iterator[Path]:
    """Every way from the root, or from a node, to a leaf."""
    items = tree_items()
    name = name or items.root
    if name in items.leaves:
        yield Path(before, name)
        return
    node = items.nodes[name]
    for answer, following in node.answers.items():
        yield from paths(following, (*before, Step(name, node.question, answer)))
