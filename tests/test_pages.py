"""The reference pages are those that the catalogue makes now, and their curves are measured."""

import sys

import pytest
from golden import ROOT

sys.path.append(str(ROOT / "scripts"))

import pages
import reference

from lossctl.losses import catalogue

FOLDER = ROOT / "docs" / "losses"


def test_every_page_is_there_and_no_other():
    names = {path.name for path in FOLDER.iterdir()}
    assert {name for name in names if name.endswith(".md")} == {"README.md", *(f"{name}.md" for name in catalogue())}
    assert {name.removesuffix(".svg") for name in names if not name.endswith(".md")} < set(catalogue())
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == pages.index()


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_a_page_is_current(name):
    loss = catalogue()[name]
    curves = pages.curves(loss)
    plot = FOLDER / f"{name}.svg"
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == pages.page(loss, curves), "run scripts/refresh docs/losses"
    assert (plot.read_text(encoding="utf-8") if plot.exists() else "") == (pages.plot(loss, curves) if curves else "")


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("mse", ["unbounded gradient", "zero at most at single points", "convex", "smooth"]),
        ("l1", ["gradient bounded by 1", "zero at most at single points", "convex", "with a kink at 0"]),
        ("huber", ["gradient bounded by 1", "zero at most at single points", "convex", "smooth"]),
        ("welsch", ["gradient bounded by 0.607", "zero at most at single points", "not convex", "smooth"]),
    ],
)
def test_the_gradient_is_described_as_it_is(loss, said):
    assert pages.behaviour(pages.curves(catalogue()[loss])[0]) == said


def test_a_loss_of_labels_has_no_curve():
    assert pages.curves(catalogue()["cross_entropy"]) == []


def test_the_page_of_the_command_line_is_current():
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference.page(), "run scripts/refresh docs/cli.md"


def test_the_page_of_the_command_line_says_everything_of_an_option():
    page = reference.page()
    assert (
        "| `--nan` `HOW` | `error` | `error` `skip` `propagate` | `nan` | NaN and infinity: error, skip or propagate. |" in page
    )
    assert "| `--seed` `N` | `0` or `$LOSSCTL_SEED` | at least 0 |  | Of flips and resamples. |" in page
    assert "| 5 | A gate that the data cannot decide. |" in page
