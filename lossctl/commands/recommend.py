"""`recommend`: which loss, from flags, questions in the terminal, or the data themselves.

There is a flag for every question of lossctl/guides/recommend/questions.yaml, under its name.
"""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from lossctl import __version__
from lossctl.cli.command import Printed, check_outputs, printed, say, spread, terminal, unicode
from lossctl.cli.program import app
from lossctl.errors import UsageError
from lossctl.report import Report
from lossctl.request.options import HOW, RESULT, Options, Talk, option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lossctl.guides.recommend.advice import Advice, Recommended
    from lossctl.guides.recommend.knowledge import Path
    from lossctl.sources.readers import Reader


@dataclass(frozen=True, eq=False, repr=False)
class Recommending(Options, Talk):
    """What `recommend` takes; None is no answer."""

    takes: ClassVar = ("in_format", "header", "row_order")

    task: str | None = option(None, "--task TASK", HOW, "What is predicted: regression, binary, count, boxes …")
    predict: str | None = option(None, "--predict WHAT", HOW, "mean, median, mode or variance.")
    wide: bool | None = option(None, "--wide/--no-wide", HOW, "Targets over powers of ten: ratios count.")
    outliers: bool | None = option(None, "--outliers/--no-outliers", HOW, "There are outliers.")
    outliers_matter: bool | None = option(None, "--outliers-matter/--no-outliers-matter", HOW, "They are real and count.")
    smooth: bool | None = option(None, "--smooth/--no-smooth", HOW, "Smooth where the error is 0.")
    margin: bool | None = option(None, "--margin/--no-margin", HOW, "Decisions with a margin, no probabilities.")
    imbalance: bool | None = option(None, "--imbalance/--no-imbalance", HOW, "Some classes are rare.")
    noisy: bool | None = option(None, "--noisy-labels/--no-noisy-labels", HOW, "Some labels are wrong.")
    head: str | None = option(None, "--head WHAT", HOW, "scores, probabilities or log_probabilities.")
    examples: str | None = option(None, "--examples WHAT", HOW, "pairs, triplets or batch.")
    given: str | None = option(None, "--given WHAT", HOW, "A distribution as probabilities or draws.")
    mask_classes: str | None = option(None, "--mask-classes WHAT", HOW, "two or several.")
    small_regions: bool | None = option(None, "--small-regions/--no-small-regions", HOW, "Regions are small.")
    over_cost: float | None = option(None, "--over-cost X", HOW, "Cost of a unit too much, or a false alarm.")
    under_cost: float | None = option(None, "--under-cost X", HOW, "Cost of a unit too little, or a miss.")
    quantiles: str | None = option(None, "--quantiles Q[,Q…]", HOW, "Quantiles between 0 and 1.")
    tree: bool = option(False, "--tree", RESULT, "Draw the decision tree; --format mermaid exports it.")


@app.command()
@spread
def recommend(
    sources: Annotated[list[str], typer.Argument(metavar="[PRED] [TARGET]", show_default=False)] = [],  # noqa: B006
    *,
    options: Recommending,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """Say which loss to take, why, and why not another: by flags, questions, or the data.

    Example: lossctl recommend target.csv:y
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    if is_picture(options):
        return Printed(picture(options, terminal=terminal(), plain=not unicode()))
    check_outputs(options)
    return printed(run(sources, options, say(options)), options)


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
    from lossctl.guides.recommend.knowledge import drawn, mermaid, text, walk

    if options.output:
        raise UsageError("A tree is printed, and -o writes results.", hint="Write: lossctl recommend --tree > tree.txt")
    if options.format == MERMAID:
        given = _typed(options)
        return mermaid(walk(given) if given else None)
    if options.format not in {"auto", "table"}:
        raise UsageError(f"--tree has no format '{options.format}'.", hint="It has mermaid, and the plain drawing.")
    if terminal and not plain:
        return drawn(color=options.color != "never", width=shutil.get_terminal_size().columns)
    return text(plain=plain)


def run(sources: Sequence[str], options: Recommending, say: Callable[[str], None]) -> Report:
    """Recommend losses for a target, or a prediction and a target, and answers.

    Raises: UsageError, InputError; ValuesError for targets that nothing can be learnt from.
    """
    from lossctl.guides.recommend.advice import advise
    from lossctl.guides.recommend.answers import ask, asked_in_terminal

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
    from lossctl.guides.recommend.answers import given_answers
    from lossctl.guides.recommend.knowledge import questions

    return given_answers({name: getattr(options, name) for name in questions()})


def _opened(sources: Sequence[str], options: Recommending, say: Callable[[str], None]) -> tuple[Reader | None, Reader | None]:
    """The prediction and the target, each where it is given.

    Raises: RowsInAnotherOrder; what opening raises.
    """
    from lossctl.engine.opening import Opened
    from lossctl.sources.files import Files
    from lossctl.sources.source import Given
    from lossctl.warnings import IDS

    files = Files(folder="", in_format=options.in_format, say=say, header=options.header)
    roles = ("pred", "target")[-len(sources) :] if sources else ()
    files.uses = [(role, Given(text=text)) for role, text in zip(roles, sources, strict=True)]
    opened = Opened(files, Options(), {})
    for role, given in files.uses:
        opened.open(given, role)
    opened.settle(())
    readers = {role: opened.open(given, role) for role, given in files.uses}
    if getattr(say, "wordy", False):
        from lossctl.sources.inputs import say_how

        say_how(readers.items(), say)
    if not options.row_order:
        paired = [(role, given, readers[role].shape) for role, given in files.uses]
        for said in files.check_rows([(role, given, shape[0]) for role, given, shape in paired if shape], on=False):
            say(f"{IDS.code} {said}")
    return readers.get("pred"), readers.get("target")


COLUMNS = ("rank", "loss", "score", "because", "command")
# How many of the recommended losses people are told all about.
TOLD = 2
# How many reasons stand beside each loss.
SAID = 2


def report(advice: Advice, sources: Sequence[str]) -> Report:
    """Put advice into a report: losses in order; for people also how to use the first ones, and what speaks against others."""
    rows = [
        {
            "rank": number,
            "loss": choice.name,
            "score": choice.candidate.score,
            "because": " ".join(reason.text for reason in choice.candidate.favour[:SAID]),
            "command": choice.command,
        }
        for number, choice in enumerate(advice.choices, 1)
    ]
    more = [Report(tuple(rows[0]), rows, title=title) for title, rows in _tables(advice).items() if rows]
    return Report(COLUMNS, rows, _document(advice, sources), bare="loss", title=f"for {advice.answers.task}", more=more)


def summary(advice: Advice, sources: Sequence[str]) -> Iterator[str]:
    """What is said on stderr: assumptions, the line that repeats the answers, and how little there may be to go on."""
    from lossctl.guides.recommend.advice import ENOUGH

    assumed = [answer.flag for answer in advice.assumed]
    if assumed:
        yield f"assumed: {', '.join(assumed)}; give another flag where that is wrong"
    if any(answer.how == "asked" for answer in advice.answers.path):
        yield f"to repeat this: {_repeat(advice, sources)}"
    missing = advice.facts.get("missing")
    if missing:
        yield f"{missing} of the target's values are NaN or infinite, and count for nothing here"
    if advice.doubtful:
        yield "the target could also hold counts; if it does, give --task count"
    if advice.uncertain:
        yield f"there are only {advice.facts['n']} samples, and with fewer than {ENOUGH} their facts are little more than noise"


def _repeat(advice: Advice, sources: Sequence[str]) -> str:
    flags = [answer.flag for answer in advice.answers.path if answer.how in {"flag", "asked"}]
    return " ".join(["lossctl recommend", *map(shlex.quote, sources), *flags])


def _tables(advice: Advice) -> dict[str, list[dict[str, Any]]]:
    """The tables below the first, by title."""
    return {
        "what is known": [
            {"question": answer.question, "answer": answer.answer, "from": answer.how, "because": answer.because or answer.flag}
            for answer in advice.answers.path
        ],
        "how to use them": [line for choice in advice.choices[:TOLD] for line in _use(choice)],
        "on this prediction": [evidence.as_dict() for evidence in advice.evidence if evidence.value is not None],
        "why not": [{"loss": name, "because": reason.text} for name, reason in advice.why_not()],
        "mind": [{"loss": choice.name, "pitfall": text} for choice in advice.choices[:TOLD] for text in choice.pitfalls],
    }


def _use(choice: Recommended) -> Iterator[dict[str, str]]:
    from lossctl.guides.recommend.deriving import keras_line, torch_line, written

    loss = choice.candidate.loss
    lines = {
        "last layer": choice.activation,
        **{f"{parameter.param} = {written(parameter.value)}": parameter.because for parameter in choice.derived},
        "PyTorch": torch_line(loss, choice.derived),
        "Keras": keras_line(loss, choice.derived),
        "lossctl": choice.command,
    }
    yield from ({"loss": loss.name, "what": what, "text": text} for what, text in lines.items() if text)


def _document(advice: Advice, sources: Sequence[str]) -> dict[str, Any]:
    """The machine-readable answer; each sentence in it stands beside the rule that it comes from."""
    path = advice.path
    return {
        "schema": "lossctl/recommendation/1",
        "version": __version__,
        "command": "recommend",
        "inputs": list(sources),
        "task": advice.answers.task,
        "path": [answer.as_dict() for answer in advice.answers.path],
        "repeat": _repeat(advice, sources),
        "facts": {name: value for name, value in advice.facts.items() if name != "looks"},
        "recommendations": [choice.as_dict() for choice in advice.choices],
        "why_not": [{"loss": name, **reason.as_dict()} for name, reason in advice.why_not()],
        "evidence": [evidence.as_dict() for evidence in advice.evidence],
        "rules": list(advice.ranking.fired),
        "tree": _tree(path) if path else None,
        "uncertain": advice.uncertain,
    }


def _tree(path: Path) -> dict[str, Any]:
    steps = [asdict(step) for step in path.steps]
    return {"steps": steps, "leaf": path.leaf, "losses": path.end.losses, "why": path.end.why, "source": path.end.source}
