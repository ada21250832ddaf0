"""Penalties on the size of parameters, to be added to a loss: they have one input and no target."""

from typing import Any

from lossctl.losses.loss import Terms, loss
from lossctl.losses.words import NonNegative, Real


def summed(xp: Any, sums: Terms, *, strength: float) -> Any:  # noqa: ARG001 - every finish has this header
    """A penalty is a sum, however many parameters there are."""
    return strength * sums["size"]


@loss(
    "penalty",
    source="Tibshirani 1996, doi:10.1111/j.2517-6161.1996.tb02080.x",
    finish=summed,
    reductions=("mean",),
    aliases=("l1_regularization", "l1_regularisation", "lasso_penalty"),
)
def l1_penalty(xp, pred: Real, *, strength: NonNegative = 1.0) -> Terms:  # noqa: ARG001
    """The sum of absolute parameters: it pulls the small ones to exactly zero.

    formula: strength sum |w|
    example: [3, -4] -> 7.0
    example: [3, -4], strength=0.01 -> 0.07
    strength: the factor, often called lambda or alpha.
    use: sparse models: most parameters become zero.
    pitfall: it is a sum, not a mean: it grows with the number of parameters.
    pitfall: scikit-learn's Lasso adds it to half of mse: beside mse itself, strength is twice that alpha.
    """
    return {"size": xp.abs(pred)}


@loss(
    "penalty",
    source="Hoerl & Kennard 1970, doi:10.1080/00401706.1970.10488634",
    finish=summed,
    reductions=("mean",),
    aliases=("l2_regularization", "l2_regularisation", "ridge_penalty", "weight_decay"),
)
def l2_penalty(xp, pred: Real, *, strength: NonNegative = 1.0) -> Terms:  # noqa: ARG001
    """The sum of squared parameters: it keeps all of them small.

    formula: strength sum w^2
    example: [3, -4] -> 25.0
    example: [3, -4], strength=0.01 -> 0.25
    strength: the factor, often called lambda or alpha.
    use: weight decay, ridge regression.
    pitfall: it is a sum, not a mean: it grows with the number of parameters.
    pitfall: the weight_decay of torch.optim.SGD is the gradient's factor: weight_decay = 2 strength.
    pitfall: under Adam adding it to the loss is not decoupled weight decay, which AdamW does.
    """
    return {"size": pred * pred}
