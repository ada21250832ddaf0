"""What a format of chunks knows of a file: row groups, record batches, and the columns in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lossctl.files.leaves import Leaf

# Arrow arrays of each column, by its position, one after another; and a range of rows.
Arrays = dict[int, list[Any]]
Span = tuple[int, int]


class Source(Protocol):
    """What a format knows of a file; `what` is what messages call it."""

    what: ClassVar[str]

    @property
    def leaves(self) -> Sequence[Leaf]:
        """The columns."""

    @property
    def sizes(self) -> Sequence[int]:
        """The number of rows of each chunk."""

    @property
    def in_place(self) -> bool:
        """Whether a range of a chunk costs no more than its own bytes."""

    def chunk(self, number: int, positions: Sequence[int], span: Span | None = None) -> Arrays:
        """Return columns of one chunk as Arrow arrays; only `span` of its rows if they are in place."""

    def batches(self, positions: Sequence[int], rows: int) -> Iterator[Arrays]:
        """Yield columns from front to end, about `rows` rows at a time where the format can."""

    @property
    def one_way(self) -> bool:
        """Whether chunks come only one after another."""

    def nulls(self, position: int) -> bool | None:
        """Whether a column holds nulls; None if only its data can tell."""

    def is_even(self, position: int, width: int) -> bool:
        """Whether a column of lists seems to have `width` values in each row; False if only its data can tell."""
