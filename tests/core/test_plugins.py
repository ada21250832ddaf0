import sys

import pytest

from lossctl.errors import UnknownName
from lossctl.losses import LOSSES, catalogue, rows, spelling
from lossctl.plugins import Plugins, resolve
from lossctl.request.lookup import look_up


def table(**more):
    return Plugins("thing", "lossctl.no_such_group", lambda: {"one": 1, "root": "math:sqrt"}, **more)


def test_rows_are_values_or_paths():
    assert table().get("one") == 1
    assert table().get("root")(9) == 3


@pytest.mark.parametrize("name", ["two", "", "math:pi", "ONE"])
def test_unknown_names(name):
    with pytest.raises(UnknownName) as caught:
        table().get(name)
    assert "There is no thing" in caught.value.message
    assert "Known things: one, root." in caught.value.hint


def test_near_names():
    with pytest.raises(UnknownName) as caught:
        table().get("rot")
    assert caught.value.hint.startswith("Did you mean 'root'?")


def test_by_path():
    import math

    assert table(by_path=True).get("math:pi") == math.pi


@pytest.mark.parametrize("path", ["math:pie", "no_such_module:x", ":x", "math:", "./no_such_file.py:x", "a:b:c"])
def test_paths_that_lead_nowhere(path):
    with pytest.raises(UnknownName, match="could not be imported"):
        resolve(path, path)


def test_a_file_whose_import_fails(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(UnknownName, match="ZeroDivisionError"):
        resolve(f"{tmp_path}/broken.py:x", "x")


def test_a_file_does_not_stand_in_for_a_module_of_its_name(tmp_path):
    import random

    (tmp_path / "random.py").write_text(
        "class Mine: pass\nfrom dataclasses import dataclass\n@dataclass\nclass Data:\n    x: int = 1\n"
    )
    assert resolve(f"{tmp_path}/random.py:Data", "x")().x == 1
    assert sys.modules["random"] is random


def test_a_path_is_never_taken_for_a_name():
    # The letters after the last dot are 'mse', and before this was so they meant our own mse.
    with pytest.raises(UnknownName, match=r"'my\.m:se' could not be imported"):
        LOSSES.get("my.m:se")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("nn.CrossEntropyLoss", "cross_entropy"),
        ("torch.nn.functional.cross_entropy", "cross_entropy"),
        ("cross-entropy", "cross_entropy"),
        ("CrossEntropyLoss", "cross_entropy"),
        ("CROSS_ENTROPY", "cross_entropy"),
        ("ce", "cross_entropy"),
        ("MSELoss", "mse"),
        ("mse_loss", "mse"),
        ("BCEWithLogitsLoss", "bce_with_logits"),
        ("KLDivLoss", "kl_div"),
        ("GaussianNLLLoss", "gaussian_nll"),
        ("TripletMarginLoss", "triplet_margin"),
        ("CTCLoss", "ctc"),
        ("HuberLoss", "huber"),
        ("L1Loss", "l1"),
        ("InfoNCE", "info_nce"),
    ],
)
def test_spellings(typed, name):
    assert look_up(typed) is catalogue()[name]


def test_no_two_losses_share_a_spelling():
    owners = {}
    for loss in catalogue().values():
        for name in {loss.name, *loss.aliases, loss.torch} - {""}:
            owners.setdefault(spelling(name), set()).add(loss.name)
    assert {word: names for word, names in owners.items() if len(names) > 1} == {}
    assert set(rows()) == set(owners)


@pytest.mark.parametrize("typed", ["los", "", "loss", "mse2", "l", "."])
def test_what_is_no_loss(typed):
    with pytest.raises(UnknownName, match="There is no loss"):
        LOSSES.get(typed)


@pytest.mark.parametrize(("typed", "near"), [("hubber", "huber"), ("Cross_Entrpy", "cross_entropy"), ("HUBR", "huber")])
def test_the_nearest_loss_is_named(typed, near):
    with pytest.raises(UnknownName) as caught:
        LOSSES.get(typed)
    assert caught.value.hint.startswith(f"Did you mean '{near}'?")
    assert caught.value.hint.endswith("losses: lossctl list names them.")
