"""Losses of whole images."""

from typing import Any

from lossctl.loss import Terms, loss
from lossctl.words import Array, NonNegative, Positive, Real


def minus_decibels(xp: Any, sums: Terms, *, max_val: float, eps: float) -> Array:
    """Take the logarithm once, after all squares are pooled."""
    return -10 * xp.log10(max_val**2 / xp.clip(sums["square"] / sums["weight"], eps, None))


@loss(
    "image",
    source="ITU-T J.340; kornia.losses.psnr_loss",
    finish=minus_decibels,
    reductions=("mean",),
    aliases=("negative_psnr", "peak_signal_to_noise_ratio_loss"),
)
def psnr_loss(xp, pred: Real, target: Real, *, max_val: Positive = 1.0, eps: NonNegative = 1e-12) -> Terms:  # noqa: ARG001
    """Minus the peak signal-to-noise ratio in decibels, of the squared error pooled over everything that is given.

    formula: -10 log10(max_val^2 / max(mean (pred - target)^2, eps))
    example: [1, 2], [1.5, 2], max_val=2 -> -15.051499783199061
    max_val: the largest value that a pixel can have: 1, or 255.
    eps: the least mean squared error, so that a perfect image is finite.
    use: restoration and compression of images, where results are told in decibels.
    pitfall: it is the negative of what papers print, so that less is better: 30 dB is -30 here. Without
        `_loss` the name is that score.
    pitfall: the value of a batch is not the mean of its images; --per-sample shows the images.
    pitfall: a wrong max_val shifts every value by a constant: 255 instead of 1 is 48.13 dB.
    """
    error = pred - target
    return {"square": error * error}
