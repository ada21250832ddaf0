"""`recommend`: which loss, from flags, questions in the terminal, or the data themselves."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from lossctl.advice import IDS
from lossctl.commands.opening import Opened
from lossctl.commands.recommend_answer import report, summary
from lossctl.errors import UsageError
from lossctl.files import Files
from lossctl.recommendation import drawing
from lossctl.recommendation.advice import advise
from lossctl.recommendation.asking import ask, asked_in_terminal
from lossctl.recommendation.given import given_answers
from lossctl.recommendation.loading import questions
from lossctl.recommendation.tree import walk
from lossctl.spec import Given, Options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.blocks import Reader
    from lossctl.cli.recommending import Recommending
    from lossctl.report import Report

MERMAID = "mermaid"
# A prediction and a target.
MOST = 2


def is_picture(options: Recommending) -> bool:
    """Whether the tree itself is asked for."""
    return options.tree or options.format == MERMAID


def picture(options: Recommending, *, terminal: bool, plain: bool) -> str:
    """The decision tree: drawn on a terminal, as text in a pipe, or as a Mermaid flowchart with the answered path marked.

    Raises: UsageError for a format that holds no tree, or with `-o`.
    """
    if options.output:
        raise UsageError("A tree is printed, and -o writes results.", hint="Write: lossctl recommend --tree > tree.txt")
    if options.format == MERMAID:
        given = _typed(options)
        return drawing.mermaid(walk(given) if given else None)
    if options.format not in {"auto", "table"}:
        message = f"--tree has no format '{options.format}'."
        raise UsageError(message, hint="It has mermaid, and the plain drawing.")
    if terminal and not plain:
        return drawing.drawn(color=options.color != "never", width=shutil.get_terminal_size().columns)
    return drawing.text(plain=plain)


def run(sources: Sequence[str], options: Recommending, say: Callable[[str], None]) -> Report:
    """Recommend losses for a target, or a prediction and a target, and answers.

    Raises: UsageError, InputError; ValuesError for targets that nothing can be learnt from.
    """
    if len(sources) > MOST:
        message = f"recommend takes a target, or a prediction and a target, and {len(sources)} inputs were given."
        raise UsageError(message, hint="Write: lossctl recommend pred.npy target.npy")
    given = _typed(options)
    pred, target = _opened(sources, options, say)
    asks = ask if asked_in_terminal() and not options.quiet else None
    advice = advise(given, target=target, pred=pred, sources=sources if len(sources) == MOST else (), ask=asks)
    for line in summary(advice, sources):
        say(line)
    return report(advice, sources)


def _typed(options: Recommending) -> dict[str, Any]:
    return given_answers({name: getattr(options, name) for name in questions()})


def _opened(sources: Sequence[str], options: Recommending, say: Callable[[str], None]) -> tuple[Reader | None, Reader | None]:
    """The prediction and the target, each where it is given.

    Raises: RowsInAnotherOrder; what opening raises.
    """
    files = Files(folder="", in_format=options.in_format, say=say, header=options.header)
    roles = ("pred", "target")[-len(sources) :] if sources else ()
    files.uses = [(role, Given(text=text)) for role, text in zip(roles, sources, strict=True)]
    opened = Opened(files, Options(), {})
    for role, given in files.uses:
        opened.open(given, role)
    opened.settle(())
    found = {role: opened.open(given, role) for role, given in files.uses}
    if getattr(say, "wordy", False):
        from lossctl.files.inputs import say_how

        say_how(found.items(), say)
    if not options.row_order:
        paired = [(role, given, found[role].shape) for role, given in files.uses]
        for said in files.check_rows([(role, given, shape[0]) for role, given, shape in paired if shape], on=False):
            say(f"{IDS.code} {said}")
    return found.get("pred"), found.get("target")
