"""What losses calculate with, in the array API standard: each takes the namespace first and any array after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossctl.signature import Array


def followed(x: Any) -> bool:
    """Whether torch follows gradients through an array or a parameter."""
    return bool(getattr(x, "requires_grad", False))


def held(xp: Any, x: Array) -> Array:  # noqa: ARG001 - every function here takes the namespace first
    """The array as a constant: torch follows gradients, others do not."""
    return x.detach() if hasattr(x, "detach") else x


def raised(xp: Any, x: Array, least: float) -> Array:
    """max(x, least), whose derivative is 1 also where it is `least`: torch raises variances unseen by its gradients."""
    if not followed(x):
        return xp.clip(x, least, None)
    return xp.where(x < least, x - held(xp, x) + least, x)


def log_softmax(xp: Any, scores: Array, axis: int) -> Array:
    """Logarithm of the softmax along `axis`, shifted by the maximum so that large scores do not overflow."""
    shifted = scores - xp.max(scores, axis=axis, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


def log_sum_exp(xp: Any, scores: Array, axis: int) -> Array:
    """Logarithm of the sum of exponentials along `axis`; -inf, with gradient 0, where every score is -inf."""
    highest = xp.max(scores, axis=axis, keepdims=True)
    shift = xp.where(xp.isinf(highest), xp.zeros_like(highest), highest)
    total = xp.sum(xp.exp(scores - shift), axis=axis, keepdims=True)
    nothing = total == 0
    logs = xp.log(xp.where(nothing, xp.ones_like(total), total)) + shift
    return xp.squeeze(xp.where(nothing, xp.full_like(logs, -xp.inf), logs), axis=axis)


def softplus(xp: Any, x: Array) -> Array:
    """log(1 + e^x) without overflow."""
    return xp.log1p(xp.exp(-xp.abs(x))) + relu(xp, x)


def sigmoid(xp: Any, x: Array) -> Array:
    """1 / (1 + e^-x) without overflow, and exact also where it is tiny."""
    return xp.exp(-softplus(xp, -x))


def relu(xp: Any, x: Array) -> Array:
    """max(x, 0), with torch's derivative 0 at 0."""
    return xp.maximum(x, xp.zeros_like(x))


def square_root(xp: Any, x: Array) -> Array:
    """The square root, with derivative 0 at 0, so that a perfect fit has a gradient."""
    nothing = x == 0
    return xp.where(nothing, xp.zeros_like(x), xp.sqrt(xp.where(nothing, xp.ones_like(x), x)))


def power(xp: Any, base: Array, exponent: float) -> Array:
    """A power of what is not negative; where that is 0 its derivative is not infinite below exponent 1, but 0."""
    if not 0 < exponent < 1:
        return base**exponent
    nothing = base == 0
    return xp.where(nothing, xp.zeros_like(base), xp.where(nothing, xp.ones_like(base), base) ** exponent)


def share(xp: Any, part: Array, whole: Array) -> Array:
    """Give part / whole, and 0 where both are 0."""
    nothing = (part == 0) & (whole == 0)
    return xp.where(nothing, xp.zeros_like(part), part / xp.where(nothing, xp.ones_like(whole), whole))


def x_log_y(xp: Any, x: Array, y: Array) -> Array:
    """Give x log(y), and 0 where x is 0 unless y is NaN."""
    nothing = (x == 0) & ~xp.isnan(y)
    one = xp.ones_like(y)
    return xp.where(nothing, xp.zeros_like(x), x * xp.log(xp.where(nothing, one, y)))


def norm(xp: Any, x: Array, p: float, axis: int) -> Array:
    """The p-norm along `axis`; p = 0 counts what is not zero, p = inf takes the largest.

    The gradient at a vector of zeros is 0, as in torch.linalg.vector_norm.
    """
    size = xp.abs(x)
    if p == 0:
        return xp.sum(xp.astype(x != 0, x.dtype), axis=axis)
    if p == float("inf"):
        return xp.max(size, axis=axis)
    if p == 1 and not followed(p):
        return xp.sum(size, axis=axis)
    if p == 2 and not followed(p):  # noqa: PLR2004 - the Euclidean norm has a square root of its own
        return square_root(xp, xp.sum(x * x, axis=axis))
    return power(xp, xp.sum(power(xp, size, p), axis=axis), 1 / p)
