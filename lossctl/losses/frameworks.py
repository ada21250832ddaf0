"""What other frameworks call their losses, and what we call the same thing.

A value is a loss as one would type it, parameters included, so that a framework's own defaults come along. A name that
stands under its framework (`optax.l2_loss`) is looked up here and nowhere else: it is that framework's number, or is refused.
`REFUSED` says why and what to write instead, `RULES` where the number is theirs only for some inputs. Compared with Keras 3.15,
optax 0.2.8, scikit-learn 1.9, torchvision 0.29, torchmetrics 1.9, SMP 0.6, MONAI 1.6, timm 1.0 and LightGBM 4.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl.losses import Rules

if TYPE_CHECKING:
    from collections.abc import Mapping

# Spellings in front of the last dot, as code imports them.
PREFIXES = {
    "torch": ("torch.nn", "nn", "torch.nn.functional", "f", "functional", "torch", "nn.functional", "torch.nn.modules.loss"),
    "keras": (
        "keras.losses",
        "tf.keras.losses",
        "tensorflow.keras.losses",
        "keras",
        "tf.keras",
        "tf.losses",
        "keras.metrics",
        "tf.keras.metrics",
        "tensorflow.keras.metrics",
        "tf.metrics",
    ),
    "optax": ("optax", "optax.losses"),
    "sklearn": ("sklearn.metrics", "metrics", "sklearn", "sklearn.metrics.cluster", "skl.metrics"),
    "torchvision": ("torchvision.ops", "ops", "torchvision", "torchvision.ops.boxes", "tv.ops"),
    "torchmetrics": (
        "torchmetrics",
        "torchmetrics.functional",
        *(f"torchmetrics.{part}" for part in ("regression", "classification", "text")),
        *(f"torchmetrics.functional.{part}" for part in ("regression", "classification", "text")),
        "tm",
        "tm.functional",
    ),
    "xgboost": ("xgboost", "xgb"),
    "lightgbm": ("lightgbm", "lgb", "lgbm"),
    "catboost": ("catboost", "cb"),
    "smp": ("segmentation_models_pytorch.losses", "smp.losses", "smp", "segmentation_models_pytorch"),
    "monai": ("monai.losses", "monai"),
    "timm": ("timm.loss", "timm"),
    "scipy": ("scipy.stats", "scipy.spatial.distance", "scipy"),
}


TORCH = {
    "L1Loss": "l1",
    "MSELoss": "mse",
    "HuberLoss": "huber",
    "SmoothL1Loss": "smooth_l1",
    "CrossEntropyLoss": "cross_entropy",
    "LinearCrossEntropyLoss": "linear_cross_entropy",
    "NLLLoss": "nll",
    "NLLLoss2d": "nll",
    "BCELoss": "bce",
    "BCEWithLogitsLoss": "bce_with_logits",
    "KLDivLoss": "kl_div",
    "PoissonNLLLoss": "poisson_nll",
    "GaussianNLLLoss": "gaussian_nll",
    "HingeEmbeddingLoss": "hinge_embedding",
    "MarginRankingLoss": "margin_ranking",
    "SoftMarginLoss": "soft_margin",
    "MultiMarginLoss": "multi_margin",
    "MultiLabelMarginLoss": "multilabel_margin",
    "MultiLabelSoftMarginLoss": "multilabel_soft_margin",
    "CosineEmbeddingLoss": "cosine_embedding",
    "TripletMarginLoss": "triplet_margin",
    "TripletMarginWithDistanceLoss": "triplet_margin_with_distance",
    "CTCLoss": "ctc",
    "AdaptiveLogSoftmaxWithLoss": "adaptive_log_softmax",
}

KERAS = {
    "BinaryCrossentropy": "binary_crossentropy_prob",
    "BinaryFocalCrossentropy": "binary_focal_crossentropy_prob",
    "CategoricalCrossentropy": "categorical_crossentropy_prob",
    "SparseCategoricalCrossentropy": "categorical_crossentropy_prob",
    "CategoricalFocalCrossentropy": "categorical_focal_crossentropy_prob",
    "CategoricalGeneralizedCrossEntropy": "generalized_cross_entropy",
    "CategoricalHinge": "categorical_hinge",
    "CosineSimilarity": "negative_cosine",
    "Dice": "dice:empty=counted",
    "Hinge": "hinge",
    "Huber": "huber",
    "KLDivergence": "kl_div_prob",
    "LogCosh": "log_cosh",
    "MeanAbsoluteError": "l1",
    "MeanAbsolutePercentageError": "mape:percent=true,eps=1e-7",
    "MeanSquaredError": "mse",
    "MeanSquaredLogarithmicError": "msle:floor=1e-7",
    "Poisson": "keras_poisson",
    "SquaredHinge": "squared_hinge",
    "Tversky": "tversky:empty=counted",
}

OPTAX = {
    "cosine_distance": "cosine_distance:eps=0",
    "hinge_loss": "hinge",
    "huber_loss": "huber",
    "kl_divergence": "kl_div",
    "kl_divergence_with_log_targets": "kl_div:log_target=true",
    "l2_loss": "l2_half",
    "log_cosh": "log_cosh",
    "multiclass_hinge_loss": "crammer_singer_hinge",
    "multiclass_perceptron_loss": "multiclass_perceptron",
    "multiclass_sparsemax_loss": "sparsemax",
    "perceptron_loss": "perceptron",
    "poly_loss_cross_entropy": "poly_cross_entropy",
    "safe_softmax_cross_entropy": "cross_entropy",
    "sigmoid_binary_cross_entropy": "bce_with_logits",
    "sigmoid_focal_loss": "focal:alpha=-1",
    "softmax_cross_entropy": "cross_entropy",
    "softmax_cross_entropy_with_integer_labels": "cross_entropy",
    "squared_error": "mse",
}

SKLEARN = {
    "brier_score_loss": "brier",
    "coverage_error": "coverage_error",
    "d2_absolute_error_score": "d2_absolute",
    "d2_pinball_score": "d2_pinball",
    "d2_tweedie_score": "d2_tweedie",
    "explained_variance_score": "explained_variance",
    "hamming_loss": "hamming",
    "hinge_loss": "hinge",
    "label_ranking_loss": "label_ranking",
    "log_loss": "log_loss",
    "max_error": "max_error",
    "mean_absolute_error": "l1",
    "mean_absolute_percentage_error": "mape",
    "mean_gamma_deviance": "gamma_deviance",
    "mean_pinball_loss": "pinball",
    "mean_poisson_deviance": "poisson_deviance",
    "mean_squared_error": "mse",
    "mean_squared_log_error": "msle",
    "mean_tweedie_deviance": "tweedie_deviance",
    "median_absolute_error": "median_ae",
    "r2_score": "r2",
    "root_mean_squared_error": "rmse",
    "root_mean_squared_log_error": "rmsle",
    "zero_one_loss": "zero_one",
}

TORCHVISION = {
    "complete_box_iou_loss": "ciou",
    "distance_box_iou_loss": "diou",
    "generalized_box_iou_loss": "giou",
    "sigmoid_focal_loss": "focal",
}

TORCHMETRICS = {
    "ExplainedVariance": "explained_variance",
    "LogCoshError": "log_cosh",
    "MeanAbsoluteError": "l1",
    "MeanAbsolutePercentageError": "mape:eps=1.17e-06",
    "MeanSquaredError": "mse",
    "MeanSquaredLogError": "msle",
    "MultilabelCoverageError": "coverage_error",
    "MultilabelRankingLoss": "label_ranking",
    "Perplexity": "perplexity",
    "R2Score": "r2",
    "SymmetricMeanAbsolutePercentageError": "smape",
    "TweedieDevianceScore": "tweedie_deviance",
    "WeightedMeanAbsolutePercentageError": "wape",
}

XGBOOST = {
    "reg:squarederror": "mse",
    "reg:linear": "mse",
    "reg:pseudohubererror": "pseudo_huber",
    "reg:absoluteerror": "l1",
    "reg:quantileerror": "pinball",
    "count:poisson": "poisson_nll",
    "binary:logistic": "bce_with_logits",
    "binary:logitraw": "bce_with_logits",
    "binary:hinge": "hinge",
    "multi:softmax": "cross_entropy",
    "multi:softprob": "cross_entropy",
}

LIGHTGBM = {
    "regression": "mse",
    "regression_l1": "l1",
    "regression_l2": "mse",
    "huber": "huber:delta=0.9",
    "fair": "fair",
    "poisson": "poisson_nll",
    "quantile": "pinball:q=0.9",
    "mape": "mape:eps=1",
    "binary": "bce_with_logits",
    "multiclass": "cross_entropy",
    "cross_entropy": "bce_with_logits",
}

CATBOOST = {
    "RMSE": "rmse",
    "MAE": "l1",
    "MAPE": "mape:eps=1",
    "Quantile": "pinball",
    "LogCosh": "log_cosh",
    "Poisson": "poisson_nll",
    "Logloss": "bce_with_logits",
    "CrossEntropy": "bce_with_logits",
    "MultiClass": "cross_entropy",
}

SMP = {
    "FocalLoss": "focal:alpha=-1",
    "LovaszLoss": "lovasz_hinge",
    "MCCLoss": "mcc_loss",
    "SoftBCEWithLogitsLoss": "soft_bce_logits",
    "SoftCrossEntropyLoss": "cross_entropy",
}

MONAI = {"FocalLoss": "focal:alpha=-1"}

TIMM = {
    "AsymmetricLossMultiLabel": "asymmetric_multilabel",
    "AsymmetricLossSingleLabel": "asymmetric_single",
    "LabelSmoothingCrossEntropy": "label_smoothing_ce",
    "PolyBinaryCrossEntropy": "poly_binary",
    "PolyCrossEntropy": "poly_cross_entropy",
    "SoftTargetCrossEntropy": "soft_target_ce",
    "TwoWayLoss": "two_way",
    "ZlprLoss": "zlpr",
}

SCIPY = {"cosine": "cosine_distance:eps=0", "wasserstein_distance": "wasserstein"}

FRAMEWORKS = {
    "torch": TORCH,
    "keras": KERAS,
    "optax": OPTAX,
    "sklearn": SKLEARN,
    "torchvision": TORCHVISION,
    "torchmetrics": TORCHMETRICS,
    "xgboost": XGBOOST,
    "lightgbm": LIGHTGBM,
    "catboost": CATBOOST,
    "smp": SMP,
    "monai": MONAI,
    "timm": TIMM,
    "scipy": SCIPY,
}

# Functions whose names are not those of the classes, and short names.
ALSO: Mapping[str, Mapping[str, str]] = {
    "torch": {
        "cross_entropy": "cross_entropy",
        "linear_cross_entropy": "linear_cross_entropy",
        "binary_cross_entropy": "bce",
        "binary_cross_entropy_with_logits": "bce_with_logits",
        "kl_div": "kl_div",
    },
    "keras": {
        "mse": "mse",
        "mae": "l1",
        "mape": KERAS["MeanAbsolutePercentageError"],
        "msle": KERAS["MeanSquaredLogarithmicError"],
        "kld": "kl_div_prob",
        "kullback_leibler_divergence": "kl_div_prob",
    },
    "keras.metrics": {"LogCoshError": "log_cosh", "R2Score": "r2", "RootMeanSquaredError": "rmse"},
    "torchmetrics": {"tweedie_deviance_score": "tweedie_deviance"},
}

ROOTS = "it takes the root of each column and averages the roots, and here the squares of all columns are pooled"
RAW = "of raw scores, before what predict() makes of them"
BY_SIGMOID = "from_logits is True by default there, so that it takes scores before the sigmoid, and {} takes probabilities"
APPLY = "Put the scores through the sigmoid and write: lossctl compute {} PRED TARGET, which is SMP's with from_logits=False."
SOFT = "of targets 0 and 1; soft targets are weighed otherwise there"
NONE = "the default reduction there is none: single values, as --reduction none gives them"
PER_SAMPLE = "single values are returned there; this is their mean"
SIGNS = "targets are 1 and -1; a 0 is read as -1 here"
BY_SUM = "Keras' default reduction sum_over_batch_size divides by the number of samples, not by the sum of the weights"
FRAMES = "it takes scores (N, T, C) before log_softmax, knows lengths by padding and divides no sequence by its length"
CTC = "Put the scores through log_softmax with time first, and write: lossctl compute ctc, whose sum is the same."
LAST = Rules(classes_last=True)

# Names that are another number there than any here: why, and what to write.
REFUSED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "keras": {"CTC": (FRAMES, CTC)},
    "keras.metrics": {
        "CosineSimilarity": (
            "as a metric it is the cosine itself, a score, and as a loss its negative",
            "Write keras.losses.CosineSimilarity for -cos, or cosine_distance for 1 - cos.",
        )
    },
    "optax": {
        "binary_dice_loss": (
            "it takes scores before the sigmoid, smooths by 1, and is one value a sample",
            "Write dice of probabilities, which is pooled over all samples.",
        ),
        "dice_loss": (
            "it takes scores before the softmax, smooths by 1, and is one value a sample",
            "Write dice or dice_multiclass of probabilities, which are pooled over all samples.",
        ),
        "convex_kl_divergence": (
            "it adds the sum of e^pred - target to the divergence, which is 0 only where both add up to the same",
            "Where rows add up to 1, write: lossctl compute kl_div PRED TARGET --reduction batchmean.",
        ),
        "ctc_loss": (FRAMES, CTC),
        "triplet_margin_loss": (
            "it adds eps below the root, and here, as in torch, eps is added to the difference",
            "Write triplet_margin for torch's.",
        ),
    },
    "torchmetrics": {
        "KLDivergence": (
            "it takes probabilities, divides each row by its sum, and its first argument is the target",
            "Write kl_div_prob of probabilities that add up to 1; kl_div takes log-probabilities.",
        ),
        "JensenShannonDivergence": ("it divides each row by its sum", "Write js_div of probabilities that add up to 1."),
    },
    "smp": {
        "DiceLoss": (BY_SIGMOID.format("dice"), APPLY.format("dice")),
        "JaccardLoss": (BY_SIGMOID.format("jaccard"), APPLY.format("jaccard")),
        "TverskyLoss": (BY_SIGMOID.format("tversky"), APPLY.format("tversky")),
    },
    "monai": {
        "DiceLoss": (
            "it averages over samples and channels and adds 1e-5 above and below, and here all is pooled",
            "Write dice for the pooled one, with --per-sample for each sample.",
        ),
        "TverskyLoss": (
            "it averages over samples and channels and adds 1e-5 above and below, and here all is pooled",
            "Write tversky for the pooled one, with --per-sample for each sample.",
        ),
    },
    "xgboost": {
        "reg:squaredlogerror": ("it is half of the squared difference of logarithms", "Write msle, which is twice that."),
        "reg:gamma": (
            "it is a log-likelihood, of which gamma_deviance is twice the part that predictions change",
            "Write gamma_deviance, which has the same minimum.",
        ),
        "reg:tweedie": (
            "it is a log-likelihood, of which tweedie_deviance is twice the part that predictions change",
            "Write tweedie_deviance:power=1.5, which has the same minimum.",
        ),
    },
    "lightgbm": {
        "gamma": (
            "it is a log-likelihood, of which gamma_deviance is twice the part that predictions change",
            "Write gamma_deviance, which has the same minimum.",
        ),
        "tweedie": (
            "it is a log-likelihood, of which tweedie_deviance is twice the part that predictions change",
            "Write tweedie_deviance:power=1.5, which has the same minimum.",
        ),
    },
}

RULES: Mapping[str, Mapping[str, Rules]] = {
    "keras": {
        **{name: Rules(weights=BY_SUM) for name in (*KERAS, *ALSO["keras"])},
        **{
            name: Rules(classes_last=True, weights=BY_SUM)
            for name in (*KERAS, *ALSO["keras"])
            if name.lower().startswith(("categorical", "sparse", "kl", "kullback"))
        },
        "Tversky": Rules(params={"alpha": "beta", "beta": "alpha"}, weights=BY_SUM),
    },
    "optax": {
        **{name: Rules(note=PER_SAMPLE) for name in OPTAX},
        **{
            name: Rules(note=PER_SAMPLE, classes_last=True)
            for name in OPTAX
            if "softmax" in name or name.startswith(("multi", "poly"))
        },
        **{name: Rules(note=f"{PER_SAMPLE}; {SIGNS}") for name in ("hinge_loss", "perceptron_loss")},
        "cosine_distance": Rules(note=f"{PER_SAMPLE}; of a zero vector it is nan there, and 1 here"),
        **{
            name: Rules(reductions=("batchmean", "sum"), classes_last=True)
            for name in ("kl_divergence", "kl_divergence_with_log_targets")
        },
    },
    "sklearn": {
        "d2_pinball_score": Rules(params={"alpha": "q"}),
        "mean_pinball_loss": Rules(params={"alpha": "q"}),
        "max_error": Rules(one_column="it takes one column alone"),
        "root_mean_squared_error": Rules(one_column=ROOTS),
        "root_mean_squared_log_error": Rules(one_column=ROOTS),
    },
    "torchvision": {name: Rules(note=NONE) for name in TORCHVISION},
    "torchmetrics": {"LogCoshError": Rules(one_column="it gives one value a column"), "Perplexity": LAST},
    "xgboost": {
        "reg:quantileerror": Rules(needs=("q",), params={"quantile_alpha": "q"}),
        "reg:pseudohubererror": Rules(params={"huber_slope": "delta"}),
        **{
            name: Rules(note=RAW)
            for name in ("count:poisson", "binary:logistic", "binary:hinge", "multi:softmax", "multi:softprob")
        },
    },
    "lightgbm": {
        "quantile": Rules(params={"alpha": "q"}),
        "huber": Rules(params={"alpha": "delta"}),
        "fair": Rules(params={"fair_c": "scale"}),
        **{name: Rules(note=RAW) for name in ("poisson", "binary", "multiclass", "cross_entropy")},
    },
    "catboost": {
        "Quantile": Rules(params={"alpha": "q"}),
        **{name: Rules(note=RAW) for name in ("Poisson", "Logloss", "CrossEntropy", "MultiClass")},
    },
    "smp": {
        "FocalLoss": Rules(note=SOFT),
        "SoftCrossEntropyLoss": Rules(note="ignored labels count in the mean there, and not here"),
    },
    "monai": {"FocalLoss": Rules(note=SOFT)},
    "timm": {"LabelSmoothingCrossEntropy": LAST, "SoftTargetCrossEntropy": LAST, "PolyCrossEntropy": LAST},
}
