"""Names of what is not here: scores, which never stand for the loss that is one minus them, and losses that are still missing.

A score's name means the score. Taken for a loss it would turn every gate around: `--min f1=0.7` would pass a bad model. So such
a name is refused in any spelling, with the loss that serves in its place and how the two are related.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossctl.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable

# How a loss is made of a score.
ONE_MINUS, MINUS = "1 - {}", "-{}"
# The side on which a gate on a score stands, and on which the same gate on such a loss does.
TURNED = {"min": "max", "max": "min", "expect": "expect"}
# What counts for nothing in a name.
NO_LETTER = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True, eq=False, repr=False)
class Absent:
    """Something that people ask for and that is not here.

    `loss` is what serves in its place, as one would type it. `turn` says how it is made of a score, where it is; `formula` what
    it is, or why it serves.
    """

    name: str
    also: tuple[str, ...] = ()
    loss: str = ""
    turn: str = ""
    formula: str = ""
    score: bool = True

    @property
    def way_out(self) -> str:
        """The loss that serves, with its formula, and the gate on it that says the same."""
        if not self.loss:
            return "No loss here stands for it."
        if not self.turn:
            return f"Nearest is {self.loss}: {self.formula}."
        relation, command = f"{self.loss} is {self.turn.format(self.name)}", f"lossctl compute {self.loss} PRED TARGET"
        bound = "0.7" if self.turn == ONE_MINUS else "-0.5" if self.name.startswith("neg_") else "30"
        gate = f"--min {self.name}={bound} becomes {self.gate('min', bound)}"
        return f"The loss {relation} ({self.formula}). Write: {command}; {gate}."

    def gate(self, kind: str, bound: str) -> str:
        """The gate on the loss that says what `--KIND NAME=BOUND` says of the score; empty where there is none."""
        from decimal import Decimal, InvalidOperation

        try:
            number = Decimal(bound)
        except InvalidOperation:
            return ""
        if not self.turn or kind not in TURNED:
            return ""
        turned = 1 - number if self.turn == ONE_MINUS else -number
        return f"--{TURNED[kind]} {self.loss}={turned}"


def _score(name: str, *also: str, loss: str = "", turn: str = "", formula: str = "") -> Absent:
    return Absent(name, also, loss, turn, formula)


def _loss(name: str, *also: str, loss: str = "", formula: str = "") -> Absent:
    return Absent(name, also, loss, "", formula, score=False)


def _scorer(name: str, loss: str) -> Absent:
    return Absent(name, (), loss, MINUS, "scikit-learn's scorers turn losses around, so that more is better")


OVERLAP = "TP = sum(p t), FP = sum(p (1 - t)), FN = sum((1 - p) t)"
CLASSES = "the mean over classes of 1 - TP / (TP + FP + FN)"

TABLE = (
    _score(
        "accuracy", "acc", "subset_accuracy", "pixel_accuracy", "token_accuracy", "exact_match",
        loss="zero_one", turn=ONE_MINUS, formula="the share of wrong labels",
    ),
    _score("balanced_accuracy", "uar", loss="zero_one", formula="the share of wrong labels; --by shows it for each class"),
    _score("precision", "ppv", "positive_predictive_value", loss="tversky:alpha=1,beta=0", turn=ONE_MINUS,
           formula=f"1 - TP / (TP + FP), {OVERLAP}"),
    _score("recall", "sensitivity", "tpr", "true_positive_rate", "hit_rate", loss="tversky:alpha=0,beta=1", turn=ONE_MINUS,
           formula=f"1 - TP / (TP + FN), {OVERLAP}"),
    _score("f1", "f_1", "f_score", "f_measure", "dice_score", "dice_coefficient", "dice_index", "sorensen_dice_index",
           "f1_macro", "f1_micro", loss="dice", turn=ONE_MINUS, formula=f"1 - 2 TP / (2 TP + FP + FN), {OVERLAP}"),
    _score("fbeta", "f_beta", "f2", "f05", loss="tversky",
           formula=f"with alpha = 1/(1 + b^2) and beta = b^2/(1 + b^2) it is 1 - F_b, {OVERLAP}"),
    _score("specificity", "tnr", "true_negative_rate", "selectivity"),
    _score("npv", "negative_predictive_value"),
    _score("fpr", "fall_out", "false_positive_rate", "false_alarm_rate"),
    _score("fnr", "miss_rate", "false_negative_rate", loss="tversky:alpha=0,beta=1",
           formula=f"FN / (TP + FN), {OVERLAP}"),
    _score("mcc", "matthews", "matthews_corrcoef", "matthews_correlation", "matthews_correlation_coefficient", "phi",
           "phi_coefficient", loss="mcc_loss", turn=ONE_MINUS,
           formula="1 - (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN))"),
    _score("kappa", "cohen_kappa", "cohens_kappa", "qwk", "quadratic_weighted_kappa", "weighted_kappa"),
    _score("iou", "intersection_over_union", "jaccard_score", "jaccard_index", "jaccard_coefficient", "jaccard_similarity",
           "soft_iou", "binary_iou", loss="jaccard", turn=ONE_MINUS, formula=f"1 - TP / (TP + FP + FN), {OVERLAP}"),
    _score("miou", "mean_iou", "iou_multiclass", "multiclass_iou", "mean_intersection_over_union", "one_hot_iou",
           "one_hot_mean_iou", loss="jaccard_multiclass", turn=ONE_MINUS, formula=CLASSES),
    _score("tversky_index", "tversky_score", "tversky_coefficient", loss="tversky", turn=ONE_MINUS,
           formula=f"1 - TP / (TP + alpha FP + beta FN), {OVERLAP}"),
    _score("box_iou", "iou_boxes", "bbox_iou", "boxes_iou", "intersection_over_union_boxes", loss="iou_box_loss",
           turn=ONE_MINUS, formula="1 - I / U, I the common area, U that of both together; 0 for identical boxes"),
    _score("generalized_box_iou", "generalized_iou", "generalized_intersection_over_union", "giou_score", loss="giou",
           turn=ONE_MINUS, formula="1 - I / U + (C - U) / C, C the area of the box around both"),
    _score("distance_box_iou", "distance_iou", "distance_intersection_over_union", "diou_score", loss="diou", turn=ONE_MINUS,
           formula="1 - I / U + d^2 / D^2, d between the centres, D the diagonal of the box around both"),
    _score("complete_box_iou", "complete_iou", "complete_intersection_over_union", "ciou_score", loss="ciou", turn=ONE_MINUS,
           formula="1 - I / U + d^2 / D^2 and a term for the aspect ratio"),
    _score("top_k_accuracy", "topk_accuracy", "top_k", "topk", "top_k_categorical_accuracy", loss="top_k_error", turn=ONE_MINUS,
           formula="the share of samples whose class is not among the k best-scored"),
    _score("top1", "top_1", "top1_accuracy", "acc@1", loss="top_k_error:k=1", turn=ONE_MINUS,
           formula="the share of samples whose class is not the best-scored"),
    _score("top5", "top_5", "top5_accuracy", "acc@5", loss="top_k_error:k=5", turn=ONE_MINUS,
           formula="the share of samples whose class is not among the 5 best-scored"),
    _score("roc_auc", "auc", "auroc", "area_under_roc", "area_under_curve", "auc_roc", loss="log_loss",
           formula="it judges the same probabilities, but not their order alone"),
    _score("average_precision", "ap", "pr_auc", "auc_pr", "auprc", "aucpr", loss="log_loss",
           formula="it judges the same probabilities, but not their order alone"),
    _score("map", "mean_average_precision", "map_at_k", "map@k"),
    _score("ks", "kolmogorov_smirnov", "ks_statistic", "kstest"),
    _score("gini", "gini_coefficient", "normalized_gini"),
    _score("lift", "cumulative_gain"),
    _score("pearson", "pearsonr", "pearson_corrcoef", "pearson_correlation", "pcc", "plcc", "corr", "correlation", "corrcoef",
           "r", loss="r2_loss", formula="the variance that is left unexplained, which a wrong offset or scale raises"),
    _score("spearman", "spearmanr", "spearman_corrcoef", "spearman_correlation", "srcc", "rho", "rank_correlation"),
    _score("kendall", "kendalltau", "kendall_tau", "kendall_rank_corrcoef", "tau", "tau_b"),
    _score("ccc", "lin_ccc", "concordance_corrcoef", "concordance_correlation", "concordance_correlation_coefficient"),
    _score("concordance_index", "c_index", "cindex", "harrell_c"),
    _score("kge", "kling_gupta", "kling_gupta_efficiency", loss="r2",
           formula="the Nash-Sutcliffe efficiency, which is a score that is here"),
    _score("bias", "mbe", "mean_bias_error", "mean_error", "mean_signed_error"),
    _score("pbias", "percent_bias", "percentage_bias"),
    _score("ece", "expected_calibration_error", "calibration_error", "ace", "adaptive_calibration_error", "mce",
           "maximum_calibration_error", loss="brier", formula="calibration and sharpness together"),
    _score("calibration_slope", "calibration_intercept", "calibration"),
    _score("brier_parts", "brier_decomposition", "brier_skill_score", loss="brier", formula="the whole of it"),
    _score("psnr", "peak_signal_to_noise_ratio", "peak_signal_noise_ratio", loss="psnr_loss", turn=MINUS,
           formula="-10 log10(max_val^2 / mean (pred - target)^2)"),
    _score("ssim", "ms_ssim", "structural_similarity", "structural_similarity_index", "structural_similarity_index_measure",
           "multi_scale_structural_similarity_index_measure", loss="psnr_loss", formula="minus decibels, pixel by pixel"),
    _score("snr", "signal_noise_ratio", "sdr", "si_sdr", "si_snr"),
    _score("cosine_similarity", "cosine_sim", "cos_sim", "cosine_score", loss="cosine_distance", turn=ONE_MINUS,
           formula="1 - <pred, target> / (||pred|| ||target||)"),
    _score("ndcg", "dcg", "normalized_discounted_cumulative_gain", "ndcg_at_k", "retrieval_normalized_dcg"),
    _score("mrr", "mean_reciprocal_rank", "reciprocal_rank", "retrieval_mrr"),
    _score("recall_at_k", "hit_ratio", "hit_at_k", "hits_at_k", "precision_at_k"),
    _score("bleu", "sacre_bleu", "sacrebleu", "chrf", "meteor", loss="perplexity",
           formula="of the tokens' scores, not of text"),
    _score("rouge", "rouge_l", "rouge_1", "rouge_2", loss="perplexity", formula="of the tokens' scores, not of text"),
    _score("bert_score", "bertscore"),
    _score("wer", "word_error_rate", "cer", "char_error_rate", "character_error_rate", loss="ctc",
           formula="of frames, as a recogniser is trained"),
    _score("bits_per_byte", "bpb", "bpc", "bits_per_character", "bits_per_token", "bits_per_char", loss="perplexity",
           formula="2 to the bits per token, where both are of the same tokens"),
    _score("coverage", "interval_coverage", "picp", loss="interval_score",
           formula="width and misses of intervals; coverage_error is of ranked labels"),
    _score("fid", "inception_score", "lpips", "kid"),
    _score("panoptic_quality", "pq"),
    _score("d2_log_loss_score", "d2_log_loss", loss="log_loss",
           formula="the loss that it compares with that of the best constant"),
    _score("d2_brier_score", "d2_brier", loss="brier", formula="the loss that it compares with that of the best constant"),
    _score("confusion_matrix", "classification_report", "roc_curve", "precision_recall_curve"),
    _scorer("neg_mean_squared_error", "mse"),
    _scorer("neg_root_mean_squared_error", "rmse"),
    _scorer("neg_mean_absolute_error", "l1"),
    _scorer("neg_median_absolute_error", "median_ae"),
    _scorer("neg_mean_absolute_percentage_error", "mape"),
    _scorer("neg_mean_squared_log_error", "msle"),
    _scorer("neg_root_mean_squared_log_error", "rmsle"),
    _scorer("neg_mean_poisson_deviance", "poisson_deviance"),
    _scorer("neg_mean_gamma_deviance", "gamma_deviance"),
    _scorer("neg_max_error", "max_error"),
    _scorer("neg_log_loss", "log_loss"),
    _scorer("neg_brier_score", "brier"),
    _loss("crps", "crps_ensemble", "crps_gaussian", "crps_sample", "continuous_ranked_probability_score", loss="multi_pinball",
          formula="the mean over quantiles, half of it where they are many and even"),
    _loss("energy_score", "variogram_score", "energy_distance"),
    _loss("log_score", "logarithmic_score", "ignorance_score", loss="log_loss", formula="of predicted probabilities"),
    _loss("rps", "ranked_probability_score", "emd2", "squared_emd"),
    _loss("dpo", "direct_preference_optimization", "ipo", loss="soft_margin",
          formula="of beta times the difference of both log-ratios, against targets of 1"),
    _loss("orpo", "kto", "simpo", "cpo"),
    _loss("bradley_terry", "reward_model", "ranknet", "pairwise_logistic", "bpr", loss="soft_margin",
          formula="of the difference of both scores, against targets of 1"),
    _loss("ppo", "ppo_clip", "grpo", "reinforce"),
    _loss("nt_xent", "ntxent", "simclr", "supcon", "supervised_contrastive", "npairs", "n_pairs", "clip", loss="info_nce",
          formula="one view against the batch of the other, in one direction"),
    _loss("arcface", "cosface", "sphereface", "circle", "proxy_nca", "proxy_anchor", "multi_similarity", "lifted_structure",
          "tuplet_margin", "smooth_ap"),
    _loss("barlow_twins", "vicreg", "byol", "simsiam", "dino"),
    _loss("lambdarank", "lambda_rank", "lambda_loss", "listnet", "list_net", "listmle", "list_mle", "approx_ndcg",
          "ranking_softmax", "rank_ndcg", "rank_pairwise", "rank_xendcg", loss="margin_ranking", formula="of pairs"),
    _loss("cox", "cox_ph", "coxph", "partial_likelihood", "deephit", "logistic_hazard", "mtlr", "survival_cox", "survival_aft"),
    _loss("negbinom_nll", "negative_binomial", "negative_binomial_nll", "zip", "zinb", "student_t_nll", "laplace_nll",
          "gamma_nll", "beta_nll", "mdn", loss="gaussian_nll", formula="of a normal distribution"),
    _loss("hausdorff", "hausdorff_dt", "hausdorff_distance", "boundary", "cl_dice", "cldice", "surface_distance"),
    _loss("dice_ce", "dice_bce", "dice_focal", "combo", "unified_focal", loss="dice",
          formula="beside bce or cross_entropy, as terms of a weighted sum in a spec"),
    _loss("sinkhorn", "mmd", "maximum_mean_discrepancy", "gromov_wasserstein", "sliced_wasserstein", loss="wasserstein",
          formula="of two one-dimensional samples"),
    _loss("perceptual", "vgg", "style", "total_variation", "tv", "gradient_penalty", "wgan_gp"),
    _loss("quality_focal", "varifocal", "ldam", "class_balanced", "equalized_focal", loss="focal",
          formula="without that change"),
    _loss("nmse", "normalized_mse", "normalised_mse", loss="relative_mse",
          formula="squared error over that of the target's mean"),
    _loss("sse", "sum_of_squared_errors", "sum_squared_error", "rss", loss="mse",
          formula="with --reduction sum it is that"),
    _loss("sae", "sad", "sum_of_absolute_errors", loss="l1", formula="with --reduction sum it is that"),
    _loss("rrse", "root_relative_squared_error", loss="relative_mse", formula="the root of it"),
    _loss("mpe", "mean_percentage_error", loss="mape", formula="of absolute errors"),
    _loss("theil", "theils_u", "mdape", "smdape", "gmrae", "mrae", loss="mase", formula="of the error of a naive forecast"),
)  # fmt: skip

# What people put around a name without meaning another thing.
BEFORE = re.compile(
    r"^(binary|multiclass|multilabel|macro|micro|weighted|samples|mean|avg|average|sparse|categorical|soft|retrieval)+"
)
AFTER = re.compile(r"(score|coef|coefficient|coeff|index|metric|similarity|loss)$")
# Losses whose name with one of these behind is that of the score; bare they are losses.
BARE_LOSSES = {"dice": "f1", "sorensen": "f1", "sorensendice": "f1", "jaccard": "iou", "tversky": "tversky_index"}


def letters(name: str) -> str:
    """A name without case, hyphens and the like: what is compared."""
    return NO_LETTER.sub("", name.lower())


NAMES = {letters(name): one for one in TABLE for name in (one.name, *one.also)}
# Names of scores with "loss" behind: there the word says something.
KEPT = frozenset(f"{name}loss" for name, one in NAMES.items() if one.score)


def absent(name: str) -> Absent | None:
    """What a name stands for that is not here, in any of its spellings; None where nobody is known to ask for it.

    A score's name with `loss` behind is no score, but a loss made of it.
    """
    result = _found(name)
    last = letters(name.rpartition(".")[2])
    if result is None or not result.score or not last.endswith("loss") or last in NAMES:
        return result
    made = result.turn.format(result.name)
    formula = f"{made} ({result.formula})" if made else result.formula
    return Absent(f"{result.name}_loss", (), result.loss, "", formula, score=False)


def _is_made(what: Absent) -> bool:
    """Whether it is a loss made of a score."""
    return not what.score and what.name.endswith("_loss")


def _found(name: str) -> Absent | None:
    last = re.sub(r"^acc(uracy)?@", "top", name.rpartition(".")[2].lower())
    short = re.sub(r"^top\d+", lambda top: top[0] if top[0] in NAMES else "topk", letters(re.sub(r"@(k|\d+)", "_at_k", last)))
    while short:
        for item in (short, BEFORE.sub("", short)):
            if item in NAMES:
                return NAMES[item]
        shorter = AFTER.sub("", short)
        if shorter == short:
            break
        short = shorter
        for item in (short, BEFORE.sub("", short)):
            if item in BARE_LOSSES:
                return NAMES[letters(BARE_LOSSES[item])]
    return None


def refused(name: str, what: Absent) -> UnknownName:
    """The error of a name that stands for what is not here."""
    if _is_made(what):
        return UnknownName(f"There is no loss '{name}'.", hint=what.way_out)
    kind = "score" if what.score else "loss"
    named = "" if letters(name.rpartition(".")[2]) == letters(what.name) else f"{what.name}, "
    turned = ", and no loss is taken in its place, since gates on it would be turned around" if what.turn else ""
    return UnknownName(f"'{name}' is {named}a {kind} that lossctl does not have yet{turned}.", hint=what.way_out)


def hint_for(key: str, kind: str = "", bound: str = "", known: Iterable[str] = ()) -> str:
    """What to write where `key` names a result that cannot be; empty where it may be any slip."""
    what = absent(re.split(r"[:@\[]", key)[0])
    if what is None or _is_made(what):
        return ""
    gate = what.gate(kind, bound) if what.loss in {*known} else ""
    instead = f"{what.loss} is {what.turn.format(what.name)}: write {gate}." if gate else what.way_out
    return f"'{what.name}' is a {'score' if what.score else 'loss'} that lossctl does not have yet. {instead}"
