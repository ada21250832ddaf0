"""`--backend auto` settled: once the inputs are open, and before anything is computed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lossctl.binding import Bound
    from lossctl.spec import Spec

SAID = "--backend auto takes torch: with so many elements it saves more than importing it costs"


def settled(spec: Spec, bounds: Iterable[Bound], say: Callable[[str], None]) -> Spec:
    """The spec with the backend that is done first with these losses: what signatures name is what computed."""
    if spec.options.backend != "auto":
        return spec
    from lossctl.costs import cheaper

    backend = cheaper(bounds, spec.options)
    if backend != "numpy":
        say(SAID)
    return replace(spec, options=replace(spec.options, backend=backend))
