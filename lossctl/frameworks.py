"""What other frameworks call their losses, and what we call the same thing.

A value is a loss as one would type it, parameters included, so that a framework's own defaults come along. A name that
stands under its framework (`optax.l2_loss`) is looked up here first: bare, the same word may mean another loss.
"""

from __future__ import annotations

# Spellings in front of the last dot, as code imports them.
PREFIXES = {
    "torch": ("torch.nn", "nn", "torch.nn.functional", "f", "functional", "torch"),
    "keras": ("keras.losses", "tf.keras.losses", "tensorflow.keras.losses", "keras", "tf.keras", "tf.losses", "keras.metrics"),
    "optax": ("optax", "optax.losses"),
    "sklearn": ("sklearn.metrics", "metrics", "sklearn", "sklearn.metrics.cluster"),
    "torchvision": ("torchvision.ops", "ops", "torchvision"),
    "xgboost": ("xgboost", "xgb"),
    "lightgbm": ("lightgbm", "lgb", "lgbm"),
    "smp": ("segmentation_models_pytorch.losses", "smp.losses", "smp", "segmentation_models_pytorch"),
    "monai": ("monai.losses", "monai"),
    "timm": ("timm.loss", "timm"),
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
    "BinaryFocalCrossentropy": "focal:alpha=-1",
    "CTC": "ctc",
    "CategoricalCrossentropy": "categorical_crossentropy_prob",
    "SparseCategoricalCrossentropy": "categorical_crossentropy_prob",
    "CategoricalFocalCrossentropy": "focal_multiclass",
    "CategoricalGeneralizedCrossEntropy": "generalized_cross_entropy",
    "CategoricalHinge": "categorical_hinge",
    "CosineSimilarity": "cosine_similarity",
    "Dice": "dice",
    "Hinge": "hinge",
    "Huber": "huber",
    "KLDivergence": "kl_div_prob",
    "LogCosh": "log_cosh",
    "MeanAbsoluteError": "l1",
    "MeanAbsolutePercentageError": "mape:percent=true,eps=1e-7",
    "MeanSquaredError": "mse",
    "MeanSquaredLogarithmicError": "msle",
    "Poisson": "keras_poisson",
    "SquaredHinge": "squared_hinge",
    "Tversky": "tversky",
}

OPTAX = {
    "binary_dice_loss": "dice:smooth=1",
    "convex_kl_divergence": "kl_div",
    "cosine_distance": "cosine_distance",
    "ctc_loss": "ctc",
    "dice_loss": "dice:smooth=1",
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
    "triplet_margin_loss": "triplet_margin",
}

SKLEARN = {
    "brier_score_loss": "brier",
    "coverage_error": "coverage_error",
    "d2_absolute_error_score": "d2_absolute",
    "explained_variance_score": "explained_variance",
    "hamming_loss": "hamming",
    "hinge_loss": "hinge",
    "jaccard_score": "jaccard",
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
    "top_k_accuracy_score": "top_k_error",
    "zero_one_loss": "zero_one",
}

TORCHVISION = {
    "complete_box_iou_loss": "ciou",
    "distance_box_iou_loss": "diou",
    "generalized_box_iou_loss": "giou",
    "sigmoid_focal_loss": "focal",
}

XGBOOST = {
    "reg:squarederror": "mse",
    "reg:linear": "mse",
    "reg:squaredlogerror": "msle",
    "reg:pseudohubererror": "pseudo_huber",
    "reg:absoluteerror": "l1",
    "reg:quantileerror": "pinball",
    "reg:gamma": "gamma_deviance",
    "reg:tweedie": "tweedie_deviance:power=1.5",
    "count:poisson": "poisson_nll",
    "binary:logistic": "bce",
    "binary:logitraw": "bce_with_logits",
    "binary:hinge": "hinge",
    "multi:softmax": "cross_entropy",
    "multi:softprob": "cross_entropy",
}

LIGHTGBM = {
    "regression": "mse",
    "regression_l1": "l1",
    "regression_l2": "mse",
    "huber": "huber",
    "fair": "fair",
    "poisson": "poisson_nll",
    "quantile": "pinball",
    "mape": "mape",
    "gamma": "gamma_deviance",
    "tweedie": "tweedie_deviance:power=1.5",
    "binary": "bce_with_logits",
    "multiclass": "cross_entropy",
    "cross_entropy": "bce",
}

SMP = {
    "DiceLoss": "dice",
    "FocalLoss": "focal",
    "JaccardLoss": "jaccard",
    "LovaszLoss": "lovasz_hinge",
    "MCCLoss": "mcc_loss",
    "SoftBCEWithLogitsLoss": "soft_bce_logits",
    "SoftCrossEntropyLoss": "cross_entropy",
    "TverskyLoss": "tversky",
}

MONAI = {"DiceLoss": "dice", "FocalLoss": "focal", "TverskyLoss": "tversky"}

TIMM = {
    "AsymmetricLossMultiLabel": "asymmetric_multilabel",
    "LabelSmoothingCrossEntropy": "label_smoothing_ce",
    "PolyCrossEntropy": "poly_cross_entropy",
    "SoftTargetCrossEntropy": "soft_target_ce",
}

FRAMEWORKS = {
    "torch": TORCH,
    "keras": KERAS,
    "optax": OPTAX,
    "sklearn": SKLEARN,
    "torchvision": TORCHVISION,
    "xgboost": XGBOOST,
    "lightgbm": LIGHTGBM,
    "smp": SMP,
    "monai": MONAI,
    "timm": TIMM,
}
