"""Each number that decides whether something is warned of, on both sides of it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from inside import run

from lossctl.request.options import Options
from lossctl.sources.readers import FileBacked
from lossctl.warnings import check_shares
from lossctl.warnings.order import TriedPairing as Tried
from lossctl.warnings.order import _cuts, rows_of

RNG = np.random.default_rng(3)
UNIT = RNG.uniform(0.05, 0.95, 8).round(3).tolist()
ONES = [1, 0] * 4


def probabilities(off):
    """Two rows of which the first adds up to 1 + off."""
    return [[0.5, 0.3, 0.2 + off], [0.2, 0.2, 0.6]]


def logarithms(off):
    return np.log(probabilities(off)).tolist()


def embeddings(collapsed, gap):
    """Ten triplets, whose 20 distances are 1 but for the first, which are `gap`."""
    anchor, positive, negative = np.zeros((10, 2)), np.ones((10, 2)), np.ones((10, 2))
    positive[:10], negative[: collapsed - 10] = gap, gap
    return anchor.tolist(), positive.tolist(), negative.tolist()


def variances(error, var, n=8):
    return [error] * n, [0.0] * n, [var] * n


def labels(n, classes=3, first=1):
    return [[0.5] + [0.0] * (classes - 1)] * n, (np.arange(n) % (classes - first) + first).tolist()


LIMITS = [
    # Two classes, and rows that add up to 1 within a thousandth.
    ("L001", ("ce", [[1.0], [1.0]], [0, 0]), False),
    ("L001", ("ce", [[0.5, 0.5]], [0]), True),
    ("L001", ("ce", probabilities(0.00095), [0, 1]), True),
    ("L001", ("ce", probabilities(0.0011), [0, 1]), False),
    ("L001", ("ce", [[0.0, 1.0]], [0]), True),
    ("L001", ("ce", [[-0.0001, 1.0]], [0]), False),
    ("L001", ("ce", [[0.0, 1.0001]], [0]), False),
    # Eight numbers from 0 to 1.
    ("L002", ("bce_with_logits", UNIT, ONES), True),
    ("L002", ("bce_with_logits", UNIT[1:], ONES[1:]), False),
    ("L002", ("bce_with_logits", [0, 1, *UNIT], [0, 1, *ONES]), True),
    ("L002", ("bce_with_logits", ONES, ONES), False),
    ("L002", ("bce_with_logits", [-0.001, *UNIT], [0, *ONES]), False),
    ("L002", ("bce_with_logits", [1.001, *UNIT], [0, *ONES]), False),
    ("L005", ("hinge", UNIT, ONES), True),
    ("L005", ("hinge", UNIT[1:], ONES[1:]), False),
    ("L003", ("nll", [[0.0, 0.7]], [0]), True),
    ("L003", ("nll", [[-0.001, 0.7]], [0]), False),
    # Exponentials add up to 1 within a hundredth.
    ("L004", ("nll", logarithms(0.0095), [0, 1]), False),
    ("L004", ("nll", logarithms(0.0105), [0, 1]), True),
    ("L004", ("nll", [[0.0, 0.7]], [0]), False),
    ("L006", ("hinge_embedding", [0.0, 0.5], [1, -1]), False),
    ("L006", ("hinge_embedding", [-0.001, 0.5], [1, -1]), True),
    # A label to ignore is a class from 0 to C - 1, and is there.
    ("L012", ("ce:ignore_index=2", *labels(6)), True),
    ("L012", ("ce:ignore_index=3", *labels(6)), False),
    ("L012", ("ce:ignore_index=0", *labels(6)), False),
    ("L012", ("ce:ignore_index=-1", *labels(6)), False),
    # Ten labels for each of three classes, of which just the first is missing.
    ("L013", ("ce", *labels(30)), True),
    ("L013", ("ce", *labels(29)), False),
    ("L013", ("ce", *labels(30, classes=2)), False),
    ("L013", ("ce", *labels(30, first=0)), False),
    ("L013", ("ce", *labels(40, classes=4, first=2)), False),
    ("L014", ("ce", [[1.0, -1.0, 0.5]] * 2, probabilities(0.00095)), False),
    ("L014", ("ce", [[1.0, -1.0, 0.5]] * 2, probabilities(0.00105)), True),
    ("L018", ("bce_with_logits:pos_weight=2", [0.5], [1]), False),
    ("L018", ("bce_with_logits:pos_weight=2,3", [0.5, -0.5], [1, 0]), True),
    ("L019", ("ce", [[[0.5]]], [[0]]), False),
    ("L019", ("ce", [[[0.5, 1.5], [0.1, 0.2]]], [[0, 1]]), True),
    ("L019", ("ce", [[[0.5, 1.5, 0.0], [0.1, 0.2, 0.0]]], [[0, 1, 0]]), False),
    ("L031", ("kl_div", [-0.5, -1.0], [0.5, 0.5]), False),
    ("L031", ("kl_div", [[-0.5, -1.0]], [[0.5, 0.5]]), True),
    ("L032", ("mse", [2, 2], [1, 2]), False),
    ("L032", ("mse", [2, 2, 2], [1, 2, 3]), True),
    # error^2/var is 4 and 3.9, or 1/4 and 0.26, where error^2/var^2 is 1.
    ("L034", ("gaussian_nll", *variances(4.0, 4.0)), True),
    ("L034", ("gaussian_nll", *variances(3.9, 3.9)), False),
    ("L034", ("gaussian_nll", *variances(0.25, 0.25)), True),
    ("L034", ("gaussian_nll", *variances(0.26, 0.26)), False),
    # error^2/var^2 from 1/2 to 2.
    ("L034", ("gaussian_nll", *variances(9 * 1.41, 9.0)), True),
    ("L034", ("gaussian_nll", *variances(9 * 1.42, 9.0)), False),
    ("L034", ("gaussian_nll", *variances(9 * 0.71, 9.0)), True),
    ("L034", ("gaussian_nll", *variances(9 * 0.70, 9.0)), False),
    ("L034", ("gaussian_nll", *variances(9.0, 9.0, 7)), False),
    ("L036", ("bce", ONES, UNIT), True),
    ("L036", ("bce", ONES[1:], UNIT[1:]), False),
    ("L038", ("mse", list(range(8)), UNIT), True),
    ("L038", ("mse", list(range(7)), UNIT[1:]), False),
    ("L038", ("mse", list(range(1, 9)), UNIT), True),
    ("L038", ("mse", list(range(2, 10)), UNIT), False),
    ("L039", ("contrastive", [[0.0], [0.0]], [[1.0], [1.0]], [0, 1]), False),
    ("L039", ("contrastive", [[0.0], [0.0]], [[1.0], [1.01]], [0, 1]), True),
    # 19 and 18 of 20 distances, below a thousandth.
    ("L040", ("triplet_margin", *embeddings(19, 0.00095)), True),
    ("L040", ("triplet_margin", *embeddings(18, 0.00095)), False),
    ("L040", ("triplet_margin", *embeddings(20, 0.00105)), False),
    ("L042", ("mse", UNIT, UNIT), True),
    ("L042", ("mse", UNIT[1:], UNIT[1:]), False),
    ("L042", ("mse", list(range(3, 13)), list(range(3, 13))), False),
    # 20 rows in reverse.
    ("L043", ("mse", np.arange(20.0)[::-1].tolist(), (np.arange(20.0) + 0.25).tolist()), True),
    ("L043", ("mse", np.arange(19.0)[::-1].tolist(), (np.arange(19.0) + 0.25).tolist()), False),
]


def warnings(words, folder):
    argv = " ".join(word if isinstance(word, str) else f"'{json.dumps(word)}'" for word in words)
    return {found["code"]: found["message"] for found in json.loads(run(f"compute {argv} -f json", folder).stdout)["warnings"]}


@pytest.mark.parametrize(("code", "words", "warned"), LIMITS)
def test_a_warning_begins_where_it_says(code, words, warned, tmp_path):
    assert (code in warnings(words, tmp_path)) == warned


@pytest.mark.parametrize(("classes", "listed"), [(7, "1, 2, 3, 4, 5:"), (8, "1, 2, 3, 4, 5 and 1 more:")])
def test_five_absent_classes_are_listed(classes, listed, tmp_path):
    pred, target = np.full((2, classes), 1 / classes).tolist(), [0, classes - 1]
    message = warnings(("dice_multiclass", pred, target), tmp_path)["L066"]
    assert message.startswith(f"no label of class {listed}")


@pytest.mark.parametrize(("share", "warned"), [(0.95, False), (0.951, True)])
def test_a_term_dominates_above_95_percent_of_several(share, warned):
    assert [found.code for found in check_shares({"a": share, "b": 1 - share}, Options())] == ["L041"] * warned
    assert check_shares({"a": 1.0}, Options()) == []


def rows(n, elements=1, **more):
    return rows_of(SimpleNamespace(bound=SimpleNamespace(n=n, elements=elements, slots=(), **more), options=None))


@pytest.mark.parametrize(("n", "elements"), [(19, 1), (20, 3277)])
def test_too_few_or_too_large_rows_are_not_looked_at(n, elements):
    assert rows(n, elements) is None
    assert rows(20, 3276).everything


def test_all_of_twenty_thousand_rows_are_looked_at():
    assert rows(20_000).everything
    assert rows(20_000).index.tolist() == list(range(1, 19_999))
    assert not rows(20_001).everything


@pytest.mark.parametrize(
    ("n", "elements", "pieces", "length"), [(20_001, 1, 20, 999), (10_000, 327, 20, 10), (10_000, 329, 19, 10)]
)
def test_large_data_are_looked_at_in_pieces_of_ten_rows_or_more(n, elements, pieces, length):
    index = rows(n, elements).index
    assert len(index) == pieces * length
    assert index.min() == 1
    assert index.max() == n - 2
    assert np.count_nonzero(np.diff(index) != 1) == pieces - 1


class Decoded(FileBacked):
    """A file whose short ranges are decoded with others."""

    dear = True


def test_three_pieces_are_read_where_each_costs_more_than_its_bytes():
    reader = Decoded()
    found = rows_of(
        SimpleNamespace(
            bound=SimpleNamespace(n=30_000, elements=1, slots=(SimpleNamespace(axis=0, reader=reader),)), options=None
        )
    )
    assert np.count_nonzero(np.diff(found.index) != 1) == 2


def losses(lower, higher, mean):
    """Rows that cost 1, and others that cost 0 in some and 2 in others; the means are as they are told."""
    values = np.r_[np.zeros(lower), np.full(higher, 2.0), np.ones(5)]
    return Tried(1.0, np.ones(values.size)), Tried(mean, values)


@pytest.mark.parametrize(
    ("lower", "higher", "mean", "wanted"),
    [
        (12, 4, 0.1, True),
        (12, 4, 0.101, False),
        # Ten rows or more are lower, and three for each that is higher.
        (12, 5, 0.1, False),
        (10, 3, 0.1, True),
        (9, 1, 0.1, False),
    ],
)
def test_a_tenth_of_the_loss_in_many_rows_is_a_cut(lower, higher, mean, wanted):
    given, found = losses(lower, higher, mean)
    assert _cuts(given, found, np.zeros(given.values.size)) == wanted


@pytest.mark.parametrize(("floor", "wanted"), [(-0.01, False), (0.01, True)])
def test_a_loss_below_zero_is_cut_to_a_tenth_above_its_floor(floor, wanted):
    # Above the floor -1 + `floor` the rows cost 1 and then 0.1, but for a hundredth.
    given, found = Tried(0.0, np.zeros(20)), Tried(-0.9, np.full(20, -0.9))
    assert _cuts(given, found, np.full(20, -1 + floor)) == wanted


@pytest.mark.parametrize(
    ("n", "share", "warned"), [(4096, 0.2, True), (4097, 0.2, False), (4097, 0.255, False), (4097, 0.27, True)]
)
def test_rows_that_belong_together_at_least_roughly_are_not_put_in_another_order(n, share, warned, tmp_path):
    """In reverse order one part of the targets stays, and one changes its sign: the pairs given cost 4 times its share.

    Chance costs 2, and half of it is the limit for more than 4096 numbers.
    """
    random = np.random.default_rng(1)
    same, other = random.normal(size=(2, n))
    target = np.sqrt(1 - share) * (same + same[::-1]) + np.sqrt(share) * (other - other[::-1])
    np.save(tmp_path / "t.npy", target)
    np.save(tmp_path / "p.npy", target[::-1] + 0.001 * random.normal(size=n))
    assert ("L043" in warnings(("mse", "p.npy", "t.npy"), tmp_path)) == warned
