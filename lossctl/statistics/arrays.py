"""What every test asks of its arrays: finite numbers in rows of samples, and one row for each cluster if there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lossctl.errors import NotFinite, NothingLeft, ShapeMismatch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = "NDArray[np.float64]"


def columns(values: ArrayLike, what: str = "differences") -> Floats:
    """Return float64 values of shape (n, k); a single column may come as (n,).

    Raises: ShapeMismatch for other shapes, NothingLeft without samples, NotFinite for NaN and infinity.
    """
    found = np.asarray(values, np.float64)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2:  # noqa: PLR2004 - samples and columns
        message = f"The {what} have the shape {found.shape}, and samples by columns are needed."
        raise ShapeMismatch(message)
    if not found.size:
        message = f"There are no {what} to compare."
        raise NothingLeft(message, hint="Give at least one sample that all systems have.")
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found).all(axis=1)))
        message = f"The {what} of sample {row} are not finite."
        raise NotFinite(message, hint="Leave such samples out of all systems alike.")
    return found


def totals(values: Floats) -> Floats:
    """Sum each column of values (n, k) pairwise, by itself: next to others it has the same sum to the last bit."""
    sums: Floats = np.array([np.sum(column) for column in np.ascontiguousarray(values.T)])
    return sums


def units(values: Floats, clusters: ArrayLike | None) -> Floats:
    """Return one row for each unit of chance: the samples themselves, or the sums of each cluster in order of its code.

    `values` has the shape (n, k), `clusters` the shape (n,) of integers. Raises: ShapeMismatch for codes of another length.
    """
    if clusters is None:
        return values
    codes, count = numbered(clusters, len(values))
    return np.stack([np.bincount(codes, column, count) for column in values.T], axis=1)


def numbered(clusters: ArrayLike, samples: int) -> tuple[NDArray[Any], int]:
    """Return the clusters numbered from 0 in order of their codes, and how many there are."""
    codes = np.asarray(clusters)
    if codes.shape != (samples,):
        message = f"There are {samples} samples and cluster codes of the shape {codes.shape}: one for each is needed."
        raise ShapeMismatch(message)
    known, numbers = np.unique(codes, return_inverse=True)
    return numbers, len(known)
