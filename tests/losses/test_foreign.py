"""torch.nn called through import paths gives what torch gives, and keeps the promises that others' losses can keep."""

import warnings

import numpy as np
import pytest
import torch
from foreign import CLASSES, COUNTS, FRAMES, LABELS, LENGTHS, LOGS, ONES, OTHER, REAL, SHARE, SIGNS, THIRD, VARIANCE, compute
from torch import nn

from lossctl.commands.verify import run as verify
from lossctl.errors import LossctlError, NoSuchReduction, OutOfDomain, ShapeMismatch
from lossctl.sources.source import Given

MODULES = {
    "L1Loss": (REAL, OTHER),
    "MSELoss": (REAL, OTHER),
    "SmoothL1Loss:beta=0.5": (REAL, OTHER),
    "HuberLoss:delta=2": (REAL, OTHER),
    "PoissonNLLLoss:full=true,eps=1e-6": (REAL, VARIANCE),
    "CrossEntropyLoss": (REAL, CLASSES),
    "CrossEntropyLoss:weight=1,2,4,.5,label_smoothing=0.1": (REAL, CLASSES),
    "CrossEntropyLoss:ignore_index=1,weight=none": (REAL, CLASSES),
    "NLLLoss:weight=1,2,4,.5": (LOGS, CLASSES),
    "KLDivLoss:log_target=True": (LOGS, LOGS[::-1]),
    "BCELoss": (SHARE, ONES),
    "BCEWithLogitsLoss:pos_weight=1,2,3,4": (REAL, ONES),
    "HingeEmbeddingLoss:margin=2": (REAL, np.where(ONES, 1, -1)),
    "SoftMarginLoss": (REAL, np.where(ONES, 1, -1)),
    "MultiLabelSoftMarginLoss": (REAL, ONES),
    "MultiLabelMarginLoss": (REAL, np.tile([2, 0, -1, 1], (6, 1))),
    "MultiMarginLoss:p=2,margin=0.5": (REAL, CLASSES),
    "MarginRankingLoss:margin=0.3": (REAL, OTHER, np.where(ONES, 1, -1)),
    "CosineEmbeddingLoss:margin=0.1": (REAL, OTHER, SIGNS),
    "TripletMarginLoss:swap=true,p=1": (REAL, OTHER, THIRD),
    "TripletMarginWithDistanceLoss": (REAL, OTHER, THIRD),
    "GaussianNLLLoss:full=true": (REAL, OTHER, VARIANCE),
    "CTCLoss:blank=0,zero_infinity=true": (FRAMES, LABELS, LENGTHS, COUNTS),
}
KEYWORDS = {
    "beta=0.5": {"beta": 0.5},
    "delta=2": {"delta": 2},
    "full=true,eps=1e-6": {"full": True, "eps": 1e-6},
    "weight=1,2,4,.5,label_smoothing=0.1": {"weight": [1, 2, 4, 0.5], "label_smoothing": 0.1},
    "ignore_index=1,weight=none": {"ignore_index": 1},
    "weight=1,2,4,.5": {"weight": [1, 2, 4, 0.5]},
    "log_target=True": {"log_target": True},
    "pos_weight=1,2,3,4": {"pos_weight": [1, 2, 3, 4]},
    "margin=2": {"margin": 2},
    "p=2,margin=0.5": {"p": 2, "margin": 0.5},
    "margin=0.3": {"margin": 0.3},
    "margin=0.1": {"margin": 0.1},
    "swap=true,p=1": {"swap": True, "p": 1},
    "full=true": {"full": True},
    "blank=0,zero_infinity=true": {"blank": 0, "zero_infinity": True},
    "": {},
}
FLOATING = {"BCELoss", "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss", "HingeEmbeddingLoss", "SoftMarginLoss"}


def by_torch(name, arrays, reduction):
    name, _, params = name.partition(":")
    keywords = {
        word: torch.tensor(value, dtype=torch.float64) if isinstance(value, list) else value
        for word, value in KEYWORDS[params].items()
    }
    tensors = [torch.tensor(np.ascontiguousarray(array)) for array in arrays]
    if name in FLOATING:
        tensors[1] = tensors[1].double()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="reduction: 'mean' divides")
        return getattr(nn, name)(**keywords, reduction=reduction)(*tensors).numpy()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", list(MODULES))
def test_torch_by_its_path_is_torch(name, reduction):
    (row,) = compute(f"torch.nn:{name}", *MODULES[name], reduction=reduction)
    assert row["n"] == 6
    np.testing.assert_allclose(row["value"], by_torch(name, MODULES[name], reduction), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", sorted({name.partition(":")[0] for name in MODULES}))
def test_torch_keeps_its_promises(name):
    report, error = verify(f"torch.nn:{name}")
    assert error is None, report.rows
    assert {row["check"]: row["result"] for row in report.rows}["gradient"] == "passed"


def test_batchmean_is_its_own_or_refused():
    arrays = (LOGS, SHARE)
    (row,) = compute("torch.nn:KLDivLoss", *arrays, reduction="batchmean")
    assert row["value"] == by_torch("KLDivLoss", arrays, "batchmean")
    with pytest.raises(NoSuchReduction, match=r"torch\.nn:L1Loss has no reduction 'batchmean' of its own"):
        compute("torch.nn:L1Loss", *arrays, reduction="batchmean")


def test_labels_of_a_table_are_whole_floats():
    found = compute("torch.nn:CrossEntropyLoss", REAL, CLASSES.astype(float))
    assert found == compute("torch.nn:CrossEntropyLoss", REAL, CLASSES)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_backend_and_type_reach_the_module(backend, dtype):
    name = "torch.nn:CrossEntropyLoss:weight=1,2,4,.5"
    (row,) = compute(name, REAL, CLASSES, backend=backend, dtype=dtype)
    wanted = compute(name, REAL, CLASSES)[0]["value"]
    assert row["value"] == pytest.approx(wanted, rel=1e-12 if dtype == "f64" else 1e-6)
    assert (row["value"] == wanted) == (dtype == "f64")


def test_a_function_and_a_class_are_one_loss():
    pair = compute("torch.nn.functional:huber_loss:delta=2,torch.nn:HuberLoss:delta=2,huber:delta=2", REAL, OTHER)
    values = [row["value"] for row in pair]
    assert values == pytest.approx([values[2]] * 3, rel=1e-14)


def test_samples_and_masks_by_sample():
    rows = compute("torch.nn:HuberLoss", REAL, OTHER, worst=2)
    assert [row["value"] for row in rows] == sorted((row["value"] for row in rows), reverse=True)
    kept = compute("torch.nn:HuberLoss", REAL, OTHER, mask=Given(value=[1, 0, 1, 1, 0, 1]))
    rest = [0, 2, 3, 5]
    assert kept[0]["value"] == compute("torch.nn:HuberLoss", REAL[rest], OTHER[rest])[0]["value"]


@pytest.mark.parametrize(
    ("arrays", "kind"),
    [((REAL, OTHER[0]), ShapeMismatch), ((SIGNS[:, None], SIGNS), ShapeMismatch), ((REAL[:0], OTHER[:0]), LossctlError)],
)
def test_shapes_that_merely_broadcast_are_refused(arrays, kind):
    with pytest.raises(kind):
        compute("torch.nn:MSELoss", *arrays)
    if arrays[0].shape == (6, 1):
        assert compute("torch.nn:MSELoss", *arrays, squeeze=True)[0]["value"] == 0


def test_labels_outside_are_a_data_fault():
    with pytest.raises(OutOfDomain, match="Target 9 is out of bounds"):
        compute("torch.nn:CrossEntropyLoss", REAL, np.where(np.arange(6) == 0, 9.0, CLASSES))
