"""Opening: what a spec names is looked up, opened, and bound to its losses, before anything is computed.

First rows that may be names or a sample are read so that all inputs are equally long. Where both readings make them so, losses
are computed of the first samples as each reading has them: a row that a loss refuses as a sample holds names, and two values
are for the user to choose between.

A set, `@regression`, stands for all losses of a task whose shapes and options fit; the others are left out and named. Whether
values fit shows in the pass that computes: a member that refuses them ends alone there.

This file is long because looking up, opening, headers in doubt and binding work on the same inputs, opened once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite, isnan, nan, prod
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from lossctl.engine.binding import Bound, bind
from lossctl.engine.block import Selection
from lossctl.engine.fold import elements_of, fold_block
from lossctl.engine.reduce import check_asked, evaluate, keep_of, outcome_of
from lossctl.errors import InputError, LossctlError, ShapeMismatch, UnknownKey, UsageError
from lossctl.losses.backends import BACKENDS
from lossctl.request.lookup import Asked, by_shape, resolve
from lossctl.request.spec import LossSpec, Spec
from lossctl.sources.files import Files
from lossctl.sources.inputs import Ordered, say_how
from lossctl.sources.readers import BLOCK, NumPyArray, Reader, broadcast
from lossctl.sources.source import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lossctl.request.options import Options
    from lossctl.sources.container import Heading
    from lossctl.sources.layout import Entry

    Readers = dict[str, Reader]
    # What each loss gives with these files read the other way; None where it refuses the samples.
    Values = Callable[[frozenset[str]], Sequence["Sampled | None"]]
    from collections.abc import Callable, Sequence


# Beyond this many pairs, and where an input is more than a block, the message about shapes that broadcast has no numbers.
PAIRS = 10_000_000


@dataclass(eq=False, repr=False)
class Opened:
    """Every input of every loss, each opened once; `unlike` is what a warning says of rows that have other ids."""

    files: Files
    options: Options
    readers: dict[tuple[Given, str], Reader]
    ids: list[str] | None = None
    unlike: list[str] = field(default_factory=list)

    def open(self, given: Given, role: str) -> Reader:
        """Open an input in a role, or return it as it was opened before."""
        key = _key(given, role)
        if key not in self.readers:
            self.readers[key] = self.files.open(given, role)
        return self.readers[key]

    def refresh(self) -> None:
        """Open anew what was opened of tables that are read otherwise by now."""
        turned = set(self.files.turned)
        for given, role in self.readers if turned else ():
            if given.value is None and turned & set(self.files.paths(given)):
                self.readers[given, role] = self.files.open(given, role)
        self.files.turned.clear()

    def settle(self, asked: Sequence[Asked], more: Sequence[tuple[Sequence[str], int]] = (), *, differ: bool = False) -> bool:
        """Read first rows that may be names or a sample so that all inputs are equally long, and say how they are read.

        `more` are the files and lengths of what is no reader. Two readings that both fit are compared by what `asked` gives,
        unless it is known that they `differ`. Returns whether anything was in doubt.
        Raises: InputError where both readings fit, neither is likelier, and the values differ.
        """
        turned = bool(self.files.turned)
        if turned and self.options.on:
            self.files.turned.clear()
            self.join(asked)
        self.refresh()
        if not self.files.doubtful():
            return turned
        if not self.options.on:
            tables = self.files.doubtful()
            other = {
                argument.name
                for asked_loss in asked
                for argument in asked_loss.loss.signature.arrays
                if not _by_sample(asked_loss, argument.name)
            }
            entries = [
                (frozenset(self.files.paths(given)) & tables.keys(), reader.shape[0])
                for (given, role), reader in self.readers.items()
                if reader.shape and role not in other
            ]
            entries += [(frozenset(paths) & tables.keys(), length) for paths, length in more]
            way, why = headers_to_turn(tables, entries, None if differ else partial(self._values, asked))
            self._turn(dict.fromkeys(way, why))
        self.files.say_headings()
        return True

    def _turn(self, paths: Mapping[str, str]) -> None:
        """Read files the other way, each with what is said of it."""
        for path, why in paths.items():
            self.files.turn(path, why)
        self.refresh()

    def _values(self, asked: Sequence[Asked], way: frozenset[str]) -> list[Sampled | None]:
        """What losses give on the first samples while these files are read the other way."""
        tables = self.files.doubtful()
        self._turn(dict.fromkeys(way, ""))
        result = [_sampled(asked_loss, self) for asked_loss in asked]
        self._turn({path: tables[path].why for path in way})
        return result

    def say_how(self, say: Callable[[str], None]) -> None:
        """Say with -v how each input was read."""
        if getattr(say, "wordy", False):
            say_how([(role, reader) for (_, role), reader in self.readers.items()], say)

    def join(self, asked: Sequence[Asked]) -> None:
        """Put everything that has one entry a sample in the order of the first input's ids."""
        named = self._of_rows(asked)
        givens = {_key(given, name): (name, given) for name, given in named}
        self.readers |= zip(givens, self.files.open_joined(list(givens.values()), self.options.on), strict=True)
        self.ids = self.files.labels(self.options.on, named[0][1])

    def _of_rows(self, asked: Sequence[Asked]) -> list[tuple[str, Given]]:
        """Every input that has one entry a sample, with its role."""
        named = [
            (name, given) for asked_loss in asked for name, given in asked_loss.given.items() if _by_sample(asked_loss, name)
        ]
        return named + [(name, given) for name in ("weights", "mask") if (given := getattr(self.options, name))]

    def check_rows(self, asked: Sequence[Asked], *more: tuple[str, Given, int]) -> None:
        """Refuse inputs that hold the same ids in another order, unless they are joined, or the order of rows is insisted on.

        Raises: RowsInAnotherOrder.
        """
        if self.options.on or self.options.row_order:
            return
        opened = [(name, given, self.readers.get(_key(given, name))) for name, given in self._of_rows(asked)]
        paired = [(name, given, reader.shape[0]) for name, given, reader in opened if reader is not None and reader.shape]
        self.unlike += [said for said in self.files.check_rows([*paired, *more]) if said not in self.unlike]


def _key(given: Given, role: str) -> tuple[Given, str]:
    return given._replace(value=repr(given.value)) if given.value is not None else given, role


def uses(asked: Sequence[Asked], options: Options) -> list[tuple[str, Given]]:
    """Every input of a command, under its role."""
    named = [(name, given) for asked_loss in asked for name, given in asked_loss.given.items()]
    return named + [(name, given) for name in ("weights", "mask") if (given := getattr(options, name))]


def _by_sample(asked: Asked, name: str) -> bool:
    """Whether an argument has one entry a sample; a weight that broadcasts may be one a class."""
    arguments = {argument.name: argument.word for argument in asked.loss.signature.arrays}
    return "n" in arguments[name].shape.split() and arguments[name].rule != "broadcast"


def _is_input(asked: Asked, name: str) -> bool:
    return any(argument.name == name for argument in asked.loss.signature.inputs)


@dataclass(frozen=True, eq=False, repr=False)
class Groups:
    """What samples are grouped by: the names of the groups in sorted order, and the number of each sample's.

    Where there are very many samples, the numbers lie in a file, and `codes` gives those that are asked for.
    """

    names: Sequence[str]
    codes: Any


@dataclass(frozen=True, eq=False, repr=False)
class Prepared:
    """Losses with their inputs in place: everything that a pass over the data needs.

    `members` are all losses of the sets that were asked for, those whose shapes do not fit among them.
    """

    asked: Sequence[Asked]
    bounds: Sequence[Bound]
    selection: Selection
    groups: Groups | None
    opened: Opened
    members: Sequence[str] = ()

    def codes(self, column: str) -> Groups:
        """Read other groups of the same samples: a column beside the first input, or a source of its own."""
        return _groups_by(column, self.opened, self.asked)

    def times(self, column: str) -> NumPyArray:
        """Read an order: as numbers where all are, else as text, which ISO dates are sorted by."""
        result = self.codes(column)
        names = np.asarray(result.names)
        try:
            names = names.astype(np.float64)
        except ValueError:
            return np.asarray(result.codes[:])
        return np.asarray(names[result.codes[:]])


def prepare(spec: Spec, say: Callable[[str], None]) -> Prepared:
    """Look up, open and bind what `spec` asks for.

    Raises: UnknownName, BadParameter, UsageError, InputError.
    """
    return prepare_all([spec], say)[0]


def prepare_all(specs: Sequence[Spec], say: Callable[[str], None], columns: Sequence[tuple[str, str]] = ()) -> list[Prepared]:
    """The same for several requests with the same options: an input that they share is opened once, and ids are joined.

    A member of a set of losses that does not fit the inputs of one request is left out of all. `columns` are further options
    that name columns, each with its own: `*` takes none of them.
    """
    options, first = specs[0].options, specs[0]
    files = Files(first.folder, options.in_format, say, options.max_memory, first.saved, options.allow_remote, options.header)
    opened = Opened(files, options, {})
    asked = [resolve(spec) for spec in specs]
    every = [item for each in asked for item in each]
    files.uses = uses(every, options)
    files.columns = [("--by", options.by), ("--on", options.on), *columns]
    if options.on:
        opened.join(every)
    for name, given in files.uses:
        opened.open(given, name)
    groups = _groups(opened, asked[0])
    if opened.settle(every, _labels(opened, asked[0], groups)):
        groups = _groups(opened, asked[0])
    readers_of = [[{name: opened.open(given, name) for name, given in item.given.items()} for item in each] for each in asked]
    weights = opened.open(options.weights, "weights") if options.weights else None
    mask = opened.open(options.mask, "mask") if options.mask else None
    selection = Selection(weights, mask)
    pairs = [_fitted(each, readers, options, selection, say) for each, readers in zip(asked, readers_of, strict=True)]
    common = set.intersection(*({item.label for item in each} for each, _ in pairs)) if len(pairs) > 1 else None
    members = list(dict.fromkeys(item.loss.name for item in every if item.of))
    result = []
    for each, readers in pairs:
        kept = [number for number, one in enumerate(each) if common is None or one.label in common]
        bounds = [_bound(each[number], readers[number], options, alone=len(kept) == 1) for number in kept]
        result.append(Prepared([each[number] for number in kept], bounds, selection, groups, opened, members))
    # The terms of a weighted sum may have rows of their own, and systems that are compared have the same.
    together = [[asked_loss] for asked_loss in asked[0]] if specs[0].terms else [[item for each in asked for item in each]]
    for each in together:
        opened.check_rows(each)
    opened.say_how(say)
    return result


def _fitted(
    asked: Sequence[Asked], readers: Sequence[Readers], options: Options, selection: Selection, say: Callable[[str], None]
) -> tuple[list[Asked], list[Readers]]:
    """See which losses are meant, and leave out the members of sets that these shapes and options do not fit.

    What was asked for by name stays, and may fail.
    Raises: UsageError where nothing is left.
    """
    meant = [
        by_shape(one, {name: reader.shape for name, reader in own.items()}) for one, own in zip(asked, readers, strict=True)
    ]
    for note in dict.fromkeys(item.note for item in meant if item.note):
        say(note)
    pairs = [(one, own) for one, own in zip(meant, readers, strict=True) if not one.of or _fits(one, own, options, selection)]
    if not pairs:
        raise fits_none(asked[0].of)
    return [one for one, _ in pairs], [own for _, own in pairs]


def _fits(asked: Asked, readers: Mapping[str, Reader], options: Options, selection: Selection) -> bool:
    """Whether a loss takes these shapes under these options; no value is looked at."""
    try:
        bound = bind(asked.loss, readers, asked.params, options)
        check_asked([bound], options, selection, keep_of(options))
        elements_of(bound, options)
    except LossctlError:
        return False
    return True


def fits_none(name: str) -> UsageError:
    """The error where no member of a set is left."""
    return UsageError(f"The inputs fit no loss of {name}.", hint="Name one loss to see why.")


def _groups(opened: Opened, asked: Sequence[Asked]) -> Groups | None:
    return _groups_by(opened.options.by, opened, asked) if opened.options.by else None


def _labels(opened: Opened, asked: Sequence[Asked], groups: Groups | None) -> list[tuple[Sequence[str], int]]:
    """The files that name groups, and how many labels they hold."""
    if groups is None:
        return []
    inputs = [given for name, given in asked[0].given.items() if _is_input(asked[0], name)]
    return [(opened.files.label_paths(opened.options.by, inputs), len(groups.codes))]


def _groups_by(column: str, opened: Opened, asked: Sequence[Asked]) -> Groups:
    """Find a column in the table of the first input that has it."""
    from lossctl.sources.codes import numbered, told_apart

    refused: list[UnknownKey] = []
    inputs = [given for name, given in asked[0].given.items() if _is_input(asked[0], name)]
    for beside in inputs:
        try:
            if not opened.options.on:
                result = Groups(*opened.files.groups(column, beside))
                if not opened.files.is_beside(column, beside):
                    opened.check_rows(asked, ("by", Given(text=column), len(result.codes)))
                return result
            labels = opened.files.labels(column, beside, opened.options.on, inputs[0])
        except UnknownKey as error:
            refused.append(error)
            continue
        return Groups(*numbered([told_apart(labels)]))
    raise refused[0]


def _bound(asked: Asked, readers: Mapping[str, Reader], options: Options, *, alone: bool) -> Bound:
    """Bind one loss; among several, an error says whose it is."""
    try:
        return replace(_bind(asked, readers, options), optional=bool(asked.of))
    except LossctlError as error:
        if not alone:
            error.message = f"{asked.label}: {error.message}"
        raise


def _bind(asked: Asked, readers: Mapping[str, Reader], options: Options) -> Bound:
    """Bind one loss; where shapes would merely broadcast, say what both readings give."""
    try:
        return bind(asked.loss, readers, asked.params, options)
    except ShapeMismatch as error:
        advice = _both_readings(asked, readers, options)
        if advice is None:
            raise
        message = f"{error.message} {advice}"
        raise ShapeMismatch(message, hint="Use --squeeze for the second, --broadcast for the first.") from error


def _both_readings(asked: Asked, readers: Mapping[str, Reader], options: Options) -> str | None:
    """Compute what broadcasting gives and what matching rows gives, where both are possible."""
    given = [readers[argument.name].shape for argument in asked.loss.signature.inputs if argument.name in readers]
    common = broadcast(*given)
    sizes = {prod(shape) for shape in given}
    if options.broadcast or common is None or prod(common) > PAIRS or len(sizes) > 1 or max(sizes) > BLOCK:
        return None
    try:
        views = (replace(_plain(options), broadcast=True), replace(_plain(options), squeeze=True))
        pairs, rows = (_value(bind(asked.loss, readers, asked.params, view), view) for view in views)
    except LossctlError:
        return None
    return f"Broadcasting them would take {prod(common)} pairs and give {pairs:.6g}; matching them row by row gives {rows:.6g}."


def _plain(options: Options) -> Options:
    return replace(options, reduction="mean", per_sample=False, worst=0, best=0, stats=False, cluster="", part=(1, 1))


def _value(bound: Bound, options: Options) -> float:
    return float(evaluate([bound], BACKENDS.get("numpy")(), options, Selection())[0].value)


@dataclass(frozen=True)
class Sampled:
    """What a loss gives on the first `count` of `n` samples; NaN of none, where it cannot be computed of a part."""

    value: float
    count: int
    n: int


def headers_to_turn(
    tables: Mapping[str, Heading], entries: Sequence[Entry], values: Values | None
) -> tuple[frozenset[str], str]:
    """Choose which of the `tables` in doubt to read the other way, so that all `entries` are equally long, and why.

    Without `values` they are taken to differ.
    Raises: InputError where both readings fit, neither is likelier, and the values differ.
    """
    from lossctl.sources.layout import ways

    result = ways(tables, entries)
    if len(result) < 2:  # noqa: PLR2004 - nothing to choose between
        return (result[0] if result else frozenset()), "since all inputs are equally long so"
    if values is None:
        raise _refused(tables, result[0] ^ result[1], None)
    given = [(way, values(way)) for way in result]
    able = [(way, losses) for way, losses in given if any(loss is not None for loss in losses)]
    first, own = able[0] if able else given[0]
    for way, losses in able[1:]:
        pairs = [(one, other) for one, other in zip(own, losses, strict=True) if one is not None and other is not None]
        wrong = [pair for pair in pairs if _differ(*pair)]
        if wrong or not pairs:
            raise _refused(tables, way ^ first, wrong[0] if wrong else None)
    return first, "since the other reading gives no value"


def _differ(sampled: Sampled, other: Sampled) -> bool:
    """Whether two values differ, or might on the samples that were not looked at."""
    alike = sampled.value == other.value or (isnan(sampled.value) and isnan(other.value))
    return not alike or sampled.count < sampled.n or other.count < other.n


def _refused(tables: Mapping[str, Heading], paths: frozenset[str], values: tuple[Sampled, Sampled] | None) -> InputError:
    """The error that says both readings."""
    path = min(paths)
    numbers = ""
    if values and values[0].count:
        names, sample = values if tables[path].header else values[::-1]
        first = f" of the first {sample.count:,} samples" if sample.count < sample.n else ""
        numbers = f" As names the loss{first} is {names.value:.6g}, as a sample {sample.value:.6g}."
    what = "may hold names, as pandas writes them, or a sample, and all inputs are equally long both ways"
    return InputError(f"The first row of {path} {what}.{numbers}", hint="Say which it is: --header yes, or --header no.")


def _sampled(asked: Asked, opened: Opened) -> Sampled | None:
    """What a loss gives on the first block of the inputs as they are opened now; None where they do not fit it."""
    readers = {name: opened.open(given, name) for name, given in asked.given.items()}
    meant = by_shape(asked, {name: reader.shape for name, reader in readers.items()})
    plain = _plain(opened.options)
    try:
        bound = bind(meant.loss, readers, meant.params, plain)
        count = min(bound.n, max(1, BLOCK // max(1, bound.elements)))
        if count == bound.n:
            return Sampled(_value(bound, plain), count, bound.n)
        if bound.loss.whole:
            return Sampled(nan, 0, bound.n)
        tally = fold_block(bound, BACKENDS.get("numpy")(), plain, Selection(), (0, count))
        value = float(outcome_of(bound, tally, plain).value)
        return Sampled(value, count, bound.n) if isfinite(value) or plain.nan == "propagate" else None
    except LossctlError:
        return None


def inputs_of(opened: Opened) -> list[dict[str, Any]]:
    """Describe every input once: role, path, key, shape, type, and the hash of what was read."""
    result = [{"role": role, **_facts(reader)} for (_, role), reader in opened.readers.items()]
    for facts, reader in zip(result, opened.readers.values(), strict=True):
        if isinstance(reader, Ordered):
            facts["read"]["rows_matched"] = f"on {opened.options.on}"
    return result


def _facts(reader: Reader) -> dict[str, Any]:
    facts = reader.facts()
    return {
        "path": facts["path"],
        "key": facts["key"],
        "shape": list(reader.shape),
        "dtype": reader.dtype.name,
        "sha256": facts["sha256"],
        "read": {"rows": reader.shape[0] if reader.shape else None, **reader.how()},
    }


class Fitting(Protocol):
    """What a loss came to, or why it refuses the values."""

    @property
    def unfit(self) -> LossctlError | None:
        """The error of a member of a set that does not fit; the rest then means nothing."""


Computed = TypeVar("Computed", bound=Fitting)


def without(
    every: Sequence[Prepared], rows: Sequence[Sequence[Computed]], say: Callable[[str], None]
) -> tuple[list[Prepared], list[list[Computed]]]:
    """Leave out the members of sets that refused the values of some request; `rows` hold what each request came to.

    Raises: as `_say` where nothing is left.
    """
    if not any(bound.optional for item in every for bound in item.bounds):
        return [*every], [[*row] for row in rows]
    unfit = [any(row[at].unfit for row in rows) for at in range(len(rows[0]))]
    _say(every[0], unfit, [item.unfit for row in rows for item in row if item.unfit], say)
    return [_kept(item, unfit) for item in every], [
        [one for one, out in zip(row, unfit, strict=True) if not out] for row in rows
    ]


def spelt_out(spec: Spec, prepared: Prepared, say: Callable[[str], None]) -> tuple[Spec, Prepared]:
    """A request with the losses of sets by their names, as every part of it has to compute the same ones.

    Which these are is decided by shapes alone, and none of them couples samples; values that one refuses are an error.
    """
    if not prepared.members:
        return spec, prepared
    coupled = [bound.optional and bound.loss.whole for bound in prepared.bounds]
    _say(prepared, coupled, (), say)
    prepared = _kept(prepared, coupled)
    members = {
        loss.name: [LossSpec(asked.loss.name) for asked in prepared.asked if asked.of == loss.name] for loss in spec.losses
    }
    losses = tuple(loss for item in spec.losses for loss in (members[item.name] if item.name.startswith("@") else [item]))
    return replace(spec, losses=losses), prepared


def _kept(prepared: Prepared, unfit: Sequence[bool]) -> Prepared:
    places = [at for at, out in enumerate(unfit) if not out]
    bounds = [replace(prepared.bounds[at], optional=False) for at in places]
    return replace(prepared, asked=[prepared.asked[at] for at in places], bounds=bounds)


def _say(prepared: Prepared, unfit: Sequence[bool], errors: Sequence[LossctlError], say: Callable[[str], None]) -> None:
    """Say what is left out, whatever the reason.

    Raises: the error that all losses have in common where none is left, or UsageError.
    """
    kept = {one.loss.name for one, out in zip(prepared.asked, unfit, strict=True) if not out}
    if not kept:
        known = {error.message: error for error in errors}
        raise next(iter(known.values())) if len(known) == 1 else fits_none(prepared.asked[0].of)
    if left := [name for name in prepared.members if name not in kept]:
        say(f"left out, since the inputs do not fit them: {', '.join(left)}")


def grouped(prepared: Prepared) -> tuple[Selection, Sequence[str]]:
    """The selection with its groups.

    Raises: UsageError for a loss that couples samples.
    """
    if prepared.groups is None:
        return prepared.selection, ()
    whole = [bound.loss.name for bound in prepared.bounds if bound.loss.whole]
    if whole:
        message = f"{whole[0]} couples all samples, so that its groups cannot be told apart in one pass."
        raise UsageError(message, hint="Leave out --by, or give it one group's samples.")
    return replace(prepared.selection, groups=prepared.groups.codes), prepared.groups.names
