"""A candidate as others would write it: the line of PyTorch, Keras or scikit-learn that gives the number."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from lossctl.binding import scalars
from lossctl.frameworks import FRAMEWORKS, PREFIXES, RULES, Rules
from lossctl.spec import parse_losses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lossctl.identification.passes import Trial
    from lossctl.identification.ranking import Candidate

# Those whose names are called with (target, pred), and what is put behind the name first.
OTHERS = {"keras": "()", "sklearn": ""}


def lines(candidate: Candidate) -> list[str]:
    """Lines of Python that give the candidate's value; none where there is no such call."""
    return [*_torch(candidate), *_others(candidate)]


def _torch(candidate: Candidate) -> Iterable[str]:
    loss, reduced = candidate.trial.bound.loss, candidate.reduced
    if not loss.torch or not _plain(candidate):
        return
    names = [_spoken(argument.name, candidate.trial) for argument in loss.signature.inputs]
    params = [f"{name}={value!r}" for name, value in _changed(candidate.trial).items()]
    params += [f"{name}=torch.tensor({list(values)})" for name, values in candidate.trial.change.tensors.items()]
    how = {"summed": "sum", "summed within samples, mean over samples": "sum"}.get(next(iter(reduced.says), ""), "mean")
    params += [] if how == "mean" else [f"reduction={how!r}"]
    yield reduced.code.format(f"torch.nn.functional.{loss.torch}({', '.join([*names, *params])})")


def _plain(candidate: Candidate) -> bool:
    """Whether one call gives it: no loop over batches, no option of ours that changes how arrays are read."""
    says, reading = candidate.reduced.says, candidate.trial.reading
    loop = any("batches" in one or "divided by" in one for one in says) or reading.half
    return not loop and (not reading.cost or bool(reading.code) or reading.options.broadcast)


def _spoken(name: str, trial: Trial) -> str:
    return trial.reading.code.get(name, name)


def _changed(trial: Trial) -> dict[str, Any]:
    own = {parameter.name: parameter.default for parameter in trial.bound.loss.signature.parameters}
    return {name: value for name, value in trial.bound.params.items() if value != own[name]}


def _others(candidate: Candidate) -> Iterable[str]:
    """What other frameworks have with exactly these parameters."""
    trial = candidate.trial
    if candidate.reduced.says or trial.change.tensors or (trial.reading.cost and not trial.reading.code):
        return
    target, pred = _spoken("target", trial), _spoken("pred", trial)
    for framework, call in OTHERS.items():
        for theirs, ours in FRAMEWORKS[framework].items():
            (asked,) = parse_losses(ours)
            loss = trial.bound.loss
            rules = RULES.get(framework, {}).get(theirs, Rules())
            if not _theirs(rules, trial.bound.shape):
                continue
            if asked.name == loss.name and scalars(loss, asked.params) == dict(trial.bound.params):
                yield f"{PREFIXES[framework][0]}.{theirs}{call}({target}, {pred})"


def _theirs(rules: Rules, shape: tuple[int, ...]) -> bool:
    """Whether a framework's name gives our number for predictions of this shape."""
    return not (rules.one_column and prod(shape[1:]) != 1) and not (rules.classes_last and len(shape) > 2)  # noqa: PLR2004
