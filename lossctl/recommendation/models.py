"""What the YAML files may hold: questions, the tree, rules and settings.

Every text is checked when it is read, so that a misspelt key, or `yes` without quotes, is an error and not an empty answer.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Word = Annotated[str, Field(min_length=1)]
Weight = Annotated[float, Field(gt=0, le=10)]


class Strict(BaseModel):
    """YAML gives types already, so nothing is converted and nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Question(Strict):
    """What can be asked, the flag that answers it, and what is assumed where nobody does.

    `when` are the tasks that it matters for, none for all; `only` are other answers that it depends on. Without `words` the
    answer is a number or a list of them.
    """

    id: Word
    ask: Word
    flag: Word
    when: list[Word] = []
    only: dict[Word, Word] = {}
    default: Word | None = None
    words: dict[Word, Word] = {}


class Node(Strict):
    """A question of the tree, and where each answer to it leads."""

    question: Word
    answers: Annotated[dict[Word, Word], Field(min_length=2)]


class Leaf(Strict):
    """Where the tree ends."""

    losses: Annotated[list[Word], Field(min_length=1)]
    why: Word
    pitfalls: Annotated[list[Word], Field(min_length=1)]
    source: Annotated[list[Literal["d001", "d002", "d003", "d004"]], Field(min_length=1)]


class TreeItems(Strict):
    """A whole tree: nodes and leaves by name."""

    title: Word
    root: Word
    nodes: dict[Word, Node]
    leaves: dict[Word, Leaf]


class Condition(Strict):
    """One thing that a fact or an answer must be. All words given must hold."""

    model_config = ConfigDict(populate_by_name=True)

    fact: Word | None = None
    answer: Word | None = None
    equal: str | float | bool | None = Field(None, alias="is")
    among: list[str | float] | None = Field(None, alias="in")
    above: float | None = None
    below: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def name(self) -> str:
        """The fact or the answer that is looked at."""
        return self.fact or self.answer or ""


class Rule(Strict):
    """What follows from facts and answers: another answer, or weights for and against losses.

    `because` is said for what it prefers, `against`, where it is given, for what it avoids; `note` is what to heed then.
    """

    id: Word
    task: list[Word] = []
    when: list[Condition]
    concludes: dict[Word, Word] = {}
    prefer: dict[Word, Weight] = {}
    avoid: dict[Word, Weight] = {}
    because: Word
    against: str = ""
    note: str = ""
    source: str = ""


class Setting(Strict):
    """A parameter that follows from data: which function gives it, and when it is worth setting."""

    id: Word
    loss: list[Word]
    param: Word
    by: Word
    task: list[Word] = []
    when: list[Condition] = []
    because: Word
    source: str = ""
