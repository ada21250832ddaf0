"""What `--domain ignore` has let in: how many values, and where the first of them stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lossctl.advice.sight import Sight, trap
from lossctl.blocks import BLOCK
from lossctl.values import bounded, outside

if TYPE_CHECKING:
    from lossctl.binding import Slot


@trap("L063", "values that the loss is not defined on")
def undefined(sight: Sight) -> str:
    """--domain ignore computes the formula as it stands, also of values that the loss is not defined on: probabilities
    above 1, variances below 0, labels other than those that its words name. The number that comes out is no value of that
    loss. Without the option such values are an error.
    """
    if sight.options.domain != "ignore":
        return ""
    slots = (slot for slot in sight.bound.slots if not slot.input.word.index and bounded(slot, sight.bound))
    return "; ".join(filter(None, map(_found, slots)))


def _found(slot: Slot) -> str:
    """All of one input is looked at, since the one value that is wrong may be the last."""
    count, first, domain = 0, "", slot.input.word.domain
    length, axis = (slot.reader.shape[slot.axis or 0] if slot.reader.shape else 1), slot.axis or 0
    rows = max(1, BLOCK * length // max(1, int(np.prod(slot.reader.shape))))
    for start in range(0, length, rows):
        array = slot.reader.read(start, min(start + rows, length), axis)
        wrong = outside(array, domain)
        if wrong.any() and not count:
            where = [int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape)]
            first = f"{float(array[tuple(where)]):g}"
            if where:
                where[axis] += start
                first = f"{first} at {slot.reader.place(tuple(where))}"
        count += int(wrong.sum())
    if not count:
        return ""
    some = f"{count} value{'' if count == 1 else 's'}"
    return f"{slot.input.name} ({slot.reader.name}) has {some} outside of {domain.says}, first {first}: computed as it stands"
