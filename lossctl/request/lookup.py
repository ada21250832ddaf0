"""Names looked up: the losses that a request means, with their parameters, and an input for every argument."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossctl.errors import BadParameter, NoSuchReduction, ShapeMismatch, UnknownName, UsageError, near
from lossctl.losses import AMBIGUOUS, LOSSES, NO_RULES, Meaning, Rules, catalogue, rows, spelling
from lossctl.losses.loss import Loss, scalars
from lossctl.request.spec import LossSpec, Spec, Term, parse_losses
from lossctl.sources.source import Given

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lossctl.request.options import Options


def look_up(name: str, params: Mapping[str, Any] | None = None) -> Loss:
    """Return the loss that a name or an import path stands for; `params`, as typed, are those of somebody else's.

    Raises: UnknownName, also for something that is no loss; BadParameter for `mse:1`.
    """
    _check_colon(name)
    return _named(understand(name)[0].name, params or {})


def _check_colon(name: str) -> None:
    known, colon, value = name.partition(":")
    if colon and not value.isidentifier() and spelling(known) in rows():
        message = f"'{name}' is no loss: '{value}' behind '{known}' is no parameter that can stand here."
        raise BadParameter(message, hint=f"Write {known} alone; compute also takes {known}:NAME=VALUE.")


def _named(name: str, params: Mapping[str, Any]) -> Loss:
    """The loss of a name whose meaning is known."""
    loss: object = catalogue().get(name) or LOSSES.get(name)
    if isinstance(loss, Loss):
        return loss
    from lossctl.losses.foreign import adapt

    return adapt(loss, name, params)


def understand(name: str) -> tuple[LossSpec, str]:
    """Return the loss that a typed name means, with the parameters that come along, and what there is to say about it.

    Raises: UnknownName for a loss that exists but cannot be computed from files.
    """
    meaning = meant(name)
    return parse_losses(meaning.loss)[0], meaning.note


def meant(name: str) -> Meaning:
    """Return all that a typed name means.

    Raises: UnknownName as `understand`, and for a score, for which no loss stands.
    """
    if name in catalogue() and name not in AMBIGUOUS:
        return Meaning(name)
    from lossctl.losses.names import IMPOSSIBLE, impossible, meaning_of

    meaning = meaning_of(name)
    if barred := impossible(meaning.loss):
        raise UnknownName(f"{barred} cannot be computed from files: {IMPOSSIBLE[barred]}")
    return meaning


# Scores of classes have samples and classes as axes.
CLASSES = 2


@dataclass(frozen=True, eq=False, repr=False)
class Asked:
    """One loss to compute: `given` names an input for each argument.

    `term`, `weight` and `offset` place it in a weighted sum; `typed` is the name that was typed for it, and `framework` that
    under which it stood, whose number it is under these `rules`.
    """

    loss: Loss
    params: Mapping[str, Any]
    given: Mapping[str, Given] = field(default_factory=dict)
    term: str = ""
    weight: float = 1.0
    offset: float = 0.0
    typed: str = ""
    note: str = ""
    of: str = ""
    framework: str = ""
    rules: Rules = NO_RULES
    class_dim: int | None = None

    @property
    def label(self) -> str:
        """The loss with what differs from its defaults, as one would type it; a term goes by its own name."""
        changed = [
            f"{p.name}={brief(self.params[p.name])}" for p in self.loss.signature.parameters if self.params[p.name] != p.default
        ]
        changed += [f"{t.name}={brief(self.given[t.name])}" for t in self.loss.signature.tensors if t.name in self.given]
        return self.term or (f"{self.loss.name}:{','.join(changed)}" if changed else self.loss.name)


def brief(value: Any) -> str:
    """A parameter as one would type it: `0.5`, `2`, `1,2,4`, `@weights.npy`."""
    if isinstance(value, Given):
        return brief(value.value) if value.value is not None else f"@{value.text}"
    if isinstance(value, list):
        return ",".join(brief(item) for item in value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).lower()


def resolve(spec: Spec) -> list[Asked]:
    """Look up every loss of a spec and give it its inputs.

    Raises: UnknownName, BadParameter, UsageError.
    """
    asked = [_term(term, spec) for term in spec.terms] or [_ask(item, spec) for item in _expand(spec)]
    if spec.options.ignore_index is not None and not any("ignore_index" in asked_loss.params for asked_loss in asked):
        raise UsageError(f"{asked[0].loss.name} has no ignore_index.", hint="Leave out --ignore-index, or use --mask.")
    if spec.terms and spec.options.reduction == "none":
        message = "A weighted sum of terms has no reduction 'none': its parts have different shapes."
        raise NoSuchReduction(message, hint="It has: mean, sum.")
    _check_count(asked, spec)
    return [replace(asked_loss, given=_inputs(asked_loss, spec)) for asked_loss in asked]


def _term(term: Term, spec: Spec) -> Asked:
    one = _ask(term.loss, spec)
    weight, offset = term.weight, 0.0
    if term.log_var is not None:
        weight = math.exp(-term.log_var) * (0.5 if one.loss.task == "regression" else 1.0)
        offset = term.log_var / 2
    return replace(one, term=term.name, weight=weight, offset=offset, given={**term.inputs, **one.given})


def _expand(spec: Spec) -> Iterable[LossSpec]:
    """Put in the losses of `@task` that take as many inputs as there are."""
    count = len(spec.positional) + len(spec.inputs)
    for wanted in spec.losses:
        if not wanted.name.startswith("@"):
            yield wanted
            continue
        members = [loss for loss in catalogue().values() if loss.task == wanted.name[1:]]
        if not members:
            message = f"There is no set of losses '{wanted.name}'."
            raise UnknownName(message, hint=near(wanted.name, {f"@{loss.task}" for loss in catalogue().values()}, "sets"))
        yield from (LossSpec(loss.name, of=wanted.name) for loss in members if len(loss.signature.inputs) == count)


def _ask(one: LossSpec, spec: Spec) -> Asked:
    """Look up one loss and sort its parameters into scalars and tensors."""
    if ":" in one.name and not spec.options.allow_code:
        raise UsageError(f"'{one.name}' would run code that the spec names.", hint="If you trust it, use --allow-code.")
    result = meant(one.name)
    ours, rules = parse_losses(result.loss)[0], result.rules
    note = "" if one.of else _note(one.name, result.note)
    typed, of = one.name, one.of
    one = LossSpec(ours.name, {**ours.params, **{rules.params.get(name, name): value for name, value in one.params.items()}})
    _check_rules(one, typed, rules, spec.options)
    _check_colon(one.name)
    loss = _named(_from_folder(one.name, spec.folder), one.params)
    numbers = {parameter.name for parameter in loss.signature.parameters}
    tensors = {tensor.name for tensor in loss.signature.tensors}
    for name in one.params:
        if name not in numbers | tensors:
            raise BadParameter(f"{loss.name} has no parameter '{name}'.", hint=near(name, numbers | tensors, "parameters"))
    given = {name: value for name, value in one.params.items() if name in numbers}
    if spec.options.ignore_index is not None and "ignore_index" in numbers:
        given.setdefault("ignore_index", spec.options.ignore_index)
    arrays = {name: as_given(name, one.params[name]) for name in tensors & set(one.params)}
    params = scalars(loss, given)
    made = Asked(loss, params, arrays, typed=typed, note=note, of=of)
    return replace(made, framework=result.framework, rules=rules, class_dim=spec.options.class_dim)


def _note(name: str, note: str) -> str:
    """What is said of a name, with its name in front where it is a framework's."""
    return note if not note or name in note or note.startswith(name) else f"{name}: {note}"


def _check_rules(spec: LossSpec, typed: str, rules: Rules, options: Options) -> None:
    """Refuse what a framework's name leaves open, or reduces otherwise.

    Raises: BadParameter, NoSuchReduction.
    """
    missing = next((name for name in rules.needs if name not in spec.params), "")
    if missing:
        message = f"{typed} has no default of {missing}, so that its number is open."
        raise BadParameter(message, hint=f"Write: {typed}:{missing}=0.5")
    if rules.reductions and options.reduction not in rules.reductions:
        message = f"{typed} adds over classes, which --reduction {options.reduction} of {spec.name} does not."
        raise NoSuchReduction(message, hint=f"Write: --reduction {rules.reductions[0]}")
    if rules.weights and options.weights and options.reduction not in {"sum", "none"}:
        message = f"{typed} with weights is another number than --reduction {options.reduction}: {rules.weights}."
        params = ",".join(f"{name}={brief(value)}" for name, value in spec.params.items())
        bare = f"{spec.name}:{params}" if params else spec.name
        hint = f"Write {bare} for the mean by weights, Keras' mean_with_sample_weight; or --reduction sum, then divide."
        raise NoSuchReduction(message, hint=hint)


def _from_folder(name: str, folder: str) -> str:
    """`./my_loss.py:MyLoss` in a spec is relative to the spec."""
    return str(Path(folder, name)) if folder and ".py:" in name else name


def by_shape(asked: Asked, given: Mapping[str, tuple[int, ...]]) -> Asked:
    """Focal loss of one score a class is another loss than of one score a label: the shapes say which was meant."""
    target, pred = given.get("target", ()), given.get("pred", ())
    _check_shape(asked, pred)
    theirs = asked.framework or asked.typed == "sigmoid_focal_loss"
    if asked.loss.name != "focal" or theirs or len(pred) != len(target) + 1 or len(pred) < CLASSES:
        return asked
    loss = LOSSES.get("focal_multiclass")
    note = "'focal' is taken as focal_multiclass, since pred has one score a class"
    return replace(asked, loss=loss, params=scalars(loss, {"gamma": asked.params["gamma"]}), note=note)


def _check_shape(asked: Asked, pred: tuple[int, ...]) -> None:
    """Refuse shapes of which a framework makes another number.

    Raises: ShapeMismatch.
    """
    if asked.rules.one_column and math.prod(pred[1:]) != 1:
        message = f"{asked.typed}: pred has shape {pred}, and {asked.rules.one_column}."
        raise ShapeMismatch(
            message, hint=f"Give one column, or write {asked.loss.name} for the number of all columns together."
        )
    if asked.rules.classes_last and len(pred) > CLASSES and asked.class_dim is None:
        message = f"{asked.typed}: pred has shape {pred}, and {asked.framework} has classes on the last axis."
        raise ShapeMismatch(message, hint="Say where they are: --class-dim -1.")


def as_given(name: str, value: Any) -> Given:
    """Read a tensor parameter: `1,2,4`, `@weights.npy`, or a list from a spec.

    Raises: BadParameter.
    """
    if not isinstance(value, str):
        return Given(value=value)
    if value.startswith("@") and len(value) > 1:
        return Given(text=value[1:])
    try:
        return Given(value=[float(number) for number in value.split(",")])
    except ValueError:
        message = f"Parameter '{name}' takes numbers, not '{value}'."
        raise BadParameter(message, hint=f"Write {name}=1,2,4 or {name}=@FILE.") from None


def _check_count(asked: list[Asked], spec: Spec) -> None:
    """Refuse inputs that no loss would read, and a set none of whose losses takes so many."""
    if not asked:
        count = len(spec.positional) + len(spec.inputs)
        message = f"No loss of {spec.losses[0].name} takes {count} inputs."
        raise UsageError(message, hint="Name one loss to see what it takes: lossctl info LOSS.")
    most = max(asked, key=lambda one: len(one.loss.signature.inputs)).loss
    if len(spec.positional) > len(most.signature.inputs):
        names = ", ".join(argument.name for argument in most.signature.inputs)
        message = f"{most.name} takes {len(most.signature.inputs)} inputs ({names}), but {len(spec.positional)} were given."
        raise UsageError(message, hint="Other arrays are named: -i NAME=SOURCE, -p NAME=@FILE, --weights SOURCE.")
    free = [argument.name for argument in most.signature.inputs if argument.name not in spec.inputs]
    if len(spec.positional) > len(free):
        left = f"{len(free)} ({', '.join(free)})" if free else "none"
        named = ", ".join(name for name in spec.inputs)
        message = f"{len(spec.positional)} inputs were given without a name, but -i names {named}, which leaves {left}."
        raise UsageError(message, hint="Give each input once, by its place or by its name.")
    known = {argument.name for asked_loss in asked for argument in asked_loss.loss.signature.arrays}
    for name in spec.inputs:
        if name not in known:
            raise BadParameter(f"No loss here has an input '{name}'.", hint=near(name, known, "inputs"))


def _inputs(asked: Asked, spec: Spec) -> dict[str, Given]:
    """Name the positional inputs in the order of the loss's arguments; named ones win."""
    arguments = {argument.name for argument in asked.loss.signature.arrays}
    named = {name: given for name, given in spec.inputs.items() if name in arguments} | dict(asked.given)
    free = [argument.name for argument in asked.loss.signature.inputs if argument.name not in spec.inputs]
    return dict(zip(free, spec.positional, strict=False)) | named
