"""`trial`: the same small model trained on the user's data under each of several losses."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from lossctl.cli.command import Printed, check_outputs, printed, say, spread
from lossctl.cli.program import app
from lossctl.errors import BadParameter, LossctlError, TooLarge, UsageError
from lossctl.plugins import torch_of
from lossctl.progress import long_pass
from lossctl.request.options import HOW, INPUT, RESULT, Options, Talk, option
from lossctl.request.spec import Spec, parse_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.guides.trial.data import Data, Read
    from lossctl.guides.trial.running import Budget, TrainedLoss
    from lossctl.guides.trial.trial import Trained
    from lossctl.report import Report
    from lossctl.request.lookup import Asked


@dataclass(frozen=True, eq=False, repr=False)
class Training(Options, Talk):
    """What `trial` takes."""

    takes: ClassVar = ("in_format", "header", "row_order")

    losses: str = option("", "--losses LOSSES", HOW, "LOSS[:param=value][,LOSS…] or @task; else usual ones.")
    task: str = option("", "--task TASK", HOW, "regression, classification, binary or multilabel.")
    model: str = option("mlp", "--model MODEL", HOW, "{}.", choices="linear mlp")
    hidden: int = option(64, "--hidden N", HOW, "The width of the MLP's hidden layer.", min=1)
    seeds: int = option(5, "--seeds N", HOW, "Runs of each loss: seeds 0 to N-1.", min=1)
    steps: int = option(1000, "--steps N", HOW, "Steps of each run.", min=1)
    epochs: int | None = option(None, "--epochs N", HOW, "Passes over the training rows, instead of --steps.", min=1)
    batch: int = option(64, "--batch N", HOW, "Rows of a step.", min=1)
    lr: float = option(0.01, "--lr X", HOW, "The learning rate of Adam.")
    tune: bool = option(False, "--tune", HOW, "Choose each loss's rate on a part of the training rows.")
    test_share: float = option(0.3, "--test-share SHARE", INPUT, "The share of rows that is held out.")
    score: str = option("", "--score NAME", RESULT, "The leading score: r2, rmse, accuracy, auc or f1.")
    time: bool = option(False, "--time", RESULT, "Seconds of each run too, which differ from run to run.")


@app.command()
@spread
def trial(
    features: Annotated[str, typer.Argument(metavar="FEATURES", help="'table.csv:x_*', or an array with one row a sample.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Numbers, classes, or a column of 0 and 1 for each label.")],
    *,
    options: Training,
    typed: set[str],  # noqa: ARG001
) -> Printed:
    """Train the same small model under each of several losses, and compare on held-out rows.

    Example: lossctl trial 'table.csv:x_*' table.csv:y --losses mse,l1,huber
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    check_outputs(options)
    return printed(run(features, target, options, say(options)), options)


# What a weight takes while it is trained: itself, its gradient and Adam's two means, in float64.
# And what a model may take, in MiB.
WEIGHT, MOST = 32, 2048
# torch counts in 64 bits.
LARGEST = 1 << 63
FOOTER = "this covers the sampling of held-out rows and these seeds only"


def run(features: str, target: str, options: Training, say: Callable[[str], None]) -> Report:
    """Train under every loss, and compare on held-out rows.

    Raises: MissingExtra without torch; UsageError where no loss is left; what reading, dividing and training raise.
    """
    from lossctl.guides.trial.data import divide, read, understand
    from lossctl.guides.trial.running import ERRORS, scores_of
    from lossctl.guides.trial.trial import Plan, TrialFindings, report, train_all

    _check(options, typed_steps=options.epochs is None)
    inputs = read(
        features, target, Options(in_format=options.in_format, header=options.header, row_order=options.row_order), say
    )
    task, coded = understand(inputs.target, options.task)
    scores = scores_of(task, options.score)
    data = divide(inputs.features, coded, task, options.test_share)
    torch_of("trial")
    _tell(data, inputs, options, say)
    candidates, left = _candidates(options, data, inputs, say)
    plan = Plan(_budget(options, data), options.seeds, scores, options.tune)
    with long_pass("training", plan.steps(len(candidates))) as step:
        trained = train_all(candidates, data, plan, step)
    _say_diverged(trained, say)
    if len(trained) > 1:
        what = ERRORS[task.name][1]
        seeds = f"averaged over {plan.seeds} seeds" if plan.seeds > 1 else "of one seed"
        say(f"verdicts compare {what} on {len(data.test)} held-out rows, {seeds}: {FOOTER}")
    return report(TrialFindings(data, plan, trained, left, inputs.names, footer=FOOTER, timed=options.time), inputs.inputs())


def _check(options: Training, *, typed_steps: bool) -> None:
    """Refuse words and numbers that mean nothing, before anything is read.

    Raises: BadParameter, UsageError.
    """
    from lossctl.guides.trial.running import Budget

    if not (math.isfinite(options.lr) and options.lr > 0):
        raise BadParameter(f"--lr is {options.lr:g}, and must be a number above 0.", hint="Its default is 0.01.")
    if not typed_steps and options.steps != Budget.steps:
        raise UsageError("--steps and --epochs both say how long to train.", hint="Keep one of them.")


def _budget(options: Training, data: Data) -> Budget:
    """What every run may use.

    Raises: TooLarge for a hidden layer that would not fit into memory.
    """
    from lossctl.guides.trial.running import Budget

    need = options.hidden * (data.train.features.shape[1] + data.task.outputs + 1) * WEIGHT / 2**20
    if options.model != "linear" and need > MOST:
        message = f"--hidden {options.hidden} makes a model of about {need:,.0f} MiB, and trial takes up to {MOST} MiB."
        raise TooLarge(message, hint="Give a smaller number; the default is 64.")
    epoch = math.ceil(len(data.train) / options.batch)
    steps = options.steps if options.epochs is None else options.epochs * epoch
    return Budget(
        steps,
        min(options.batch, len(data.train)) if options.batch >= LARGEST else options.batch,
        options.lr,
        options.model,
        options.hidden,
    )


def _tell(data: Data, inputs: Read, options: Training, say: Callable[[str], None]) -> None:
    """Say what was taken for granted."""
    from lossctl.guides.trial.data import USUAL

    if not options.task:
        say(f"taken as {data.task.says}, by the values of the target; --task says otherwise")
    if data.dropped:
        names = ", ".join(inputs.names[column] for column in data.dropped)
        say(f"left out of the features, since they do not vary in the training part: {names}")
    if not options.losses:
        say(f"trained under {USUAL[data.task.name].replace(',', ', ')}; --losses names others")


def _candidates(
    options: Training, data: Data, inputs: Read, say: Callable[[str], None]
) -> tuple[list[TrainedLoss], dict[str, str]]:
    """The losses that can train this task; members of a set that cannot are left out, with the reason."""
    asked = _asked(options, data)
    for note in dict.fromkeys(asked_loss.note for asked_loss in asked if asked_loss.note and options.losses):
        say(note)
    kept: list[TrainedLoss] = []
    left: dict[str, str] = {}
    for asked_loss, label in zip(asked, _labels(asked), strict=True):
        try:
            kept.append(_candidate(asked_loss, label, data, inputs))
        except LossctlError as error:
            if not asked_loss.of:
                raise
            left[label] = error.message
    if left:
        say(f"left out, since they cannot train this: {', '.join(left)}")
    if not kept:
        raise UsageError(f"No loss of {asked[0].of} can train {data.task.says}.", hint="Name one loss to see why.")
    return kept, left


def _asked(options: Training, data: Data) -> list[Asked]:
    """Look up the losses; whether one of scores or one of classes is meant, the shapes say."""
    from lossctl.guides.trial.data import USUAL
    from lossctl.request.lookup import by_shape, resolve
    from lossctl.sources.source import Given

    losses = parse_losses(options.losses or USUAL[data.task.name])
    spec = Spec(losses=losses, positional=(Given(text="the outputs"), Given(text="the target")))
    rows = len(data.train)
    outputs = (rows, data.task.outputs) if data.task.wide else (rows,)
    return [by_shape(asked_loss, {"pred": outputs, "target": data.train.target.shape}) for asked_loss in resolve(spec)]


def _labels(asked: Sequence[Asked]) -> list[str]:
    """What each loss is called: as it is typed where two would be called alike, and numbered where even that is the same."""
    counts = Counter(asked_loss.label for asked_loss in asked)
    names = [asked_loss.label if counts[asked_loss.label] == 1 else asked_loss.typed for asked_loss in asked]
    before = [names[:place].count(name) for place, name in enumerate(names)]
    return [f"{name} ({times + 1})" if times else name for name, times in zip(names, before, strict=True)]


def _candidate(asked_loss: Asked, label: str, data: Data, inputs: Read) -> TrainedLoss:
    """Open what parameters name, and make a candidate; an error says whose it is."""
    from lossctl.guides.trial.running import candidate

    names = {tensor.name for tensor in asked_loss.loss.signature.tensors}
    tensors = {name: inputs.opened.open(given, name) for name, given in asked_loss.given.items() if name in names}
    try:
        return candidate(label, asked_loss.loss, asked_loss.params, tensors, data)
    except LossctlError as error:
        if asked_loss.loss.name not in error.message:
            error.message = f"{label}: {error.message}"
        raise


def _say_diverged(trained: Sequence[Trained], say: Callable[[str], None]) -> None:
    for loss in trained:
        if loss.diverged:
            where = ", ".join(f"seed {run.seed} at step {run.diverged}" for run in loss.diverged)
            say(f"{loss.candidate.label} diverged ({where}): a smaller --lr, or --tune, may help")
