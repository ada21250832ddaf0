"""What the YAML files of this package hold, read once and checked: questions, the decision tree, rules and settings.

Every text is checked when it is read, so that a misspelt key, or `yes` without quotes, is an error and not an empty answer.
A condition of a rule holds or not for what is known. The tree is walked by answers, and drawn as text, as a flowchart for
Mermaid, or as lines for a terminal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.tree import Tree


Word = Annotated[str, Field(min_length=1)]
Weight = Annotated[float, Field(gt=0, le=10)]


class StrictRule(BaseModel):
    """YAML gives types already, so nothing is converted and nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Question(StrictRule):
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


class TreeQuestion(StrictRule):
    """A question of the tree, and where each answer to it leads."""

    question: Word
    answers: Annotated[dict[Word, Word], Field(min_length=2)]


class TreeEnd(StrictRule):
    """Where the tree ends."""

    losses: Annotated[list[Word], Field(min_length=1)]
    why: Word
    pitfalls: Annotated[list[Word], Field(min_length=1)]
    source: Annotated[list[Literal["d001", "d002", "d003", "d004"]], Field(min_length=1)]


class TreeItems(StrictRule):
    """A whole tree: nodes and leaves by name."""

    title: Word
    root: Word
    nodes: dict[Word, TreeQuestion]
    leaves: dict[Word, TreeEnd]


class Condition(StrictRule):
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


class Rule(StrictRule):
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


class Setting(StrictRule):
    """A parameter that follows from data: which function gives it, and when it is worth setting."""

    id: Word
    loss: list[Word]
    param: Word
    by: Word
    task: list[Word] = []
    when: list[Condition] = []
    because: Word
    source: str = ""


def unknown(value: Any) -> bool:
    """Whether a fact or an answer says nothing: it is missing, or not a number."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def holds(condition: Condition, facts: Mapping[str, Any], answers: Mapping[str, Any]) -> bool:
    """Whether what is known satisfies a condition; what is not known satisfies none."""
    value = (answers if condition.answer else facts).get(condition.name)
    if unknown(value):
        return False
    if condition.equal is not None and value != condition.equal:
        return False
    if condition.among is not None and value not in condition.among:
        return False
    return all(_within(value, condition))


def _within(value: Any, condition: Condition) -> Iterable[bool]:
    yield condition.above is None or value > condition.above
    yield condition.below is None or value < condition.below
    yield condition.at_least is None or value >= condition.at_least
    yield condition.at_most is None or value <= condition.at_most


def all_hold(conditions: Iterable[Condition], facts: Mapping[str, Any], answers: Mapping[str, Any]) -> bool:
    """Whether all do."""
    return all(holds(condition, facts, answers) for condition in conditions)


def _read(name: str) -> Any:
    from lossctl.sources.yaml import load

    return load(files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def questions() -> dict[str, Question]:
    """All questions by name, in the order of asking."""
    return {item["id"]: Question.model_validate(item) for item in _read("questions")}


@cache
def tree_items() -> TreeItems:
    """The guides' tree as it stands in the file."""
    return TreeItems.model_validate(_read("tree"))


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, in order."""
    return tuple(Rule.model_validate(item) for item in _read("rules"))


@cache
def expressions() -> dict[str, str]:
    """Losses that torch.nn has no class for, as lines of torch with {parameters}."""
    return dict(_read("expressions"))


@cache
def settings() -> tuple[Setting, ...]:
    """All parameters that can be computed, in order."""
    return tuple(Setting.model_validate(item) for item in _read("settings"))


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
    def end(self) -> TreeEnd:
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


# What a branch looks like where signs of all alphabets may be written, and where not: going on, the last one, and below both.
LINES = ("├── ", "└── ", "│   ", "    ")
PLAIN = ("|-- ", "`-- ", "|   ", "    ")


def says(name: str) -> str:
    """What stands at a node or a leaf."""
    items = tree_items()
    if name in items.nodes:
        return questions()[items.nodes[name].question].ask
    leaf = items.leaves[name]
    return f"{', '.join(leaf.losses)}: {leaf.why} ({', '.join(leaf.source)})"


def text(*, plain: bool = False) -> str:
    """The tree as indented text."""
    items = tree_items()
    lines = [f"{items.title}", says(items.root), *_below(items.root, PLAIN if plain else LINES)]
    return "\n".join(lines) + "\n"


def _below(name: str, signs: tuple[str, ...], indent: str = "") -> Iterator[str]:
    answers = _answers(name)
    for number, (answer, following) in enumerate(answers.items(), 1):
        last = number == len(answers)
        yield f"{indent}{signs[1 if last else 0]}{answer}: {says(following)}"
        yield from _below(following, signs, indent + signs[3 if last else 2])


def _answers(name: str) -> Mapping[str, str]:
    node = tree_items().nodes.get(name)
    return node.answers if node else {}


def drawn(*, color: bool, width: int) -> str:
    """The tree as Rich draws it on a terminal."""
    import io

    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    items, out = tree_items(), io.StringIO()
    root = Tree(Text(says(items.root), style="bold"))
    _grow(root, items.root)
    console = Console(file=out, width=width, force_terminal=color, color_system="standard" if color else None)
    console.print(Text(items.title))
    console.print(root)
    return out.getvalue()


def _grow(branch: Tree, name: str) -> None:
    from rich.text import Text

    for answer, following in _answers(name).items():
        leaf = following in tree_items().leaves
        line = Text.assemble((f"{answer}: ", "cyan"), (says(following), "green" if leaf else "bold"))
        _grow(branch.add(line), following)


def mermaid(path: Path | None = None) -> str:
    """The tree as a Mermaid flowchart; nodes on `path` are marked."""
    items = tree_items()
    lines = ["flowchart TD"]
    lines += [f'    {name}{{"{_quoted(says(name))}"}}' for name in items.nodes]
    lines += [f'    leaf_{name}["{_quoted(says(name))}"]' for name in items.leaves]
    for name in items.nodes:
        lines += [f"    {name} -->|{answer}| {_id(following)}" for answer, following in _answers(name).items()]
    if path:
        lines += ["    classDef taken stroke-width:4px", f"    class {','.join(_taken(path))} taken"]
    return "\n".join(lines) + "\n"


def _id(name: str) -> str:
    return f"leaf_{name}" if name in tree_items().leaves else name


def _taken(path: Path) -> Iterable[str]:
    return [*(step.node for step in path.steps), _id(path.leaf)]


def _quoted(words: str) -> str:
    return words.replace("&", "&amp;").replace('"', "&quot;")
