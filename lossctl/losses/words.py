"""The closed vocabulary: every word that a loss's inputs and parameters may be annotated with.

Shapes are written in dims: `n` is the sample axis, `c` the classes, other letters are sizes that must agree wherever they
recur, and `*d` is any number of further axes. A new word is added only when no existing one fits.
"""

from __future__ import annotations

from typing import Annotated

from lossctl.losses.loss import Array, Choice, Domain, Number, Tensor

NON_NEGATIVE = Domain(low=0.0)
ABOVE_ZERO = Domain(low=0.0, open_low=True)
UNIT = Domain(low=0.0, high=1.0)
SOFTMAX_INSIDE = "none: raw scores, the softmax is inside the loss"
SIGMOID_INSIDE = "none: raw scores, the sigmoid is inside the loss"

# Arrays, one row a sample, any further axes.
Real = Annotated[Array, Tensor("n *d", "real numbers", needs="none: any real number")]
Logits = Annotated[Array, Tensor("n *d", "raw scores", needs=SIGMOID_INSIDE, infinite="-+")]
Probability = Annotated[Array, Tensor("n *d", "probabilities", UNIT, needs="sigmoid: values in [0, 1]")]
Binary = Annotated[Array, Tensor("n *d", "0 or 1", Domain(0.0, 1.0, values=(0.0, 1.0)))]
LogProbability = Annotated[
    Array, Tensor("n *d", "log-probabilities", needs="log_softmax: logarithms of probabilities", logs=True, infinite="-")
]
Mass = Annotated[
    Array,
    Tensor("n *d", "probabilities, or their logarithms with log_target", NON_NEGATIVE, free_if="log_target", infinite="-"),
]
Variance = Annotated[
    Array, Tensor("n *d", "variances: of pred's shape, one axis short, or of size 1 on one axis", NON_NEGATIVE, rule="variance")
]

RateOrLog = Annotated[
    Array,
    Tensor(
        "n *d",
        "rates, or their logarithms with log_input",
        NON_NEGATIVE,
        free_if="log_input",
        needs="none with log_input: the logarithm of the rate; else softplus or exp: rates >= 0",
        infinite="-",
    ),
]
PositiveReal = Annotated[Array, Tensor("n *d", "numbers > 0", ABOVE_ZERO, needs="softplus or exp: numbers > 0")]
NonNegativeReal = Annotated[Array, Tensor("n *d", "numbers >= 0", NON_NEGATIVE, needs="softplus or relu: numbers >= 0")]
AboveMinusOne = Annotated[Array, Tensor("n *d", "numbers > -1", Domain(low=-1.0, open_low=True), needs="none: numbers > -1")]
Score = Annotated[Array, Tensor("n *d", "signed scores", needs="none: a score whose sign decides", infinite="-+")]
PlusMinus = Annotated[Array, Tensor("n *d", "1 or -1", Domain(-1.0, 1.0, values=(-1.0, 1.0)), loose=True)]
Sign = Annotated[Array, Tensor("n *d", "1 or -1; 0 is read as -1", Domain(-1.0, 1.0, values=(-1.0, 0.0, 1.0)), signs=True)]
AnyLabel = Annotated[Array, Tensor("n *d", "class labels: any whole numbers", index=True)]

# Classes.
ClassLogits = Annotated[Array, Tensor("n c *d", "raw scores, one a class", needs=SOFTMAX_INSIDE, infinite="-")]
ClassTarget = Annotated[
    Array, Tensor("n *d", "class indices 0..C-1, or probabilities of pred's shape", index=True, rule="target", classes=True)
]

Label = Annotated[Array, Tensor("n *d", "class indices 0..C-1", index=True, classes=True)]
ClassLogProbability = Annotated[
    Array, Tensor("n c *d", "log-probabilities, one a class", needs="log_softmax over the class axis", logs=True, infinite="-")
]
ClassProbability = Annotated[Array, Tensor("n c *d", "probabilities, one a class", UNIT, needs="softmax over the class axis")]
ClassScores = Annotated[Array, Tensor("n c", "scores, one a class", needs="none: the largest score decides", infinite="-+")]
Chances = Annotated[
    Array,
    Tensor(
        "n c",
        "probabilities: one a class, or that of class 1 alone",
        UNIT,
        needs="softmax over the class axis, or sigmoid for two classes",
        rule="columns",
    ),
]
LabelLogits = Annotated[Array, Tensor("n c", "raw scores, one a label", needs=SIGMOID_INSIDE, infinite="-+")]
LabelScores = Annotated[
    Array, Tensor("n c", "scores, one a label", needs="none: larger scores for labels that apply", infinite="-+")
]
MultiHot = Annotated[Array, Tensor("n c", "0 or 1 for each label", Domain(0.0, 1.0, values=(0.0, 1.0)))]
SoftMultiHot = Annotated[Array, Tensor("n c", "numbers in [0, 1] for each label", UNIT, loose=True)]
LabelList = Annotated[Array, Tensor("n c", "labels that apply, ended by -1", Domain(low=-1.0), index=True)]
ClassMatrix = Annotated[Array, Tensor("c *d e", "one vector a class: the last layer's weights")]

# Boxes.
Box = Annotated[Array, Tensor("n 4", "boxes x1, y1, x2, y2", needs="none: corners, x1 <= x2 and y1 <= y2", corners=True)]

# Vectors.
Embedding = Annotated[Array, Tensor("n *d e", "vectors on the last axis", needs="none: any vector")]
Vector = Annotated[Array, Tensor("n e", "one vector a sample", needs="none: any vector")]

PairSign = Annotated[Array, Tensor("n", "1 or -1 for each pair", Domain(-1.0, 1.0, values=(-1.0, 1.0)), loose=True)]
PairLabel = Annotated[Array, Tensor("n", "0 or 1 for each pair", Domain(0.0, 1.0, values=(0.0, 1.0)))]

# Sequences, with time first as torch has it.
SequenceLogProbability = Annotated[
    Array, Tensor("t n c", "log-probabilities, time first", needs="log_softmax over the class axis", logs=True, infinite="-")
]
SequenceLabels = Annotated[Array, Tensor("n s", "label ids (N, S), or all sequences end to end", index=True, rule="sequences")]
FrameCount = Annotated[Array, Tensor("n", "frames of each sequence", NON_NEGATIVE, index=True, upto="t")]
LabelCount = Annotated[Array, Tensor("n", "labels of each sequence", NON_NEGATIVE, index=True, upto="s")]

# Samples of two distributions, which may differ in size.
Draws = Annotated[Array, Tensor("n", "draws of one distribution", needs="none: any real number")]
Series = Annotated[Array, Tensor("m", "a series that the model was trained on, in order of time")]
OtherDraws = Annotated[Array, Tensor("m", "draws of another distribution")]

# Several quantiles of one number.
QuantileColumns = Annotated[Array, Tensor("n q", "one predicted quantile a column", needs="none: any real number")]
OneReal = Annotated[Array, Tensor("n", "one real number a sample")]

# Tensor parameters. Those without `n` are read once and never cut.
ClassWeight = Annotated[Array, Tensor("c", "one weight a class")]
ClassBias = Annotated[Array, Tensor("c *d", "one number a class", infinite="-")]
ClassCount = Annotated[Array, Tensor("c", "how many samples each class has", ABOVE_ZERO)]
ElementWeight = Annotated[Array, Tensor("n *d", "one weight an element, of pred's shape", NON_NEGATIVE)]
TrailingWeight = Annotated[Array, Tensor("n *d", "weights that broadcast against pred's last axes", rule="broadcast")]
DrawWeight = Annotated[Array, Tensor("n", "one weight a draw", NON_NEGATIVE)]
OtherDrawWeight = Annotated[Array, Tensor("m", "one weight a draw", NON_NEGATIVE)]
Quantiles = Annotated[Array, Tensor("q", "one quantile in [0, 1] a column", UNIT)]

# What only a loss of somebody else's knows: its inputs keep their shapes, and whole numbers stay whole.
Unknown = Annotated[Array, Tensor("n *d", "what the loss takes", rule="free", needs="whatever the loss expects")]

# Scalar parameters.
Positive = Annotated[float, Number(float, "a number > 0", Domain(low=0.0, open_low=True))]
NonNegative = Annotated[float, Number(float, "a number >= 0", NON_NEGATIVE)]
NormDegree = Annotated[float, Number(float, "a norm degree >= 0, or inf", NON_NEGATIVE, infinite=True)]
AtLeastOne = Annotated[float, Number(float, "a number >= 1", Domain(low=1.0))]
Fraction = Annotated[float, Number(float, "a number in [0, 1]", UNIT)]
Integer = Annotated[int, Number(int, "a whole number")]
Index = Annotated[int, Number(int, "a whole number >= 0", NON_NEGATIVE)]
PositiveFraction = Annotated[float, Number(float, "a number in (0, 1]", Domain(low=0.0, high=1.0, open_low=True))]
Scalar = Annotated[float, Number(float, "a number")]
Extended = Annotated[float, Number(float, "a number, inf or -inf", infinite=True)]
VariancePower = Annotated[float, Number(float, "a number <= 0 or >= 1", other=0.0)]
OneOrTwo = Annotated[int, Number(int, "1 or 2", Domain(1.0, 2.0, values=(1.0, 2.0)))]
ZeroOrOne = Annotated[int, Number(int, "0 or 1", Domain(0.0, 1.0, values=(0.0, 1.0)))]
Count = Annotated[int, Number(int, "a whole number >= 1", Domain(low=1.0))]
Flag = Annotated[bool, Number(bool, "true or false")]
Scale = Annotated[str, Choice(("auto", "half", "full"))]
Mode = Annotated[str, Choice(("binary", "multiclass", "multilabel"))]
ClassesCounted = Annotated[str, Choice(("present", "all"))]
EmptyMask = Annotated[str, Choice(("zero", "counted"))]
Spread = Annotated[str, Choice(("range", "std", "mean"))]
