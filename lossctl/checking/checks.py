"""The promises of a loss, checked on random samples that its own signature draws. `lossctl verify` and our tests run these.

A check returns an empty string when the loss keeps the promise, and what was wrong when it does not; it raises `Skipped`
where there is nothing to check. Gradients are compared three ways: as `lossctl grad` finds them, by torch's own function,
and by central differences. A loss of somebody else's has no words that say what to draw: samples of several kinds are tried
until one fits it.

This file is long because the checks and the samples that they draw read the same words of a signature.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, get_args

import numpy as np

from lossctl.engine.binding import Bound, bind
from lossctl.engine.block import Selection
from lossctl.engine.fold import fold, unreduced
from lossctl.engine.reduce import evaluate, reduced
from lossctl.engine.values import cast
from lossctl.errors import BadParameter, LossctlError, MissingExtra, NoGradient, NoSuchReduction, PluginFailed
from lossctl.gradient.passes import Differentiated, GradientPart, slopes, stream
from lossctl.gradient.sinks import Field, MemorySink
from lossctl.losses import words
from lossctl.losses.backends import BACKENDS
from lossctl.losses.foreign import dress
from lossctl.losses.loss import Anything, Choice, Input, Loss, Parameter, Tensor, scalars
from lossctl.request.options import Options
from lossctl.sources.readers import Memory, NumPyArray, whole

STEP = 1e-6
# Samples of a block: the draws have 7.
FEW = 2
GRADIENT_OPTIONS = Options(nan="propagate", domain="ignore")
Arrays = dict[str, Any]


def _real(loss: Loss) -> set[str]:
    """The inputs that there is a gradient by: numbers, not labels, whether they count or are 1 and -1.

    To losses of others a target is a constant: torch's soft_margin_loss refuses to be differentiated by it.
    """
    constant = set() if loss.origin == "lossctl" else {"target"}
    return {a.name for a in loss.signature.inputs if not (a.word.index or a.word.domain.values)} - constant


def _leaves(loss: Loss, drawn: Drawn, torch: Any) -> tuple[Arrays, Arrays]:
    """Tensors to differentiate by, and the arrays made of them: log-probabilities are differentiated by their logits."""
    real = _real(loss)
    tensors = {name: torch.from_numpy(np.array(drawn.logits.get(name, array))) for name, array in drawn.arrays.items()}
    for name in real:
        tensors[name].requires_grad_()
    made = {name: torch.log_softmax(t, -1) if name in drawn.logits else t for name, t in tensors.items()}
    return {name: tensors[name] for name in real}, made


def _by(total: Any, leaves: Arrays, torch: Any) -> Arrays:
    if not leaves:
        return {}
    smooth = total.requires_grad  # not so where only comparisons remain: the gradient of a count is 0
    result = torch.autograd.grad(total, list(leaves.values()), allow_unused=True) if smooth else (None,) * len(leaves)
    return {
        name: np.zeros(leaf.shape) if gradient is None else gradient.numpy()
        for (name, leaf), gradient in zip(leaves.items(), result, strict=True)
    }


def gradients(loss: Loss, drawn: Drawn) -> Arrays:
    """The gradient of the mean by every real input, as `lossctl grad` finds it: streamed, over several blocks if it can be."""
    backend = BACKENDS.get("torch")()
    readers = {name: Memory(array, name) for name, array in drawn.arrays.items()}
    bound = bind(loss, readers, drawn.params, GRADIENT_OPTIONS)
    tally = fold([bound], BACKENDS.get("numpy")(), GRADIENT_OPTIONS, Selection())[0]
    result = slopes(bound, tally.sums.finish(), tally.n, "mean", (), backend)
    real = tuple(sorted(_real(loss)))
    sinks = {name: MemorySink(Field(name, readers[name].shape, np.dtype(np.float64))) for name in real}
    one = Differentiated(bound, real, (), result)
    stream(
        one,
        backend,
        GRADIENT_OPTIONS,
        Selection(),
        work=lambda part: part,
        take=partial(_put, sinks),
        block=FEW * bound.elements,
    )
    return {name: _by_logits(name, sink.array, drawn) for name, sink in sinks.items()}


def _put(sinks: dict[str, MemorySink], part: GradientPart) -> None:
    for name, placed in part.placed.items():
        if placed.axis is None:
            sinks[name].array += placed.array
        else:
            sinks[name].put(placed.array, placed.start, placed.axis)


def _by_logits(name: str, gradient: Any, drawn: Drawn) -> Any:
    """The gradient by log-probabilities, as that by the logits that they were made from."""
    if name not in drawn.logits:
        return gradient
    return gradient - np.exp(drawn.arrays[name]) * gradient.sum(axis=-1, keepdims=True)


def twin_gradients(loss: Loss, drawn: Drawn) -> tuple[float, Arrays]:
    """Value and gradient of the torch function that the loss names."""
    torch = BACKENDS.get("torch")().torch
    leaves, arrays = _leaves(loss, drawn, torch)
    inputs = [arrays.pop(argument.name) for argument in loss.signature.inputs]
    with warnings.catch_warnings():
        # torch warns that kl_div's mean is no divergence; here the mean is what is compared.
        warnings.simplefilter("ignore")
        total = getattr(torch.nn.functional, loss.torch)(*inputs, **arrays, **drawn.params, reduction="mean")
    return float(total.detach()), _by(total, leaves, torch)


def numeric_gradients(loss: Loss, drawn: Drawn, value: Callable[[Drawn], float]) -> Arrays:
    """Central differences of the mean by every real input."""
    return {name: _central(drawn, name, value) for name in _real(loss)}


def _central(drawn: Drawn, name: str, value: Callable[[Drawn], float]) -> Any:
    base = drawn.logits.get(name, drawn.arrays[name])
    result = np.zeros(base.shape)
    for index in np.ndindex(base.shape):
        sides = []
        for step in (STEP, -STEP):
            moved = np.array(base)
            moved[index] += step
            array = log_softmax(moved) if name in drawn.logits else moved
            sides.append(value(replace(drawn, arrays={**drawn.arrays, name: array})))
        result[index] = (sides[0] - sides[1]) / (2 * STEP)
    return result


EXACT, CLOSE, NUMERIC = 1e-12, 1e-9, 1e-5
OPTIONS = Options(nan="propagate", domain="ignore")


class Skipped(Exception):
    """There is nothing to check, for the reason given."""


def bound_to(loss: Loss, drawn: Drawn) -> Bound:
    """Bind a draw."""
    readers = {name: Memory(array, name) for name, array in drawn.arrays.items()}
    return bind(loss, readers, drawn.params, OPTIONS)


def value(loss: Loss, drawn: Drawn, backend: str = "numpy", reduction: str = "mean") -> Any:
    """Evaluate a loss on a draw."""
    options = replace(OPTIONS, reduction=reduction)
    return evaluate([bound_to(loss, drawn)], BACKENDS.get(backend)(), options, Selection())[0].value


def differs(what: str, found: Any, wanted: Any, tolerance: float) -> str:
    """Say by how much two values differ, relative to the larger of 1 and the wanted one; nothing if they are close."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    if found.shape != wanted.shape:
        return f"{what}: shape {found.shape}, wanted {wanted.shape}"
    if np.allclose(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True):
        return ""
    off = np.abs(found - wanted)
    worst = f"{np.isnan(off).sum()} are nan" if np.isnan(off).any() else f"off by {off.max():.3g}"
    return f"{what}: {_short(found)}, wanted {_short(wanted)}, {worst}"


def _short(array: Any) -> str:
    return repr(float(array)) if array.ndim == 0 else f"array {array.shape}"


def check_doc(loss: Loss) -> str:
    """The doc is complete: summary, formula, use, an example, a pitfall, a source, and every parameter."""
    doc = loss.doc
    parts = {"summary": doc.summary, "formula": doc.formula, "use": doc.use, "source": loss.source}
    missing = [name for name, text in parts.items() if not text]
    missing += [name for name, rows in (("example", doc.examples), ("pitfall", doc.pitfalls)) if not rows]
    names = [p.name for p in loss.signature.parameters] + [t.name for t in loss.signature.tensors]
    missing += [name for name in names if not doc.parameters.get(name)]
    unknown = [name for name in doc.parameters if name not in names]
    return "; ".join([f"no {name}" for name in missing] + [f"'{name}' is no parameter" for name in unknown])


def check_example(loss: Loss) -> str:
    """Every documented example holds."""
    problems = []
    for text, example in zip(loss.doc.examples, loss.examples, strict=True):
        names = [argument.name for argument in loss.signature.inputs]
        arrays = {name: np.asarray(given) for name, given in zip(names, example.inputs, strict=True)}
        tensors = {tensor.name for tensor in loss.signature.tensors}
        arrays |= {name: np.asarray(given) for name, given in example.keywords.items() if name in tensors}
        params = scalars(loss, {name: given for name, given in example.keywords.items() if name not in tensors})
        problems.append(differs(text, value(loss, Drawn(arrays, {}, params)), example.value, EXACT))
    return "; ".join(filter(None, problems))


def both_draws(loss: Loss, compare: Callable[[Drawn], str]) -> str:
    """Run a comparison with default parameters and with all of them moved."""
    result = (compare(draw(loss, varied=varied)) for varied in (False, True))
    return "; ".join(dict.fromkeys(filter(None, result)))


def check_cuts(loss: Loss) -> str:
    """Any cut of the data gives the whole."""
    if loss.whole:
        raise Skipped("samples are coupled, and the loss says so")

    def compare(drawn: Drawn) -> str:
        bound = bound_to(loss, drawn)
        wanted = value(loss, drawn)
        result = []
        for samples in (1, 2, 3):
            block = samples * bound.elements
            tally = fold([bound], BACKENDS.get("numpy")(), OPTIONS, Selection(), block=block)[0]
            result.append(reduced(bound, tally.sums.finish(), tally.n, "mean"))
        return differs("blocks of 1, 2 and 3 samples", result, [wanted] * 3, EXACT)

    return both_draws(loss, compare)


def check_permutation(loss: Loss) -> str:
    """The order of samples changes nothing."""

    def compare(drawn: Drawn) -> str:
        bound = bound_to(loss, drawn)
        order = np.random.default_rng(1).permutation(bound.n)
        cut = {slot.input.name: slot.axis for slot in bound.slots if slot.axis is not None}
        moved = {n: np.take(a, order, axis=cut[n]) if n in cut else a for n, a in drawn.arrays.items()}
        return differs("permuted", value(loss, replace(drawn, arrays=moved)), value(loss, drawn), EXACT)

    return both_draws(loss, compare)


def check_reductions(loss: Loss) -> str:
    """The unreduced values add up to the sum."""
    if "none" not in loss.reductions:
        raise Skipped("the loss has no unreduced values")
    return both_draws(
        loss,
        lambda drawn: differs(
            "sum of the unreduced", np.sum(value(loss, drawn, reduction="none")), value(loss, drawn, reduction="sum"), EXACT
        ),
    )


def check_backends(loss: Loss) -> str:
    """NumPy and torch agree."""
    return both_draws(loss, lambda drawn: differs("torch", value(loss, drawn, "torch"), value(loss, drawn), EXACT))


def check_strict(loss: Loss) -> str:
    """The terms use nothing that the array API standard does not have, and change no input."""
    try:
        import array_api_strict as strict
    except ImportError:
        raise Skipped("needs array-api-strict: pip install 'lossctl[verify]'") from None

    def compare(drawn: Drawn) -> str:
        for array in drawn.arrays.values():
            array.flags.writeable = False
        wanted = value(loss, drawn)
        bound = bound_to(loss, drawn)
        arrays = {slot.input.name: strict.asarray(cast(whole(slot.reader), slot, OPTIONS)) for slot in bound.slots}
        terms = unreduced(bound, arrays, strict)
        size = next(iter(terms.values())).size
        sums = {name: float(strict.sum(term)) for name, term in ({"weight": strict.full((), float(size))} | terms).items()}
        return differs("array_api_strict", reduced(bound, sums, bound.n, "mean"), wanted, EXACT)

    return both_draws(loss, compare)


def check_twin(loss: Loss) -> str:
    """Value and gradient equal those of the torch function that the loss names."""
    if not loss.torch:
        raise Skipped("torch has no such loss")

    def compare(drawn: Drawn) -> str:
        twin, wanted = twin_gradients(loss, drawn)
        problems = [differs("torch's value", value(loss, drawn), twin, CLOSE)]
        problems += [
            differs(f"torch's gradient by {name}", result, wanted[name], CLOSE)
            for name, result in gradients(loss, drawn).items()
        ]
        return "; ".join(filter(None, problems))

    return both_draws(loss, compare)


def check_gradient(loss: Loss) -> str:
    """The gradient equals central differences."""

    def compare(drawn: Drawn) -> str:
        exact, numeric = gradients(loss, drawn), numeric_gradients(loss, drawn, lambda moved: float(value(loss, moved)))
        whose = "gradient" if loss.origin == "lossctl" else "its own backward is wrong, the gradient"
        problems = (differs(f"{whose} by {name}", exact[name], numeric[name], NUMERIC) for name in exact)
        return "; ".join(filter(None, problems))

    return both_draws(loss, compare)


def check_spread(loss: Loss) -> str:
    """A loss that says so turns any NaN or infinity in its inputs into one in its value."""
    if not loss.spreads:
        raise Skipped("the loss does not say so")
    result = {}
    for name, wrong in product(draw(loss, varied=False).arrays, (np.nan, np.inf, -np.inf)):
        drawn = draw(loss, varied=False)
        drawn.arrays[name].flat[0] = wrong
        result[f"{wrong} in {name}"] = value(loss, drawn)
    return "; ".join(f"{what} gives {float(v)}" for what, v in result.items() if np.isfinite(v))


def check_edges(loss: Loss) -> str:
    """The loss is finite at the edges of its domain and far out."""
    result = {side: value(loss, edge(loss, high=side == "upper")) for side in ("lower", "upper")}
    return "; ".join(f"{float(v)} at the {side} edge" for side, v in result.items() if not np.isfinite(v))


Check = Callable[["Loss"], str]
ORDER = (check_doc, check_example, check_cuts, check_permutation, check_reductions, check_backends, check_strict)
CHECKS: dict[str, Check] = {
    check.__name__.removeprefix("check_"): check for check in (*ORDER, check_twin, check_gradient, check_spread, check_edges)
}


# What a loss of somebody else's never promised.
NOT_OF_OTHERS: dict[Check, str] = {
    check_doc: "others write their own docs",
    check_example: "others write their own docs",
    check_cuts: "all samples are read at once",
    check_backends: "it calculates in its own library",
    check_strict: "it calculates in its own library",
    check_twin: "it stands for itself",
    check_edges: "which values it is meant for is not known",
}


def run_check(check: Check, loss: Loss) -> tuple[str, str]:
    """Run one check: `passed`, `failed` or `skipped`, and why. A loss that raises has failed, but for a missing package."""
    if loss.origin != "lossctl" and check in NOT_OF_OTHERS:
        return "skipped", NOT_OF_OTHERS[check]
    try:
        problem = check(loss)
    except (NoGradient, Skipped) as reason:
        return "skipped", str(reason)
    except MissingExtra as reason:
        return "skipped", reason.paragraph().replace("--backend torch", "it", 1)
    except NoSuchReduction as reason:
        return "failed" if loss.origin == "lossctl" else "skipped", reason.message
    except Exception as error:  # noqa: BLE001 - a loss under test may raise anything
        return "failed", f"{type(error).__name__}: {error}"
    return ("failed", problem) if problem else ("passed", "")


SIZES = {"n": 7, "m": 5, "c": 4, "d": 3, "e": 3, "q": 3, "t": 8, "s": 2}
# How far inside of an edge that is not in the domain itself.
INSIDE = 1e-6
# How far out to go where there is no edge: for numbers, and for the logarithms of numbers.
FAR, FAR_LOG = 1e3, 1e2


@dataclass(frozen=True)
class Drawn:
    """Arrays and parameters for one call; `logits` holds what log-probabilities were made from."""

    arrays: dict[str, NumPyArray]
    logits: dict[str, NumPyArray]
    params: dict[str, Any]


def draw(loss: Loss, *, varied: bool, seed: int = 0) -> Drawn:
    """Draw arrays for every input; `varied` adds every tensor parameter and moves every scalar off its default."""
    rng = np.random.default_rng(seed)
    arguments = loss.signature.arrays if varied else loss.signature.inputs
    arrays, logits = {}, {}
    for argument in arguments:
        arrays[argument.name] = _draw(rng, argument.word, axes(argument, loss.signature.inputs[0]))
        if argument.word.logs:
            logits[argument.name] = arrays[argument.name]
            arrays[argument.name] = log_softmax(arrays[argument.name])
    params = {p.name: _moved(p) if varied else p.default for p in loss.signature.parameters}
    return Drawn(arrays, logits, params)


def axes(argument: Input, first: Input) -> tuple[int, ...]:
    """The shape to draw: one size a dim; `*d` stands for one axis, if the first input has it.

    Weights that broadcast are drawn along the last axis.
    """
    left_out = "" if "*d" in first.word.shape.split() else "*d"
    names = [name.lstrip("*") for name in argument.word.shape.split() if name != left_out]
    shape = tuple(int(name) if name.isdigit() else SIZES[name] for name in names)
    return shape[-1:] if argument.word.rule == "broadcast" else shape


def log_softmax(scores: NumPyArray) -> NumPyArray:
    """Log-probabilities along the last axis."""
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))  # type: ignore[no-any-return]


def _draw(rng: np.random.Generator, word: Tensor, shape: tuple[int, ...]) -> NumPyArray:
    if word.upto:
        most = SIZES[word.upto]
        return rng.integers((most + 1) // 2, most, size=shape, endpoint=True)
    if word.index:
        least = word.domain.low if math.isfinite(word.domain.low) else float(word.rule == "sequences")
        return rng.integers(int(least), SIZES["c"], size=shape)
    if word.corners:
        low = rng.normal(size=(*shape[:-1], 2))
        return np.concatenate([low, low + rng.uniform(0.5, 2, size=low.shape)], axis=-1)
    if word.domain.values:
        return rng.choice([value for value in word.domain.values if value or not word.signs], size=shape)
    if math.isfinite(word.domain.low):
        high = min(word.domain.high, word.domain.low + 2)
        return word.domain.low + (high - word.domain.low) * rng.uniform(0.05, 0.95, size=shape)
    return rng.normal(size=shape)


def _moved(parameter: Parameter) -> Any:
    """A value that is not the default and still in the domain."""
    if isinstance(parameter.word, Anything):
        return parameter.default
    if isinstance(parameter.word, Choice):
        return parameter.word.options[-1]
    if parameter.word.kind is bool:
        return not parameter.default
    if parameter.word.other is not None:
        return parameter.word.other
    return (
        parameter.default
        if parameter.word.kind is int
        else max(parameter.word.domain.low, 0.5 * float(parameter.default or 0) + 0.1)
    )


def edge(loss: Loss, *, high: bool) -> Drawn:
    """A draw in which every real input lies on the lower or upper edge of its domain, or far out where it has none.

    An edge that is not in the domain itself is approached from inside.
    """
    drawn = draw(loss, varied=False)
    for argument in loss.signature.inputs:
        if not argument.word.index:
            domain = argument.word.domain
            far = domain.high if high else domain.low
            out = FAR_LOG if drawn.params.get(argument.word.free_if) else FAR
            value = far if math.isfinite(far) else (out if high else -out)
            value += INSIDE if domain.open_low and not high else 0.0
            # A box, or a series that gives a scale, is moved as it is.
            spread = argument.word.corners or argument.word.shape == "m"
            moved = drawn.arrays[argument.name] if spread else 0.0
            drawn.arrays[argument.name][...] = moved + (min(value, 0.0) if argument.word.logs else value)
    return drawn


Words = tuple[Tensor, ...]
SCORES = Tensor("n c", "scores, one a class")
LABEL = Tensor("n", "class labels", index=True)
LABELS = Tensor("n c", "labels", index=True)


def settled(loss: Loss, given: Mapping[str, Any]) -> Loss:
    """Fix the parameters of a loss, and give its inputs words that it accepts samples of.

    Raises: BadParameter where a parameter is missing; PluginFailed where it takes no samples that are drawn here.
    """
    fixed = partial(loss.terms, **given)
    refused: list[LossctlError] = []
    for chosen in _drafts(loss):
        inputs = tuple(replace(one, word=word) for one, word in zip(loss.signature.inputs, chosen, strict=True))
        header = replace(loss.signature, inputs=inputs, tensors=(), parameters=())
        candidate = replace(loss, terms=dress(fixed, header, loss.terms.__doc__ or ""))
        try:
            if _finite(candidate):
                return candidate
        except BadParameter:
            raise
        except LossctlError as error:
            refused.append(error)
    why = f" {refused[0].message}" if refused else " Its value is nan or infinite on all of them."
    message = f"{loss.name} takes none of the samples that are drawn for it.{why}"
    raise PluginFailed(message, hint="Annotate its inputs with words of lossctl.losses.words, which say what to draw.")


def _finite(loss: Loss) -> bool:
    """Whether the loss is a number on a draw.

    Raises: what the loss raises.
    """
    drawn = draw(loss, varied=False)
    terms = loss.terms(np, *(drawn.arrays[argument.name] for argument in loss.signature.inputs))
    return all(bool(np.isfinite(term).all()) for term in terms.values())


def _drafts(loss: Loss) -> Iterable[Words]:
    """The kinds of samples to try, for as many inputs as there are; words that the loss gives itself stay."""
    own = [argument.word for argument in loss.signature.inputs]
    for chosen in _kinds(len(own)):
        yield tuple(word if mine.rule == "free" else mine for mine, word in zip(own, chosen, strict=True))


def _kinds(count: int) -> Iterable[Words]:
    """Labels first: what takes them for classes is meant for them, and what is not refuses two shapes."""
    real, probability = _word(words.Real), _word(words.Probability)
    if count == 2:  # noqa: PLR2004 - pred and target
        yield SCORES, LABEL
    yield (real,) * count
    if count == 2:  # noqa: PLR2004
        yield _word(words.LogProbability), probability
        yield probability, _word(words.Binary)
        yield SCORES, LABELS
    yield (_word(words.Vector),) * (count - 1) + (_word(words.PairSign),)
    yield (*(real,) * (count - 1), _word(words.PositiveReal))
    if count == 4:  # noqa: PLR2004 - torch's CTC
        kinds = (words.SequenceLogProbability, words.SequenceLabels, words.FrameCount, words.LabelCount)
        yield tuple(_word(kind) for kind in kinds)
    yield (probability,) * count


def _word(annotated: Any) -> Tensor:
    return next(word for word in get_args(annotated)[1:] if isinstance(word, Tensor))
