"""What logarithms, exponentials and powers have beyond their straight parts, without cancellation.

Deviances and divergences of nearly equal numbers are such differences of second order: computed as they are written, they are
rounding, or negative. Near 1 a series takes their place, and everywhere else the formula as it stands. Where a number is 0
their derivative may be infinite; it is that from inside the domain.
"""

from typing import Any

from lossctl.numerics import at_most, either, followed, growing, is_numpy, steep
from lossctl.words import Array

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
