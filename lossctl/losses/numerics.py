"""What losses calculate with, in the array API standard: each takes the namespace first and any array after it.

Deviances and divergences of nearly equal numbers are differences of second order: computed as they are written, they are
rounding, or negative. Near 1 a series takes the place of the formula, so that nothing cancels, and everywhere else the formula
stands. Where a number is 0 the derivative may be infinite; it is that from inside the domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from lossctl.losses.loss import Array

# Whole numbers as wide as a float, whose bits masks can be laid over.
BITS = {"d": "int64", "f": "int32"}
# Axes of an array of rows.
MATRIX = 2


def is_numpy(x: Any) -> bool:
    """Whether an array is NumPy's, and the namespace with it; what losses are is known without importing it."""
    kind = type(x)
    return kind.__name__ == "ndarray" and kind.__module__ == "numpy"


def followed(x: Any) -> bool:
    """Whether torch follows gradients through an array or a parameter."""
    return bool(getattr(x, "requires_grad", False))


def held(xp: Any, x: Array) -> Array:  # noqa: ARG001 - every function here takes the namespace first
    """The array as a constant: torch follows gradients, others do not."""
    return x.detach() if hasattr(x, "detach") else x


def raised(xp: Any, x: Array, least: float) -> Array:
    """max(x, least), whose derivative is 1 also where it is `least`: torch raises variances unseen by its gradients."""
    if not followed(x):
        return at_least(xp, x, least)
    return xp.where(x < least, x - held(xp, x) + least, x)


def at_least(xp: Any, x: Array, least: float) -> Array:
    """max(x, least); NumPy clips at two ends in half the time that it takes for one."""
    return xp.clip(x, least, xp.inf)


def at_most(xp: Any, x: Array, most: float) -> Array:
    """min(x, most)."""
    return xp.clip(x, -xp.inf, most)


def either(xp: Any, condition: Array, yes: Array, no: Array) -> Array:
    """`where` for two floats of one shape and a condition that changes from element to element.

    NumPy's branches for each, and with every wrong guess of the processor it waits: four times as long as laying masks over
    bits takes.
    """
    if not is_numpy(yes) or not is_numpy(no) or yes.dtype != no.dtype or yes.dtype.char not in BITS:
        return xp.where(condition, yes, no)
    kind = BITS[yes.dtype.char]
    one, other = yes.view(kind), no.view(kind)
    return (((one ^ other) & -condition.astype(kind)) ^ other).view(yes.dtype)


def log_softmax(xp: Any, scores: Array, axis: int) -> Array:
    """Logarithm of the softmax along `axis`."""
    shifted, total = log_softmax_parts(xp, scores, axis)
    return shifted - total


def nowhere_nan(xp: Any, value: Array) -> bool:
    """Whether an array surely holds no NaN; where asking would mean waiting for a GPU, it may."""
    if getattr(getattr(value, "device", None), "type", "cpu") != "cpu":
        return False
    return not math.isnan(float(xp.sum(held(xp, value))))


def growing(xp: Any, value: Array, lone: Callable[[], Array]) -> Array:
    """The value, and inf where it is infinity less infinity and `lone()` says that one of the two inputs alone is infinite.

    Derivatives are those of the formula, which exist there.
    """
    if followed(value) or nowhere_nan(xp, value):
        return value
    return xp.where(lone() & xp.isnan(value), xp.full_like(value, xp.inf), value)


def times(xp: Any, x: Array, y: Array, *, steep: bool = False) -> Array:
    """The product x y, and 0 where x is 0 and y infinite, as a masked class whose probability is 0 counts for nothing.

    Its derivative by x is 0 there, or as infinite as y if it is `steep`; that by y is x.
    """
    if not (followed(x) or followed(y)):
        with_nan = x * y
        if nowhere_nan(xp, with_nan):
            return with_nan
    nothing = (x == 0) & xp.isinf(y)
    product = x * xp.where(nothing, xp.zeros_like(y), y)
    if not (steep and followed(x)):
        return product
    # The root has an infinite derivative at 0.
    root = xp.sqrt(xp.where(nothing, x, xp.ones_like(x)))
    return product + xp.where(nothing, xp.sign(held(xp, y)) * root, xp.zeros_like(product))


def probable(xp: Any, log_p: Array, log_q: Array) -> Array:
    """Give p (ln p - ln q) of logarithms, and 0 where p is 0."""
    nothing = log_p == -xp.inf
    zero = xp.zeros_like(log_p)
    gap = xp.where(nothing, zero, log_p) - xp.where(nothing, zero, log_q)
    return xp.exp(log_p) * gap


def scaled(xp: Any, number: float, value: Array) -> Array:
    """A number times a value, and 0 where the number is 0, whatever the value is."""
    return number * value if followed(number) or number else xp.zeros_like(value)


def log_softmax_parts(xp: Any, scores: Array, axis: int) -> tuple[Array, Array]:
    """What the logarithm of the softmax is the difference of.

    Scores less their maximum, so that large ones do not overflow, and the logarithm of the sum of their exponentials, with
    `axis` kept.
    """
    shifted = scores - xp.max(scores, axis=axis, keepdims=True)
    return shifted, xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


def picked(xp: Any, rows: Array, index: Array) -> Array:
    """The entry at each index along axis 1, which is left out; NumPy finds it in half the time where rows lie flat."""
    if not is_numpy(rows) or rows.ndim != MATRIX or not (rows.flags.c_contiguous or rows.flags.f_contiguous):
        return xp.squeeze(xp.take_along_axis(rows, xp.expand_dims(index, axis=1), axis=1), axis=1)
    count, classes = rows.shape
    if rows.flags.c_contiguous:
        return rows.reshape(-1).take(index + xp.arange(0, count * classes, classes))
    return rows.T.reshape(-1).take(index * count + xp.arange(count))


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
    return bend(xp, x) + relu(xp, x)


def bend(xp: Any, x: Array) -> Array:
    """log(1 + e^-|x|): what softplus(x) is above max(x, 0), to be added last, lest a certain score lose it in rounding."""
    return log_of_one_and(xp, xp.exp(-xp.abs(x)))


def log_of_one_and(xp: Any, x: Array) -> Array:
    """log(1 + x).

    Where NumPy has no vectors for log1p, but for log, what 1 + x has lost in rounding is put right instead (Kahan): both are
    exact to some units in the last place, and in float32 this takes a third of the time.
    """
    if not is_numpy(x) or not slow_log1p(x.dtype.char):
        return xp.log1p(x)
    with xp.errstate(all="ignore"):
        whole = 1 + x
        value = xp.log(whole) + (x - (whole - 1)) / whole
    return xp.log1p(x) if xp.isnan(value).any() else value


@cache
def slow_log1p(kind: str) -> bool:
    """Whether NumPy works out log1p one by one on this processor, and log many at once: on x86 without AVX-512."""
    from numpy.lib.introspect import opt_func_info

    result = opt_func_info(func_name="^(log|log1p)$", signature={"d": "^float64$", "f": "^float32$"}.get(kind, "^$"))
    one_by_one = {name: all(way["current"].startswith("baseline") for way in ways.values()) for name, ways in result.items()}
    return one_by_one.get("log1p", False) and not one_by_one.get("log", True)


def binary_cross_entropy(xp: Any, plain: Callable[[Array], Array], x: Array, target: Array, positive: Array | float) -> Array:
    """`plain(x)`, and where x is infinite the limit of positive t log(1 + e^-x) + (1 - t) log(1 + e^x)."""
    value = plain(x)
    if nowhere_nan(xp, value):
        return value
    infinite = xp.isinf(x)
    right, wrong = softplus(xp, -x), softplus(xp, x)
    limit = times(xp, positive * target, right, steep=True) + times(xp, 1 - target, wrong, steep=True)
    return xp.where(infinite, limit, plain(xp.where(infinite, xp.zeros_like(x), x)))


def sigmoid(xp: Any, x: Array) -> Array:
    """1 / (1 + e^-x), exact also where it is tiny; a gradient must not meet the overflow of e^-x."""
    if not followed(x):
        return 1 / (1 + xp.exp(-x))
    return xp.exp(-softplus(xp, -x))


def relu(xp: Any, x: Array) -> Array:
    """max(x, 0), with derivative 1/2 at 0, as torch's maximum has it: it makes softplus smooth there."""
    return xp.maximum(x, xp.zeros_like(x)) if followed(x) else at_least(xp, x, 0)


def square_root(xp: Any, x: Array) -> Array:
    """The square root, with derivative 0 at 0, so that a perfect fit has a gradient."""
    if not followed(x):
        return xp.sqrt(x)
    nothing = x == 0
    return xp.where(nothing, xp.zeros_like(x), xp.sqrt(xp.where(nothing, xp.ones_like(x), x)))


def power(xp: Any, base: Array, exponent: float) -> Array:
    """A power of what is not negative; where that is 0 its derivative is not infinite below exponent 1, but 0."""
    if not (0 < exponent < 1 and followed(base)):
        return base**exponent
    nothing = base == 0
    return xp.where(nothing, xp.zeros_like(base), xp.where(nothing, xp.ones_like(base), base) ** exponent)


def share(xp: Any, part: Array, whole: Array) -> Array:
    """Give part / whole, and 0 where both are 0."""
    if is_numpy(part):
        with xp.errstate(all="ignore"):
            plain = part / whole
        if not xp.isnan(plain).any():
            return plain
    nothing = (part == 0) & (whole == 0)
    return xp.where(nothing, xp.zeros_like(part), part / xp.where(nothing, xp.ones_like(whole), whole))


def steep(xp: Any, x: Array, where: Array) -> Array | float:
    """0, whose derivative by x is infinite where the condition holds: that of a root at 0."""
    if not followed(x):
        return 0.0
    root = xp.sqrt(xp.where(where, x - held(xp, x), xp.ones_like(x)))
    return xp.where(where, root, xp.zeros_like(root))


def x_log_y(xp: Any, x: Array, y: Array) -> Array:
    """Give x log(y), and 0 where x is 0 unless y is NaN; its derivative by x there is log(y), also where that is infinite."""
    if is_numpy(x):
        # Where x is 0, 1 + y has a finite logarithm, unless y is infinite or negative; only then is a closer look needed.
        with xp.errstate(all="ignore"):
            plain = x * xp.log(y + (x == 0).astype(y.dtype))
        if not xp.isnan(plain).any():
            return plain
    nothing = (x == 0) & ~xp.isnan(y) & ~((y > 0) & (y < xp.inf))
    plain = x * xp.log(xp.where(nothing, xp.ones_like(y), y))
    return xp.where(nothing, xp.zeros_like(x), plain) - steep(xp, x, nothing & (y == 0))


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


# Ratios this near to 1, less 1, are taken from the series, whose terms are coefficients of r^2 with r = x / (2 + x).
NEAR = 0.1
ODD = tuple(1 / k for k in range(3, 17, 2))
# Terms of the entropy of two halves, of d^2: 1 / (k (2 k - 1)).
HALVES = tuple(1 / (k * (2 * k - 1)) for k in range(1, 10))
# Terms of e^y - 1 - y beyond y^2: 1 / (k + 2)!.
SMALL_EXPONENT, FACTORIALS = 0.5, 14
# Powers this near to 0 and 1 divide by so little that far ratios need the stable form too.
NEAR_POWER = 1e-2
# The logarithm of what is larger is nothing beside it.
NEGLIGIBLE = 1e30
LN2 = 0.6931471805599453
SMALLEST_NORMAL = 2.2250738585072014e-308


def polynomial(terms: tuple[float, ...], x: Array) -> Array:
    """terms[0] + terms[1] x + ..., by Horner's rule."""
    total = terms[-1] + 0 * x
    for term in reversed(terms[:-1]):
        total = term + x * total
    return total


def log_ratio(xp: Any, x: Array, y: Array) -> Array:
    """The logarithm of x / y of what is above 0, also where the ratio is no normal number."""
    ratio = x / y
    odd = ~((ratio >= SMALLEST_NORMAL) & (ratio < xp.inf))
    if is_numpy(x) and not odd.any():
        return xp.log(ratio)
    one = xp.ones_like(ratio)
    apart = xp.log(xp.where(odd, x, one)) - xp.log(xp.where(odd, y, one))
    return xp.where(odd, apart, xp.log(xp.where(odd, one, ratio)))


def near_log(xp: Any, x: Array) -> Array:  # noqa: ARG001 - every function here takes the namespace first
    """What x is beyond ln(1 + x) near 0, from ln(1 + x) = 2 artanh(r) with r = x / (2 + x)."""
    r = x / (2 + x)
    return r * (x - 2 * r * r * polynomial(ODD, r * r))


def log_excess(xp: Any, x: Array) -> Array:
    """Give x - ln(1 + x), never below 0."""
    near = xp.abs(x) < NEAR
    nothing = xp.zeros_like(x)
    far = xp.where(near, nothing, x)
    return either(xp, near, near_log(xp, xp.where(near, x, nothing)), far - xp.log1p(at_most(xp, far, NEGLIGIBLE)))


def exp_excess(xp: Any, y: Array) -> Array:
    """What e^y is beyond 1 + y, never below 0."""
    near = xp.abs(y) < SMALL_EXPONENT
    nothing = xp.zeros_like(y)
    small, far = xp.where(near, y, nothing), xp.where(near, nothing, y)
    terms, factor = [0.5], 2
    for k in range(1, FACTORIALS):
        factor *= k + 2
        terms.append(1 / factor)
    return either(xp, near, small * small * polynomial(tuple(terms), small), xp.expm1(far) - far)


def entropy_unit(xp: Any, x: Array, y: Array) -> Array:
    """Give x ln(x / y) - x + y, never below 0; y where x is 0, and infinite where y alone is."""
    gap = y - x
    nothing = x == 0
    near = (xp.abs(gap) < NEAR * x) & ~nothing
    one, none = xp.ones_like(gap), xp.zeros_like(gap)
    if is_numpy(x) and near.all():
        return x * near_log(xp, gap / x)
    apart = ~near & ~nothing
    barred = apart & (y == 0)
    ratio = log_ratio(xp, xp.where(apart, x, one), xp.where(apart & ~barred, y, one))
    far = xp.where(apart, x * ratio, none) + gap
    value = xp.where(near, x * near_log(xp, xp.where(near, gap, none) / xp.where(near, x, one)), far)
    # Infinite, and as steep: 1 / y has the derivative by y that x ln(x / y) has not.
    value = xp.where(barred, x / xp.where(barred, y, one), value)
    return growing(xp, value - steep(xp, x, nothing), lambda: xp.isinf(gap))


def gamma_excess(xp: Any, x: Array, y: Array) -> Array:
    """Give x / y - 1 - ln(x / y) of what is above 0, never below 0."""
    rest = (x - y) / y
    near = xp.abs(rest) < NEAR
    one = xp.ones_like(rest)
    if is_numpy(rest) and near.all():
        return near_log(xp, rest)
    far = rest - log_ratio(xp, xp.where(near, one, x), xp.where(near, one, y))
    far = growing(xp, far, lambda: xp.isinf(x) != xp.isinf(y))
    return xp.where(near, near_log(xp, xp.where(near, rest, xp.zeros_like(rest))), far)


def halves_excess(xp: Any, x: Array, y: Array) -> Array:
    """(x ln(x / m) + y ln(y / m)) / 2 with m = (x + y) / 2, never below 0."""
    middle = 0.5 * (x + y)
    one = xp.ones_like(middle)
    near = xp.abs(x - y) < 2 * NEAR * middle
    share = xp.where(near, 0.5 * (x - y), xp.zeros_like(middle)) / xp.where(near, middle, one)
    close = 0.5 * middle * share * share * polynomial(HALVES, share * share)
    far = 0.5 * (_part(xp, x, middle, ~near) + _part(xp, y, middle, ~near))
    # Nothing on both sides: what one of them gains is shared with its middle.
    neither = middle == 0
    value = xp.where(near, close, far)
    return xp.where(neither, LN2 / 2 * (x + y), value) if followed(x) or followed(y) else value


def _part(xp: Any, x: Array, middle: Array, where: Array) -> Array:
    """Give x ln(x / middle) where the condition holds, and 0 where x is 0."""
    one = xp.ones_like(x)
    nothing = (x == 0) & where
    kept = where & ~nothing
    value = xp.where(kept, x, xp.zeros_like(x)) * log_ratio(xp, xp.where(kept, x, one), xp.where(kept, middle, one))
    return value - steep(xp, x, nothing & (middle > 0))


def root_gap(xp: Any, x: Array, y: Array) -> Array:
    """(sqrt(x) - sqrt(y))^2, never below 0; x + y, and its derivatives, where both are 0."""
    one = xp.ones_like(x)
    neither = (x == 0) & (y == 0)
    apart = (x - y) / (xp.sqrt(xp.where(neither, one, x)) + xp.sqrt(xp.where(neither, one, y)))
    return xp.where(neither, x + y, apart * apart)


def power_excess(xp: Any, x: Array, y: Array, a: float, b: float) -> Array:
    """((x / y)^a - 1 - a (x / y - 1)) / (a b) of what is above 0, with b = a - 1: never below 0, also for a near 0 and 1."""
    rest = (x - y) / y
    one, nothing = xp.ones_like(rest), xp.zeros_like(rest)
    small, near = xp.abs(rest) < NEAR, xp.abs(rest) < SMALL_EXPONENT
    tiny = xp.where(small, rest, nothing)
    away = log_ratio(xp, xp.where(near, one, x), xp.where(near, one, y))
    log = xp.where(near, xp.log1p(xp.where(near, rest, nothing)), away)
    beyond = near_log(xp, tiny)
    if a < SMALL_EXPONENT:
        return (exp_excess(xp, a * log) / a - xp.where(small, beyond, rest - log)) / b
    whole = x / y
    entropy = xp.where(small, tiny * tiny - whole * beyond, whole * log - rest)
    return (entropy + whole * exp_excess(xp, b * log) / b) / a
