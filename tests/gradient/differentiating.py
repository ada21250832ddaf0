"""How these tests differentiate: block by block as `grad` does, at once by torch alone, and through the command line."""

import json
from dataclasses import replace

import numpy as np
from jsonschema import Draft202012Validator

from lossctl.checking.saved import load_schema as load
from lossctl.cli.program import program
from lossctl.engine.binding import bind
from lossctl.engine.block import Selection
from lossctl.engine.fold import fold, unreduced
from lossctl.engine.values import cast
from lossctl.gradient.passes import Differentiated, slopes, stream
from lossctl.gradient.sinks import Field, MemorySink
from lossctl.losses.backends import BACKENDS
from lossctl.losses.loss import Number
from lossctl.request.options import Options
from lossctl.sources.readers import Memory, whole

PLAIN = Options(nan="propagate")
NUMPY, TORCH = BACKENDS.get("numpy")(), BACKENDS.get("torch")()
EVERYTHING = Selection()
SCHEMA = Draft202012Validator(json.loads(load("result-1")))


def tied(loss, drawn, options=PLAIN):
    readers = {name: Memory(array, name) for name, array in drawn.arrays.items()}
    return bind(loss, readers, drawn.params, options)


def real_inputs(bound):
    """The inputs that there is a gradient by: no labels, no lengths, no signs."""
    words = {slot.input.name: slot.input.word for slot in bound.slots}
    return tuple(name for name, word in words.items() if not (word.index or word.upto or word.domain.values))


def real_params(bound):
    """The scalar parameters that are real numbers and have a value."""
    words = {one.name: one.word for one in bound.loss.signature.parameters}
    kept = [name for name, word in words.items() if isinstance(word, Number) and word.kind is float]
    return tuple(name for name in kept if isinstance(bound.params[name], float | int))


def streamed(bound, reduction, samples, jobs=1, params=()):
    """Gradients by every real input and by `params`, from blocks of so many samples."""
    options = replace(PLAIN, reduction=reduction, jobs=jobs)
    tally = fold([bound], NUMPY, options, EVERYTHING)[0]
    steep = slopes(bound, tally.sums.finish(), tally.n, reduction, params, TORCH)
    arrays = {slot.input.name: slot.reader for slot in bound.slots}
    sinks = {name: MemorySink(Field(name, arrays[name].shape, np.dtype(float))) for name in real_inputs(bound)}
    one = Differentiated(bound, tuple(sinks), tuple(params), steep)
    numbers, blocks = dict(steep.params), []

    def take(part):
        blocks.append((part.block.start, part.block.stop))
        for name, value in part.params.items():
            numbers[name] += value
        for name, array in part.seen.items():
            _put(sinks[name], array, part.block.start, next(s.axis for s in bound.slots if s.input.name == name))

    stream(one, TORCH, options, EVERYTHING, work=lambda part: part, take=take, block=samples * bound.elements)
    return {name: sink.array for name, sink in sinks.items()}, numbers, blocks


def _put(sink, array, start, axis):
    if axis is None:
        sink.array += array
    else:
        sink.put(array, start, axis)


def at_once(bound, reduction, params=()):
    """The same by torch's autograd through the whole loss."""
    torch = TORCH.torch
    arrays = {slot.input.name: TORCH.give(cast(whole(slot.reader), slot, PLAIN)) for slot in bound.slots}
    leaves = {name: arrays[name].double().requires_grad_() for name in real_inputs(bound)}
    numbers = {name: torch.tensor(float(bound.params[name]), dtype=torch.float64, requires_grad=True) for name in params}
    tied_to = replace(bound, params={**bound.params, **numbers})
    terms = unreduced(tied_to, arrays | leaves, TORCH.xp)
    terms.setdefault("weight", torch.ones_like(next(iter(terms.values()))))
    sums = {name: term.sum() for name, term in terms.items()}
    if reduction == "mean":
        total = bound.loss.finish(TORCH.xp, sums, **tied_to.params)
    else:
        total = sums["value"] / (bound.n if reduction == "batchmean" else 1)
    every = leaves | numbers
    found = torch.autograd.grad(total, list(every.values()), materialize_grads=True)
    named = {name: one.numpy() for name, one in zip(every, found, strict=True)}
    return {name: named[name] for name in leaves}, {name: named[name] for name in numbers}


def printed(*argv):
    """What one run of `lossctl grad` prints."""
    return program()(["grad", *map(str, argv)], prog_name="lossctl", standalone_mode=False)


def answered(*argv):
    """The document of one run of `lossctl grad`, which its schema describes."""
    document = json.loads(printed(*argv, "--format", "json", "--quiet").text)
    SCHEMA.validate(document)
    return document


def written(path, *argv):
    """The array that one run of `lossctl grad` writes to `path`."""
    printed(*argv, "--output", path, "--quiet")
    return np.load(path)
