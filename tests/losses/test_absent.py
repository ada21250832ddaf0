"""A score's name never stands for a loss, and common names of what is not here are known as that, with what serves instead."""

import json

import pytest

from lossctl.cli.program import program
from lossctl.commands.listing import info_page as info
from lossctl.errors import BadParameter, UnknownName, near
from lossctl.gates import check_bounds
from lossctl.losses import LOSSES, catalogue, spelling
from lossctl.losses.absent import TABLE, absent
from lossctl.request.lookup import look_up, understand
from lossctl.request.spec import Gate, parse_losses

# Every score that was once taken for one minus itself, in the spellings of code, with the loss that serves.
SCORES = {
    "f1": "dice",
    "F1": "dice",
    "f1-score": "dice",
    "f1_macro": "dice",
    "F1Score": "dice",
    "BinaryF1Score": "dice",
    "dice_score": "dice",
    "DiceCoef": "dice",
    "sorensen_dice_coefficient": "dice",
    "sklearn.metrics.f1_score": "dice",
    "torchmetrics.F1Score": "dice",
    "torchmetrics.functional.classification.multiclass_f1_score": "dice",
    "iou": "jaccard",
    "IoU-score": "jaccard",
    "soft_iou": "jaccard",
    "intersection_over_union": "jaccard",
    "jaccard_score": "jaccard",
    "sklearn.jaccard_score": "jaccard",
    "JaccardIndex": "jaccard",
    "torchmetrics.JaccardIndex": "jaccard",
    "keras.metrics.BinaryIoU": "jaccard",
    "miou": "jaccard_multiclass",
    "MeanIoU": "jaccard_multiclass",
    "keras.metrics.MeanIoU": "jaccard_multiclass",
    "mcc": "mcc_loss",
    "matthews": "mcc_loss",
    "MatthewsCorrCoef": "mcc_loss",
    "sklearn.metrics.matthews_corrcoef": "mcc_loss",
    "phi_coefficient": "mcc_loss",
    "tversky_index": "tversky",
    "psnr": "psnr_loss",
    "PeakSignalNoiseRatio": "psnr_loss",
    "peak_signal_to_noise_ratio": "psnr_loss",
    "skimage.metrics.peak_signal_noise_ratio": "psnr_loss",
    "box_iou": "iou_box",
    "torchvision.box_iou": "iou_box",
    "torchvision.ops.generalized_box_iou": "giou",
    "distance_box_iou": "diou",
    "torchvision.ops.complete_box_iou": "ciou",
    "cosine_similarity": "cosine_distance",
    "CosineSimilarity": "cosine_distance",
    "nn.CosineSimilarity": "cosine_distance",
    "F.cosine_similarity": "cosine_distance",
    "optax.cosine_similarity": "cosine_distance",
    "sklearn.metrics.pairwise.cosine_similarity": "cosine_distance",
    "torchmetrics.CosineSimilarity": "cosine_distance",
    "accuracy": "zero_one",
    "acc": "zero_one",
    "sklearn.metrics.accuracy_score": "zero_one",
    "keras.metrics.SparseCategoricalAccuracy": "zero_one",
    "top_k_accuracy_score": "top_k_error",
    "keras.metrics.SparseTopKCategoricalAccuracy": "top_k_error",
    "top_10_accuracy": "top_k_error",
    "top_k": "top_k_error",
}


@pytest.mark.parametrize(("typed", "loss"), SCORES.items())
def test_a_score_is_refused_with_the_loss_and_the_gate_that_says_the_same(typed, loss):
    for asked in (understand, look_up, info):
        with pytest.raises(
            UnknownName, match="score that lossctl does not have yet, and no loss is taken in its place"
        ) as caught:
            asked(typed)
        assert caught.value.code == 2
    hint = caught.value.hint
    assert f"lossctl compute {loss}" in hint
    assert " becomes --max " in hint


@pytest.mark.parametrize("typed", SCORES)
def test_no_loss_is_found_under_a_score(typed):
    assert spelling(typed.rpartition(".")[2]) not in LOSSES.rows()


@pytest.mark.parametrize(
    ("typed", "loss"),
    [
        ("f1_loss", "dice"),
        ("IoU_loss", "jaccard"),
        ("mcc_loss", "mcc_loss"),
        ("psnr-loss", "psnr_loss"),
        ("iou_box_loss", "iou_box"),
        ("intersection_over_union_loss", "jaccard"),
        ("MatthewsCorrelationLoss", "mcc_loss"),
        ("phi_coefficient_loss", "mcc_loss"),
        ("dice", "dice"),
        ("r2", "r2"),
        ("r2_loss", "r2_loss"),
        ("R2Score", "r2"),
        ("explained_variance", "explained_variance"),
        ("d2_pinball_score", "d2_pinball"),
        ("perplexity", "perplexity"),
        ("brier_score", "brier"),
        ("interval_score", "interval_score"),
        ("nse", "r2"),
        ("nash-sutcliffe", "r2"),
    ],
)
def test_what_stays(typed, loss):
    assert look_up(typed).name == loss


@pytest.mark.parametrize(
    "typed", ["explained_variance_loss", "d2_absolute_loss", "accuracy_loss", "nse_loss", "cosine_similarity_loss"]
)
def test_no_suffix_crosses_from_a_loss_to_a_score(typed):
    with pytest.raises(UnknownName):
        look_up(typed)


@pytest.mark.parametrize(
    ("typed", "loss"),
    [
        ("accuracy_loss", "zero_one: 1 - accuracy"),
        ("dice_coef_loss", "dice: 1 - f1"),
        ("JaccardIndexLoss", "jaccard: 1 - iou"),
        ("ssim_loss", "psnr_loss"),
    ],
)
def test_a_loss_made_of_a_score_is_not_said_to_be_a_score(typed, loss):
    with pytest.raises(UnknownName, match=f"^There is no loss '{typed}'.$") as caught:
        look_up(typed)
    assert caught.value.hint.startswith(f"Nearest is {loss}")


@pytest.mark.parametrize("typed", ["binary_dice_loss", "BinaryDiceLoss"])
def test_a_framework_s_loss_is_not_said_to_be_a_score(typed):
    with pytest.raises(UnknownName, match=r"^binary_dice_loss of optax is no number that lossctl has"):
        look_up(typed)


@pytest.mark.parametrize(
    ("key", "known"), [("iou_loss", "jaccard"), ("dice_loss", "dice"), ("f1_loss", "dice"), ("mcc_los", "mcc_loss")]
)
def test_a_gate_on_another_name_of_a_loss_is_not_turned_around(key, known):
    with pytest.raises(BadParameter) as caught:
        check_bounds([Gate(key, "max", 0.3)], {known: 0.5})
    assert caught.value.hint.endswith(f"Known results: {known}.")
    assert "--" not in caught.value.hint


@pytest.mark.parametrize(
    ("typed", "loss", "gate"),
    [("neg_mean_squared_error", "mse", "--max mse=0.5"), ("neg_log_loss", "log_loss", "--max log_loss=0.5")],
)
def test_a_scorer_is_minus_its_loss(typed, loss, gate):
    with pytest.raises(UnknownName) as caught:
        look_up(typed)
    assert f"The loss {loss} is -{typed}" in caught.value.hint
    assert f"--min {typed}=-0.5 becomes {gate}." in caught.value.hint
    with pytest.raises(BadParameter) as caught:
        check_bounds([Gate(typed, "min", -0.25)], {loss: 0.5})
    assert f"write --max {loss}=0.25." in caught.value.hint


MISSING = (
    "auc roc_auc AUROC ap map mAP@50 r rho tau bias coverage spearman pearsonr kendall precision recall recall@5 bleu ROUGE-L "
    "ndcg@10 mrr ece ssim crps dpo kappa wer lpips"
)


@pytest.mark.parametrize("typed", MISSING.split())
def test_common_names_of_what_is_missing_are_known(typed):
    with pytest.raises(UnknownName, match=r"(score|loss) that lossctl does not have yet") as caught:
        look_up(typed)
    assert "Did you mean" not in caught.value.hint


def test_the_table_leads_to_losses_that_are_here():
    for one in TABLE:
        assert not one.loss or look_up(parse_losses(one.loss)[0].name)
        assert bool(one.turn) <= one.score
        for name in (one.name, *one.also):
            assert absent(name) is one, name


@pytest.mark.parametrize(
    ("key", "loss", "kind", "bound", "wanted"),
    [
        ("f1", "dice", "min", 0.7, "--max dice=0.3"),
        ("f1_score", "dice", "max", 0.95, "--min dice=0.05"),
        ("mcc", "mcc_loss", "min", -0.2, "--max mcc_loss=1.2"),
        ("psnr", "psnr_loss", "min", 30.0, "--max psnr_loss=-30"),
        ("iou", "jaccard", "expect", 0.25, "--expect jaccard=0.75"),
    ],
)
def test_a_gate_on_a_score_says_the_gate_on_the_loss(key, loss, kind, bound, wanted):
    with pytest.raises(BadParameter) as caught:
        check_bounds([Gate(key, kind, bound)], {loss: 0.5})
    assert f"write {wanted}." in caught.value.hint.replace(".0.", ".")


@pytest.mark.parametrize("command", ["compute f1", "compute dice", "check"])
def test_a_gate_on_a_score_never_passes(command, tmp_path):
    saved, inputs = str(tmp_path / "saved.json"), ["[1,0,0,0,0]", "[0,1,1,1,1]"]
    program()(["compute", "dice", *inputs, "-o", saved], prog_name="lossctl", standalone_mode=False)
    words = ["check", saved] if command == "check" else [*command.split(), *inputs]
    with pytest.raises((UnknownName, BadParameter)) as caught:
        raise program()([*words, "--min", "f1=0.7"], prog_name="lossctl", standalone_mode=False).error
    assert "--max dice=0.3" in caught.value.paragraph()


def test_an_older_result_is_read_under_the_names_of_now(tmp_path):
    saved = tmp_path / "saved.json"
    program()(["compute", "psnr_loss", "[1,2]", "[1.5,2]", "-o", str(saved)], prog_name="lossctl", standalone_mode=False)
    old = json.loads(saved.read_text())
    old["results"][0]["loss"] = old["request"]["losses"][0]["name"] = "psnr"
    saved.write_text(json.dumps(old))
    printed = program()(["check", str(saved), "--max", "psnr_loss=-9"], prog_name="lossctl", standalone_mode=False)
    assert printed.error is None
    printed = program()(["check", str(saved), "--min", "psnr=9"], prog_name="lossctl", standalone_mode=False)
    assert "--max psnr_loss=-9" in printed.error.paragraph()


@pytest.mark.parametrize("typed", ["auc", "acc", "spearman", "mpe", "smse", "abc", "xyz", "kl2", "rec", "pred"])
def test_a_hint_is_within_reach(typed):
    names = set(catalogue())
    hint = near(typed, names, "losses", LOSSES.rows(), quantities=True)
    assert "Did you mean" not in hint


OTHERS = (
    "weighted_mse pinball_score Absolute JsdCrossEntropy SNRContrastive Sigmoid smooth_ap TupletMargin crmse rmdspe wmae "
    "lognormal_nll quantile_risk r1_penalty neg_mean_pinball_loss balanced_mae squared"
)


@pytest.mark.parametrize("typed", OTHERS.split())
def test_a_name_with_another_word_is_no_slip(typed):
    with pytest.raises(UnknownName) as caught:
        look_up(typed)
    assert "Did you mean" not in caught.value.hint


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("l1_los", "l1_loss"),
        ("r22_loss", "r2_loss"),
        ("bce_wih_logits", "bce_with_logits"),
        ("BCEWithLogitLoss", "bce_with_logits_loss"),
        ("smoth_l1", "smooth_l1"),
        ("lgo_loss", "log_loss"),
        ("rmsel", "rmsle"),
        ("distance_box_iou_los", "distance_box_iou_loss"),
        ("lovaz_hinge_loss", "lovasz_hinge_loss"),
    ],
)
def test_a_slip_in_a_word_is_hinted_at(typed, meant):
    with pytest.raises(UnknownName) as caught:
        look_up(typed)
    assert caught.value.hint.startswith(f"Did you mean '{meant}'? ")


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("mes", ["mse", "mae"], "mse"),
        ("hubr", ["huber", "mse"], "huber"),
        ("cros_entropy", ["cross_entropy", "bce"], "cross_entropy"),
        ("corss-entropi", ["cross_entropy"], "cross_entropy"),
        ("y_tru", ["y_true", "y"], "y_true"),
        ("ped.npy", ["pred.npy", "target.npy"], "pred.npy"),
        ("dleta", ["delta", "weight"], "delta"),
        ("Target", ["target"], "target"),
        ("jsn", ["csv", "json"], "json"),
        ("maxi", ["max", "min"], "max"),
        ("idx", ["id", "pred"], "id"),
    ],
)
def test_a_slip_is_hinted_at(typed, known, meant):
    assert near(typed, known, "things").startswith(f"Did you mean '{meant}'? ")


@pytest.mark.parametrize(("typed", "known"), [("nse", "nrse"), ("mde", "mse"), ("maxi", "max"), ("jsn", "json")])
def test_a_letter_more_or_less_is_another_quantity(typed, known):
    assert "Did you mean" not in near(typed, [known], "losses", quantities=True)


@pytest.mark.parametrize(("typed", "known"), [("mde", "mse"), ("prod", "pred"), ("ia", "id")])
def test_another_letter_is_another_short_word(typed, known):
    assert "Did you mean" not in near(typed, [known], "things")


def test_a_slip_in_an_alias_is_hinted_at():
    with pytest.raises(UnknownName, match=r"There is no loss 'mean_sqared_error'") as caught:
        look_up("mean_sqared_error")
    assert caught.value.hint.startswith("Did you mean 'mean_squared_error'? ")
