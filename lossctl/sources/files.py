"""The files of one run: each is opened once, whatever is asked of it, and standard input is read once."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossctl.errors import LossctlError, MissingFile, ShapeMismatch, TooLarge, UnknownKey, UsageError, near
from lossctl.sources.container import SURE, Container, Heading, TextTable
from lossctl.sources.inputs import FileReader, ordered, stacked
from lossctl.sources.keys import EVERY, Picked, named, names_id, pick
from lossctl.sources.opening import opener, spooled, stored
from lossctl.sources.readers import Memory, Reader
from lossctl.sources.source import GLOB, STDIN, Given, Source, exists, is_address, locate
from lossctl.sources.stored import Seen, Stored, explained, seen, titled
from lossctl.sources.values import numbers, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lossctl.sources.codes import Labels
    from lossctl.sources.listing import Contents

# What an id takes until rows are in order, in bytes a row; measured with two tables of a million.
ID = 300


def ignore(sentence: str) -> None:
    """Say nothing."""
    del sentence


@dataclass(eq=False, repr=False)
class Files:
    """Opens what a run reads.

    Paths are relative to `folder`; `in_format` overrides suffix and content; `say` is told which column was taken where
    none was named. Where the result `saved` names what is read, and nobody typed it, standard input and pipes are not waited
    for, and an address is read only with `allow_remote`.

    `header` is yes, no, or nothing where first rows tell by themselves. `uses` are the inputs of all roles, and `columns` the
    options that name columns beside them, of which `*` takes none. Files in `turned` are read the other way than they were when
    readers of them may have been opened.
    """

    folder: str = ""
    in_format: str = ""
    say: Callable[[str], None] = ignore
    max_memory: int = 0
    saved: str = ""
    allow_remote: bool = False
    header: str = ""
    uses: Sequence[tuple[str, Given]] = ()
    columns: Sequence[tuple[str, str]] = ()
    turned: set[str] = field(default_factory=set)
    _containers: dict[str, Container] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _sources: dict[str, Source] = field(default_factory=dict)

    def open(self, given: Given, role: str) -> Reader:
        """Return the array that was given for `role` (`pred`, `target`, `weight`, …).

        Raises: MissingFile, UnreadableFile, UnknownKey, ShapeMismatch; InputError for a folder of several formats.
        """
        return self._open(self._source(given), role)

    def _open(self, source: Source, role: str, spare: str = "") -> Reader:
        if source.literal is not None:
            return Memory(numbers(source.literal, f"The inline {role}"), source.text)
        for path in source.paths:
            self._with_name(path, source.key)
        if len(source.paths) == 1:
            return self._reader(self._container(source.paths[0]), source, role, spare)
        from lossctl.sources.layout import alike

        for path in alike({path: table.heading for path in source.paths if (table := self._table(path))}):
            self.turn(path, "as in the files beside it")
        return stacked([self._reader(self._container(path), source, role, spare) for path in source.paths], source)

    def _reader(self, container: Container, source: Source, role: str, spare: str) -> FileReader:
        taken = self._taken(container, role) if source.key == EVERY else {}
        taken |= {at: "--on" for at, name in enumerate(container.names or ()) if spare and spare in {name, f"#{at + 1}"}}
        picked = pick(container, source.key, role, self._say_once, taken)
        positions = picked.positions
        part = container.block(positions) if picked.block else container.part(positions[0])
        key = picked.key if container.names is not None else None
        name = source.text if len(source.paths) == 1 else container.stored.name
        names = [*(container.names or ())]
        columns = tuple(names[at] if names.count(names[at]) == 1 else at for at in positions) if names else ()
        how = container.how() | ({"columns": [names[at] for at in positions]} if picked.block and names else {})
        return FileReader(part, name, container.stored, key, how, columns)

    def _container(self, path: str) -> Container:
        if path not in self._containers:
            content = self._stored(path)
            container = opener(content, self.in_format)(content)
            if self.header and isinstance(container, TextTable):
                container = container.headed(Heading(self.header == "yes"))
            self._containers[path] = container
        return self._containers[path]

    def _table(self, path: str) -> TextTable | None:
        """The text table at a path, which alone may have a header."""
        container = self._container(path)
        return container if isinstance(container, TextTable) else None

    def _with_name(self, path: str, name: str | None) -> Container:
        """The file at a path; read with its first row as names, where `name` stands there and nothing speaks against it."""
        table = self._table(path)
        if name and table is not None and name not in table.names and _may_name(table, name):
            self.turn(path, f"since '{name}' is asked for")
        return self._container(path)

    def doubtful(self) -> dict[str, Heading]:
        """Return the headings of the opened tables whose first rows may be read either way."""
        tables = {path: container for path, container in self._containers.items() if isinstance(container, TextTable)}
        return {path: table.heading for path, table in tables.items() if table.heading.doubt != SURE}

    def turn(self, path: str, why: str) -> None:
        """Read a table with a header where it was read without, or the other way round. What was opened of it is void."""
        table = self._table(path)
        if table is not None:
            self._containers[path] = table.headed(Heading(not table.heading.header, table.heading.doubt, why))
            self.turned.add(path)

    def paths(self, given: Given) -> tuple[str, ...]:
        """Return the files of an input; none of what is written in place."""
        return self._source(given).paths

    def say_headings(self) -> None:
        """Say of each table whose first row may be read either way how it was, once."""
        for path, heading in self.doubtful().items():
            if heading.why and path not in self._told:
                from lossctl.sources.layout import sentence

                self._told.add(path)
                table = self._table(path)
                self.say(sentence(titled(path), table.first if table else (), heading))

    def _say_once(self, sentence: str) -> None:
        """Say what holds for several roles, or is found again when a file is read otherwise, once."""
        if sentence not in self._told:
            self._told.add(sentence)
            self.say(sentence)

    def _place(self, path: str) -> str:
        """A path however it was typed: `./a.csv` and the whole path are `a.csv`."""
        return path if is_address(path) or path == STDIN else os.path.realpath(Path(self.folder, path))

    def _taken(self, container: Container, role: str) -> dict[int, str]:
        """The columns of a file that other roles of the command use, each with what it is."""
        taken: dict[int, str] = {}
        names = container.names or ()
        beside = {flag: column for flag, column in self.columns if column and column in names}
        sources = [(f"the {other}", other, given) for other, given in self.uses if other != role and given.value is None]
        sources += [(flag, flag, Given(text=column)) for flag, column in self.columns if column and flag not in beside]
        for what, other, given in sources:
            try:
                source = self._source(given)
                if self._place(container.stored.name) in map(self._place, source.paths) and not GLOB & set(source.key or ""):
                    taken |= dict.fromkeys(pick(container, source.key, other, ignore).positions, what)
            except LossctlError:
                # It says so itself when it is opened.
                continue
        for flag, column in beside.items():
            taken |= {at: flag for at, name in enumerate(names) if name == column}
        return taken

    def _stored(self, path: str) -> Stored:
        if path != STDIN:
            return stored(Path(self.folder, path), path)
        if sys.stdin is None:
            raise MissingFile("Standard input is closed.", hint="Pipe a file into it, or name one.")
        with explained("Standard input"):
            return spooled(sys.stdin.buffer, STDIN)

    def open_joined(self, givens: Sequence[tuple[str, Given]], on: str) -> list[Reader]:
        """Return the array of each role, all in the order of the first one's column `on`; single numbers as they are.

        Raises: UnknownKey if a file has no such column; ShapeMismatch if ids are doubled or missing on either side.
        """
        from lossctl.sources import rows

        readers: list[Reader] = []
        first: tuple[str, list[str]] | None = None
        for role, given in givens:
            source = self._source(given)
            if isinstance(source.literal, int | float):
                readers.append(self._open(source, role))
                continue
            ids = self._ids(source, on)
            first = first or (source.text, ids)
            reader = self._open(source, role, spare=on)
            readers.append(ordered(reader, rows.order(_fitting(ids, reader), first[1], source.text, first[0])))
        return readers

    def seen(self, text: str) -> Seen | None:
        """Return what the files of a SOURCE are by their bytes; None for what is no file: a column, an array in place.

        Raises: MissingFile, UnreadableFile.
        """
        try:
            source = self._located(text)
        except LossctlError:
            return None
        return seen([self._container(path).stored for path in source.paths]) if source.paths else None

    def key(self, text: str) -> str | None:
        """Return the key of a SOURCE."""
        return self._located(text).key

    def check_rows(self, paired: Sequence[tuple[str, Given, int]], *, on: bool = True) -> list[str]:
        """Look whether inputs that are paired row by row hold ids in the same order; each a role, and how many rows it has.

        `on` says whether the command knows `--on`. Returns what a warning says of rows whose ids differ.
        Raises: RowsInAnotherOrder.
        """
        sources = [(role, self._source(given), rows) for role, given, rows in paired]
        if len({source.paths for _, source, _ in sources if source.paths}) < 2:  # noqa: PLR2004 - one file has one order
            return []
        tables: dict[tuple[str, ...], list[tuple[str, Source, int]]] = {}
        for role, source, rows in sources:
            if source.paths and all(self._container(path).names for path in source.paths):
                tables.setdefault(source.paths, []).append((role, source, rows))
        if len(tables) < 2:  # noqa: PLR2004 - and arrays without names have no ids
            return []
        from lossctl.sources.rows import Side, check

        sides = [
            Side(
                _without_key(inputs[0][1]),
                [self._container(path) for path in paths],
                frozenset().union(*(self._used(source, role) for role, source, _ in inputs)),
                inputs[0][2],
            )
            for paths, inputs in tables.items()
        ]
        return check(sides, self.say, on=on)

    def _used(self, source: Source, role: str) -> set[str]:
        """The names of the columns that an input takes from its file."""
        container = self._container(source.paths[0])
        try:
            picked = pick(container, source.key, role, ignore)
        except LossctlError:
            return set()
        used = {(container.names or ())[position] for position in picked.positions}
        # An id among features is still an id.
        return {name for name in used if not names_id(name)} if role == "features" else used

    def listed(self, text: str) -> list[Contents]:
        """Return what each file of a SOURCE holds, or what its key names there.

        Raises: MissingFile, UnreadableFile, UnknownKey.
        """
        from lossctl.sources.listing import Contents, Listed, contents

        source = self._located(text)
        if source.literal is not None:
            reader = Memory(numbers(source.literal, "The inline array"), source.text)
            return [Contents([Listed(source.text, None, None, reader)])]
        listed = []
        for path in source.paths:
            container = self._with_name(path, source.key)
            listed.append(contents(container, source.key, partial(self._again, container), self.say))
        self.say_headings()
        return listed

    def _again(self, container: Container) -> Container:
        """Open a file anew, and read its first row in the same way."""
        again = opener(container.stored, self.in_format)(container.stored)
        if isinstance(again, TextTable) and isinstance(container, TextTable):
            return again.headed(container.heading)
        return again

    def _source(self, given: Given) -> Source:
        return Source(shown(given.value), literal=given.value) if given.value is not None else self._located(given.text)

    def _located(self, text: str) -> Source:
        if text not in self._sources:
            source = locate(text, self.folder)
            if self.saved:
                self._check_saved(source)
            if not all(Path(self.folder, path).is_file() for path in source.paths):
                from lossctl.sources.folders import expanded

                source = expanded(source, self.folder, self.in_format)
            self._sources[text] = source
        return self._sources[text]

    def _check_saved(self, source: Source) -> None:
        """Refuse what only somebody who typed it may mean.

        Raises: UsageError.
        """
        for path in source.paths:
            if path == STDIN:
                message = f"{self.saved} was computed from standard input, which cannot be read again."
                raise UsageError(message, hint="Save it to a file, and compute from that.")
            if is_address(path) and not self.allow_remote:
                message = f"{self.saved} was computed from {source.text}, and no file reaches a network by itself."
                raise UsageError(message, hint="If you trust the address, use --allow-remote.")
            if not is_address(path) and exists(Path(self.folder, path)) and not _lies(Path(self.folder, path)):
                message = f"{self.saved} was computed from {path}, neither a file nor a folder, which cannot be read again."
                raise UsageError(message, hint="Save it to a file, and compute from that.")

    def _ids(self, source: Source, on: str) -> list[str]:
        if source.literal is not None:
            message = f"{source.text} is written in place and has no column '{on}' to join on."
            raise UnknownKey(message, hint=f"With --on every array comes from a file with a column '{on}'.")
        from lossctl.sources import rows

        ids = self._held(source, on)
        comparable = rows.normal(ids)
        rows.unique(comparable, source.text, on)
        return comparable

    def _held(self, source: Source, on: str) -> list[str]:
        """All ids of a source, as far as there is memory for them.

        Raises: TooLarge.
        """
        ids: list[str] = []
        for path in source.paths:
            for part in self._column(self._with_name(path, on), on).texts():
                ids += part
                if len(ids) * ID > self.max_memory > 0:
                    message = (
                        f"--on holds the ids of all rows, about {ID} bytes a row, and {source.text} has {len(ids):,} or more."
                    )
                    need = f"--max-memory {self.max_memory / 2**19:.0f}"
                    raise TooLarge(message, hint=f"Allow more with {need}, or sort files alike and leave --on out.")
        return ids

    def _column(self, container: Container, column: str) -> Labels:
        if container.names is None:
            message = f"{container.stored.name} has no column '{column}': {container.noun} holds one array."
            raise UnknownKey(message, hint=f"Use tables that have a column '{column}', or name another.")
        return _labels(container, named(container, container.names, column).positions[0])

    def labels(self, text: str, beside: Given, on: str = "", first: Given | None = None) -> list[str]:
        """Return groups as text: a column of the table that `beside` comes from, else those of the SOURCE `text`.

        Where inputs are joined on a column, so are the groups, in the order of `first` or else of `beside`.

        Raises: UnknownKey if it is neither; what `open` raises.
        """
        source, columns = self._labels(text, beside)
        texts = [text for column in columns for part in column.texts() for text in part]
        return self._joined(texts, source, first or beside, on)

    def groups(self, text: str, beside: Given) -> tuple[list[str], Any]:
        """Return the names of groups in sorted order, and the number of each sample's, without holding their labels.

        Raises: as `labels`.
        """
        from lossctl.sources.codes import numbered

        return numbered(piece for column in self._labels(text, beside)[1] for piece in column.pieces())

    def label_paths(self, text: str, inputs: Sequence[Given]) -> tuple[str, ...]:
        """Return the files that groups come from: those of the first input that has such a column, or their own."""
        for beside in inputs:
            try:
                return self._labels(text, beside)[0].paths
            except UnknownKey:
                continue
        return ()

    def is_beside(self, text: str, beside: Given) -> bool:
        """Whether `text` is a column of the table that `beside` comes from."""
        tables = self._beside(beside, text)
        return bool(tables) and all(text in (table.names or ()) or _is_place(text, table) for table in tables)

    def _beside(self, given: Given, text: str) -> list[Container]:
        return [] if given.value is not None else [self._with_name(path, text) for path in self._located(given.text).paths]

    def _labels(self, text: str, beside: Given) -> tuple[Source, list[Labels]]:
        tables = self._beside(beside, text)
        if self.is_beside(text, beside):
            return self._source(beside), [self._column(table, text) for table in tables]
        try:
            source = self._located(text)
        except UsageError:
            raise
        except LossctlError as error:
            known = [name for table in tables for name in table.names or ()]
            message = f"'{text}' is neither a column beside '{beside.text}' nor a file."
            raise UnknownKey(message, hint=near(text, known, "columns")) from error
        if source.literal is not None:
            from lossctl.sources.codes import Labels
            from lossctl.sources.tree import texts

            return source, [Labels(literal=texts(source.literal, source.text))]
        return source, [self._own_labels(self._with_name(path, source.key), source) for path in source.paths]

    def _joined(self, labels: list[str], source: Source, first: Given, on: str) -> list[str]:
        """Labels of a source in the order of the first input's ids."""
        if not on or source.text == first.text:
            return labels
        from lossctl.sources import rows

        order = rows.order(self._ids(source, on), self._ids(self._source(first), on), source.text, first.text)
        return [labels[index] for index in order]

    def _own_labels(self, container: Container, source: Source) -> Labels:
        names = container.names
        if names is None:
            return _labels(container, pick(container, source.key, "by", self.say).positions[0])
        if source.key is None and len(names) != 1:
            message = f"{container.stored.name} has {len(names)} {container.noun}s, and none is named."
            raise UnknownKey(message, hint=near("by", names, f"{container.noun}s"))
        picked = named(container, names, source.key) if source.key is not None else Picked((0,))
        return _labels(container, picked.positions[0])


def _without_key(source: Source) -> str:
    return source.text.removesuffix(f":{source.key}").removesuffix(":") if source.key else source.text


def _lies(path: Path) -> bool:
    return path.is_file() or path.is_dir()


def _may_name(table: TextTable, name: str) -> bool:
    """Whether a name stands in the first row, which was taken for a sample, and nothing speaks against names."""
    return not table.heading.header and table.heading.doubt != SURE and name in map(str.strip, table.first)


def _is_place(text: str, container: Container) -> bool:
    """Whether `#3` is a column by its position."""
    return text.startswith("#") and text[1:].isdecimal() and 0 < int(text[1:]) <= len(container.names or ())


def _labels(container: Container, position: int) -> Labels:
    from lossctl.sources.codes import Labels

    return Labels(container, position)


def _fitting(ids: list[str], reader: Reader) -> list[str]:
    if reader.shape[:1] != (len(ids),):
        message = f"{reader.name} has shape {reader.shape}, but there are {len(ids)} ids beside it."
        raise ShapeMismatch(message, hint="With --on the first axis has one element for each id.")
    return ids
