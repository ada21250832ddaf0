"""Walking the guides' decision tree.

The guides' tree as text, as a flowchart for Mermaid, and as lines for a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossctl.guides.recommend.models import questions, tree_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.tree import Tree

    from lossctl.guides.recommend.models import TreeEnd


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
