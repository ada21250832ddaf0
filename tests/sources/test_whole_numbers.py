"""Whole numbers beyond 2^53 in every format: losses of the difference alone are exact, others refuse what would be rounded."""

from __future__ import annotations

import decimal
import json

import arrow_files
import numpy as np
import pyarrow as pa
import pytest
from folders_of_files import Folder
from pyarrow import parquet

from lossctl.engine.binding import bind, by_difference
from lossctl.errors import OutOfDomain
from lossctl.losses import catalogue
from lossctl.losses.loss import scalars
from lossctl.request.options import Options
from lossctl.sources.readers import Memory, whole
from lossctl.sources.source import Given
from lossctl.sources.values import difference, rounded

# Nanoseconds since 1970, none of which but the targets float64 holds: its neighbours here are 256 apart.
SINCE = 1_700_000_000_000_000_000
PRED, TARGET = np.array([SINCE + 10, SINCE + 20, SINCE + 30]), np.array([SINCE] * 3)
LARGE = np.array([2**63 + 11, 2**63 + 1, 2**64 - 1], np.uint64)


def by_hand(loss, pred, target):
    """What the two readers of a loss hold: their difference, and nothing."""
    bound = bind(catalogue()[loss], {"pred": pred, "target": target}, scalars(catalogue()[loss], {}), Options())
    one, other = (whole(slot.reader) for slot in bound.slots[:2])
    return one - other


def saved(folder, kind):
    """Write both columns in a format, and return its name."""
    table = pa.table({"p": PRED, "t": TARGET})
    rows = [{"p": int(p), "t": int(t)} for p, t in zip(PRED, TARGET, strict=True)]
    texts = {"csv": ",", "tsv": "\t", "txt": " "}
    if kind in texts:
        lines = [("p", "t"), *((str(row["p"]), str(row["t"])) for row in rows)]
        folder.write(f"a.{kind}", "\n".join(texts[kind].join(line) for line in lines) + "\n")
    elif kind == "quoted.csv":
        folder.write("a.quoted.csv", "p,t\n" + "".join(f'"{row["p"]}.0",{row["t"]}\n' for row in rows))
    elif kind in {"json", "yaml"}:
        folder.write(f"a.{kind}", json.dumps({"p": PRED.tolist(), "t": TARGET.tolist()}))
    elif kind == "jsonl":
        folder.write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "npz":
        np.savez(folder.path / "a.npz", p=PRED, t=TARGET)
    elif kind == "pt":
        torch = pytest.importorskip("torch")
        torch.save({"p": torch.tensor(PRED), "t": torch.tensor(TARGET)}, folder.path / "a.pt")
    elif kind == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder.path / "a.h5", "w") as file:
            file["p"], file["t"] = PRED, TARGET.astype(">i8")
    elif kind == "safetensors":
        pytest.importorskip("safetensors.numpy").save_file({"p": PRED, "t": TARGET}, folder.path / "a.safetensors")
    else:
        return arrow_files.write(folder, kind, table, stem="a")
    return f"a.{kind}"


KINDS = (*("csv", "tsv", "txt", "quoted.csv", "json", "yaml", "jsonl", "npz", "pt", "h5", "safetensors"), *arrow_files.KINDS)


@pytest.fixture(params=["small", "large"])
def anywhere(request, tmp_path, monkeypatch):
    """A folder whose tables and lines of JSON are read the small way, or the large way in small pieces that are spilled."""
    if request.param == "large":
        for name, value in {"table.LARGE": -1, "bulk.PIECE": 24, "spool.PIECE": 24, "spool.KEPT": 8}.items():
            monkeypatch.setattr(f"lossctl.sources.{name}", value)
    return Folder(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_differences_are_exact_in_every_format(anywhere, kind):
    name = saved(anywhere, kind)
    pred, target = anywhere.reader(f"{name}:p"), anywhere.reader(f"{name}:t")
    assert by_hand("mse", pred, target).tolist() == [10, 20, 30]
    assert by_hand("l1", target, pred).tolist() == [-10, -20, -30]
    with pytest.raises(OutOfDomain, match="1700000000000000010"):
        by_hand("mape", pred, target)


@pytest.mark.parametrize(
    ("pred", "target", "expected"),
    [
        (PRED, TARGET, [10, 20, 30]),
        (LARGE, np.full(3, 2**63 + 1, np.uint64), [10, 0, 2**63 - 2]),
        (LARGE, TARGET, [2**63 + 11 - SINCE, 2**63 + 1 - SINCE, 2**64 - 1 - SINCE]),
        (np.array([-(2**63), 2**63 - 1]), np.array([2**63 - 1, -(2**63)]), [1 - 2**64, 2**64 - 1]),
        (PRED, TARGET.astype(float), [10, 20, 30]),
        (np.array([0.5, SINCE]), np.array([1, SINCE + 3]), [-0.5, -3]),
        (np.array([2**53 + 1, 5]), np.array([2**53, 7]), [1, -2]),
        (np.array([2**60 + 1, 3]), np.array([4, 2**60 + 1], np.uint64), [2**60 - 3, 2 - 2**60]),
        (np.array([7, 2**62]), np.array([True, False]), [6, 2**62]),
        (PRED, np.array([SINCE, np.nan, np.inf]), [10, np.nan, -np.inf]),
    ],
)
def test_the_difference_is_rounded_once(pred, target, expected):
    np.testing.assert_array_equal(by_hand("l1", Memory(pred), Memory(target)), np.array(expected, float))
    np.testing.assert_array_equal(difference(pred, target), np.array(expected, float))


def test_a_range_is_as_exact_as_the_whole():
    pred, target = (Memory(array.reshape(3, 1)) for array in (PRED, TARGET))
    bound = bind(catalogue()["huber"], {"pred": pred, "target": target}, {"delta": 1.0}, Options())
    first, second = (slot.reader for slot in bound.slots)
    assert (first.read(1, 3) - second.read(1, 3)).tolist() == [[20], [30]]


def test_what_float64_holds_is_never_refused():
    held = np.array([2**53, -(2**53), 2**60, 3 << 61, -(2**63), 2**53 + 2])
    assert rounded(held) is None
    assert rounded(np.array([2**63, 2**64 - 2**11], np.uint64)) is None
    lost = np.array([2**53 + 1, -(2**53) - 1, 2**60 + 1, 2**63 - 1, 2**53])
    assert rounded(lost).tolist() == [True] * 4 + [False]
    assert rounded(np.array([2**64 - 1, 5], np.uint64)).tolist() == [True, False]
    assert by_hand("mape", Memory(held), Memory(held)).tolist() == [0] * 6


# Every loss whose formula has pred - target and nothing else of the two (docs/losses).
OF_DIFFERENCES = {"mse", "l1", "huber", "smooth_l1", "log_cosh", "pinball", "rmse", "l2_half", "fair", "gaussian_nll", "linex"}
NOT = {"mape", "smape", "msle", "mspe", "poisson_nll", "hinge", "bce_with_logits", "zero_one", "kl_div"}


def test_losses_of_differences_are_known_by_trying():
    def tried(name):
        loss = catalogue()[name]
        names = [argument.name for argument in loss.signature.inputs]
        return by_difference(loss, {one: Memory(np.ones((5, 2))) for one in names}, scalars(loss, {}))

    known = set(catalogue())
    assert {name for name in OF_DIFFERENCES & known if not tried(name)} == set()
    assert {name for name in NOT & known if tried(name)} == set()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"x\n{SINCE + 1}\n1.5\n", "line 2, column 'x': the cell is 1700000000000000001"),
        (f"x,y\n1,1\n\n,1\n{SINCE + 1},1\n", "column 'x': the cell is 1700000000000000001"),
        (f"x\n-{SINCE + 1}\n1e-3\n", "is -1700000000000000001"),
        (f"x\n{2**64 + 1}\n3\n", "is 18446744073709551617"),
    ],
)
def test_a_column_that_is_not_whole_refuses_what_it_would_round(anywhere, content, said):
    anywhere.write("a.csv", content)
    with pytest.raises(OutOfDomain, match="beyond 2\\^53") as caught:
        whole(anywhere.reader("a.csv:x"))
    assert said in caught.value.message or "A number in a.csv is" in caught.value.message


def test_numbers_with_a_point_or_an_exponent_are_floats(anywhere):
    anywhere.write("a.csv", "x\n1.7e18\n12345678901234567890.5\n1e300\n1700000000000000000\n")
    assert anywhere.array("a.csv").tolist() == [1.7e18, 12345678901234567890.5, 1e300, 1.7e18]
    anywhere.write("a.jsonl", "1.7e18\n0.12345678901234567\n1700000000000000000\n")
    assert anywhere.array("a.jsonl").tolist() == [1.7e18, 0.12345678901234567, 1.7e18]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", f"{SINCE + 1}\n1.5\n"),
        ("a.jsonl", f"{SINCE + 1}\nnull\n"),
        ("a.jsonl", f"[1.5, {SINCE + 1}]\n[1, 2]\n"),
        ("a.json", f"[{SINCE + 1}, 1.5]"),
        ("a.json", f"[{SINCE + 1}, null]"),
        ("a.yaml", f"[[1, {SINCE + 1}], [.nan, 1]]"),
    ],
)
def test_json_and_yaml_refuse_what_they_would_round(anywhere, name, content):
    anywhere.write(name, content)
    with pytest.raises(OutOfDomain, match="1700000000000000001"):
        whole(anywhere.reader(name))


def test_inline_numbers_are_as_exact_as_files(folder):
    pred, target = (folder.files.open(Given(value=array.tolist()), "pred") for array in (PRED, TARGET))
    assert by_hand("l1", pred, target).tolist() == [10, 20, 30]
    with pytest.raises(OutOfDomain, match="at \\[0\\]"):
        folder.files.open(Given(value=[SINCE + 1, 0.5]), "pred")


def test_nulls_decimals_and_mixed_columns_are_refused_where_they_would_be_rounded(folder):
    columns = {
        "null": pa.array([SINCE, None, SINCE + 1]),
        "decimal": pa.array([decimal.Decimal(SINCE + 1)] * 3),
        "words": pa.array([SINCE + 1, None, SINCE + 1]).dictionary_encode(),
        "held": pa.array([SINCE, None, 2**60]),
        "wide": pa.array([SINCE + 1] * 3),
        "real": pa.array([0.5] * 3),
        "money": pa.array([decimal.Decimal("12345678901234567.89")] * 3),
    }
    parquet.write_table(pa.table(columns), folder.path / "a.parquet")
    for name in ("null", "decimal", "words"):
        with pytest.raises(OutOfDomain, match="1700000000000000001"):
            whole(folder.reader(f"a.parquet:{name}"))
    np.testing.assert_array_equal(folder.array("a.parquet:held"), [SINCE, np.nan, 2**60])
    assert folder.array("a.parquet:money").tolist() == [12345678901234567.89] * 3
    with pytest.raises(OutOfDomain, match="1700000000000000001"):
        whole(folder.reader("a.parquet:[wr]*[el]"))
    np.savez(folder.path / "a.npz", a=PRED, b=np.full(3, 1.5))
    with pytest.raises(OutOfDomain, match="other columns"):
        whole(folder.reader("a.npz:[ab]"))
    folder.save("s1.npy", PRED)
    folder.save("s2.npy", np.ones(3))
    with pytest.raises(OutOfDomain, match="other files"):
        whole(folder.reader("s*.npy"))


@pytest.mark.parametrize("kind", ["npy", "csv", "jsonl", "parquet"])
def test_ids_and_groups_are_told_apart(folder, kind):
    ids = [2**53, 2**53 + 1, 2**53]
    if kind == "npy":
        folder.save("a.npy", np.array(ids))
    elif kind == "parquet":
        parquet.write_table(pa.table({"id": ids, "x": [1.0, 2, 3]}), folder.path / "a.parquet")
    else:
        line = "{},1\n" if kind == "csv" else '{{"id": {}, "x": 1}}\n'
        folder.write(f"a.{kind}", ("id,x\n" if kind == "csv" else "") + "".join(line.format(one) for one in ids))
    text = "a.npy" if kind == "npy" else f"a.{kind}:id"
    names, codes = folder.files.groups(text, Given(value=[1, 2, 3]))
    assert names == [str(2**53), str(2**53 + 1)]
    assert np.asarray(codes[:]).tolist() == [0, 1, 0]
