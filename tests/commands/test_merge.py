"""`compute --partial` and `merge`: parts add up to the same bits as one run, or are refused."""

import json
import math
import os
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from lossctl.commands.compute import run as compute
from lossctl.commands.listing import run as schema_of
from lossctl.commands.merge import Merging
from lossctl.commands.merge import run as merge
from lossctl.commands.partial import checksum, load, schema
from lossctl.commands.partial import run as partial
from lossctl.engine.fold import fold, spans
from lossctl.errors import GateFailed, InputError, NothingLeft, Undecided, UnreadableFile, UsageError
from lossctl.report import strict
from lossctl.request.options import Options, part_of
from lossctl.request.spec import Gate, LossSpec, Spec, Term, parse_losses
from lossctl.sources.source import Given

# Blocks are small here, so that few numbers make several of them.
BLOCK = 64
ROWS = 150


def quiet(_):
    """Say nothing."""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(fold.__kwdefaults__, "block", BLOCK)
    random = np.random.default_rng(0)
    for number, rows in enumerate((ROWS, 5, 70)):
        np.save(f"p{number}.npy", random.normal(size=rows).astype(np.float32))
        np.save(f"t{number}.npy", random.normal(size=rows).astype(np.float32))
        np.save(f"g{number}.npy", random.integers(0, 3, rows) + number)
        np.save(f"w{number}.npy", random.uniform(size=rows))
    return tmp_path


def asked(losses="mse,huber:delta=.5", shard="?", **options):
    sources = tuple(Given(text=f"{name}{shard}.npy") for name in "pt")
    chosen = {name: Given(text=value) if name in {"weights", "mask"} else value for name, value in options.items()}
    return Spec(parse_losses(losses), sources, options=Options(**chosen))


def rows(report):
    return [(row["loss"], row.get("group"), row["value"], row["n"]) for row in report.rows]


def parts_of(spec, count):
    """Write all parts of a request."""
    names = []
    for number in range(1, count + 1):
        names.append(f"part{number}.json")
        options = Options(**{**vars(spec.options), "part": (number, count)})
        partial(Spec(**{**vars(spec), "options": options}), names[-1], quiet)
    return names


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_parts_of_one_input(count):
    assert len(spans_of(asked())) == 6
    merged, error = merge(parts_of(asked(), count), Merging(), quiet)
    assert error is None
    assert rows(merged) == rows(compute(asked(), quiet, document=False)[0])


def spans_of(spec):
    from lossctl.engine.opening import prepare

    bounds = prepare(spec, quiet).bounds
    return spans(bounds, 1, spec.options, BLOCK)


def test_shards_computed_apart_are_the_same_as_all_of_them():
    for number in range(3):
        partial(asked(shard=str(number)), f"s{number}.json", quiet)
    merged, _ = merge([f"s{number}.json" for number in (2, 0, 1)], Merging(), quiet)
    assert rows(merged) == rows(compute(asked(), quiet, document=False)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"by": "g?.npy"},
        {"weights": "w?.npy"},
        {"by": "g?.npy", "weights": "w?.npy", "reduction": "sum"},
        {"dtype": "native", "jobs": 3},
        {"backend": "torch"},
    ],
)
def test_options(options):
    spec = asked("mse,l1,quantile:q=.3", **options)
    merged, _ = merge(parts_of(spec, 4), Merging(), quiet)
    assert rows(merged) == rows(compute(spec, quiet, document=False)[0])


def test_groups_that_only_some_shards_have():
    for number in range(3):
        partial(asked(shard=str(number), by=f"g{number}.npy"), f"s{number}.json", quiet)
    merged, _ = merge([f"s{number}.json" for number in range(3)], Merging(), quiet)
    assert rows(merged) == rows(compute(asked(by="g?.npy"), quiet, document=False)[0])


def test_terms_of_a_weighted_sum():
    inputs = {"pred": Given(text="p?.npy"), "target": Given(text="t?.npy")}
    terms = (Term("a", LossSpec("mse"), 2.0, inputs), Term("b", LossSpec("l1"), 0.5, inputs))
    spec = Spec(terms=terms)
    merged, _ = merge(parts_of(spec, 3), Merging(), quiet)
    assert merged.rows == compute(spec, quiet, document=False)[0].rows


def test_skipped_samples_and_coverage():
    values = np.load("p1.npy")
    values[2] = np.nan
    np.save("p1.npy", values)
    spec = asked(nan="skip")
    names = parts_of(spec, 5)
    merged, error = merge(names, Merging(min_coverage=0.5), quiet)
    assert error is None
    assert rows(merged) == rows(compute(spec, quiet, document=False)[0])
    assert merged.document["results"][0]["skipped"] == 1
    assert isinstance(merge(names, Merging(min_coverage=1.0), quiet)[1], Undecided)


def test_numbers_that_are_none_come_through():
    values = np.load("p1.npy")
    values[:2] = np.inf, np.nan
    np.save("p1.npy", values)
    spec = asked("mse", nan="propagate")
    merged, _ = merge(parts_of(spec, 3), Merging(), quiet)
    assert math.isnan(merged.rows[0]["value"])


def test_the_document_is_a_result():
    merged, _ = merge(parts_of(asked(by="g?.npy"), 2), Merging(), quiet)
    jsonschema.validate(strict(merged.document), json.loads(schema_of("result")))
    assert merged.document["command"] == "merge"
    once = compute(asked(by="g?.npy"), quiet, document=True)[0].document
    assert merged.document["signature"] == once["signature"]
    assert merged.document["results"] == once["results"]


def test_a_partial_keeps_to_its_schema_and_is_small():
    name = parts_of(asked(), 1)[0]
    text = Path(name).read_text()
    jsonschema.validate(json.loads(text), json.loads(schema()))
    assert len(text) < 3000


def test_gates_are_for_the_whole():
    names = parts_of(asked("mse"), 2)
    assert merge(names, Merging(max=["mse=3.0"]), quiet)[1] is None
    assert isinstance(merge(names, Merging(max=["mse=1.0"]), quiet)[1], GateFailed)
    with pytest.raises(UsageError, match="share"):
        partial(Spec(**{**vars(asked()), "gates": (Gate("mse", "max", 3.0),)}), "x.json", quiet)


def test_more_parts_than_blocks():
    names = parts_of(asked("mse", shard="1"), 3)
    assert [load(name).losses[0].n for name in names] == [0, 0, 5]
    assert rows(merge(names, Merging(), quiet)[0]) == rows(compute(asked("mse", shard="1"), quiet, document=False)[0])


@pytest.mark.parametrize(
    ("change", "losses", "why"),
    [
        ({"reduction": "none"}, "mse", "--reduction none"),
        ({"per_sample": True}, "mse", "--per-sample"),
        ({"stats": True}, "mse", "--stats"),
        ({}, "r2", "couples"),
    ],
)
def test_what_does_not_add_up_is_refused_and_leaves_no_file(here, change, losses, why):
    with pytest.raises(UsageError, match=why):
        partial(asked(losses, **change), "x.json", quiet)
    assert not (here / "x.json").exists()


def test_missing_and_doubled_parts():
    names = parts_of(asked("mse"), 4)
    with pytest.raises(InputError, match=r"missing: 2/4, 4/4\.") as found:
        merge([names[0], names[2]], Merging(), quiet)
    assert "--part 2/4" in found.value.hint
    with pytest.raises(InputError, match="twice"):
        merge([names[0], names[0]], Merging(), quiet)
    partial(asked("mse"), "all.json", quiet)
    with pytest.raises(InputError, match="twice"):
        merge([*names, "all.json"], Merging(), quiet)


@pytest.mark.parametrize("parts", [10**9, 2**62, 10**30])
def test_more_parts_than_memory_holds(parts):
    name = parts_of(asked("mse"), 1)[0]
    rewritten(name, lambda document: document.update(part=[2, parts]))
    with pytest.raises(InputError, match=rf"missing: 1/{parts}, 3/{parts}, .*, 9/{parts} and {parts - 9} more\."):
        merge([name], Merging(), quiet)


@pytest.mark.parametrize("more", [0, 1])
def test_parts_of_fewer_losses_than_were_asked_for(more):
    names = parts_of(asked("mse,l1"), 2)
    rewritten(names[more], lambda document: document["losses"].pop())
    with pytest.raises(UnreadableFile, match="sums of 1 losses, but asks for 2"):
        merge(names, Merging(), quiet)


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("request_", [{"options": 7}, {"options": [1]}, {"terms": 0.5}, {"terms": ["a"]}, {"losses": {}}])
def test_requests_that_are_none(request_, more):
    names = parts_of(asked("mse"), 2)
    rewritten(names[more], lambda document: document["request"].update(request_))
    with pytest.raises(UnreadableFile, match=names[more]):
        merge(names, Merging(), quiet)


def test_parts_of_other_requests():
    first = parts_of(asked("mse"), 1)[0]
    partial(asked("l1"), "other.json", quiet)
    with pytest.raises(InputError, match=r"l1.*mse"):
        merge([first, "other.json"], Merging(), quiet)


@pytest.mark.parametrize(
    "change",
    [
        {"losses": []},
        {"losses": [{"n": -1, "sums": {}}]},
        {"losses": [{"n": 1, "sums": {"value": ["much"]}}]},
        {"part": [3, 2]},
        {"part": [0, 1]},
        {"schema": "lossctl/partial/9"},
        {"request": {"losses": [{}]}},
        {"request": {"losses": [{"name": "mse"}], "options": {"no": 1}}},
        {"request": {"losses": [{"name": "mse"}, {"name": "l1"}]}},
        {"losses": [{"n": 0, "sums": {}, "samples": 0}] * 2},
        {"more": 1},
    ],
)
def test_files_that_nobody_wrote(change):
    name = parts_of(asked("mse"), 1)[0]
    document = json.loads(Path(name).read_text()) | change
    Path(name).write_text(json.dumps(document))
    with pytest.raises(UnreadableFile):
        merge([name], Merging(), quiet)


def rewritten(name, change):
    """Change a partial result and give it the checksum of what it then holds, as nobody does by accident."""
    document = json.loads(Path(name).read_text())
    change(document)
    Path(name).write_text(json.dumps({**document, "checksum": checksum(document)}))


def alter(source="p1.npy", number=3):
    values = np.load(source)
    values[number % len(values)] *= 10
    np.save(source, values)


@pytest.mark.parametrize("source", ["p1.npy", "t1.npy", "w1.npy", "g1.npy"])
@pytest.mark.parametrize("count", [2, 5])
def test_parts_of_files_that_changed_between_them(source, count):
    spec = asked("mse", by="g?.npy", weights="w?.npy")
    before = [str(Path(name).rename(f"before-{name}")) for name in parts_of(spec, count)]
    alter(source)
    after = parts_of(spec, count)
    assert merge(before, Merging(), quiet)[1] is merge(after, Merging(), quiet)[1] is None
    with pytest.raises(InputError, match="was another one when they were computed"):
        merge([*before[:-1], after[-1]], Merging(), quiet)


def test_a_part_that_was_computed_again_after_a_change():
    names = parts_of(asked("mse"), 2)
    whole = [Path(name).read_text() for name in names]
    alter()
    parts_of(asked("mse"), 2)
    Path("late.json").write_text(Path(names[1]).read_text())
    for name, text in zip(names, whole, strict=True):
        Path(name).write_text(text)
    with pytest.raises(InputError, match=r"p\?\.npy was another one"):
        merge([*names, "late.json"], Merging(), quiet)


def test_copies_on_other_machines_have_other_times_and_names(here):
    whole = compute(asked("mse"), quiet, document=False)[0]
    names = parts_of(asked("mse"), 2)
    first = Path(names[0]).read_text()
    for path in here.glob("*.npy"):
        os.utime(path, ns=(5, 7 * 10**9))
        path.rename(f"x{path.name}")
    spec = Spec(parse_losses("mse"), (Given(text="xp?.npy"), Given(text="xt?.npy")))
    second = parts_of(spec, 2)[1]
    Path("first.json").write_text(first)
    merged, _ = merge(["first.json", second], Merging(), quiet)
    assert rows(merged) == rows(whole)


def test_columns_of_one_table_are_not_one_another(here):
    (here / "x.csv").write_text("p,q,y\n1,5,2\n2,6,4\n3,9,1\n4,4,4\n")
    spec = [Spec(parse_losses("mse"), (Given(text=f"x.csv:{name}"), Given(text="x.csv:y"))) for name in "pq"]
    first = [Path(name).rename(f"p{name}") for name in parts_of(spec[0], 2)]
    merged, _ = merge([*map(str, first), *parts_of(spec[1], 2)], Merging(), quiet)
    assert merged.rows[0]["value"] == ((1 + 4 + 4 + 0) + (9 + 4 + 64 + 0)) / 8


def test_shards_of_equal_names_on_two_machines():
    partial(asked("mse", shard="1"), "one.json", quiet)
    values = np.load("p1.npy"), np.load("t1.npy")
    alter()
    partial(asked("mse", shard="1"), "two.json", quiet)
    merged, _ = merge(["one.json", "two.json"], Merging(), quiet)
    each = [(p.astype(float) - t.astype(float)) ** 2 for p, t in (values, (np.load("p1.npy"), np.load("t1.npy")))]
    assert merged.rows[0]["value"] == pytest.approx(np.concatenate(each).mean(), rel=1e-15)
    Path("again.json").write_text(Path("one.json").read_text())
    with pytest.raises(InputError, match="twice"):
        merge(["one.json", "again.json"], Merging(), quiet)


def test_large_files_are_told_apart_by_stretches_of_them(monkeypatch):
    monkeypatch.setattr("lossctl.sources.stored.WHOLE", 16)
    monkeypatch.setattr("lossctl.sources.stored.STRETCH", 8)
    spec = asked("mse", shard="0")
    names = parts_of(spec, 2)
    said = []
    assert merge(names, Merging(), said.append)[1] is None
    os.utime("p0.npy", ns=(5, 5))
    second = Path(parts_of(spec, 2)[1]).read_text()
    Path("second.json").write_text(second)
    os.utime("p0.npy", ns=(9, 9))
    merge([parts_of(spec, 2)[0], "second.json"], Merging(), said.append)
    assert said == ["p0.npy was written at different times for different parts; its size and what was compared of it agree"]
    np.save("p0.npy", np.load("p0.npy") * 10)
    with pytest.raises(InputError, match="was another one"):
        merge([parts_of(spec, 2)[0], "second.json"], Merging(), quiet)


@pytest.mark.parametrize(
    "change",
    [
        lambda loss: loss.update(n=7),
        lambda loss: loss.update(skipped=1),
        lambda loss: loss["sums"].update(weight=[0]),
        lambda loss: loss["sums"].update(weight=[-3.0]),
        lambda loss: loss["sums"].pop("weight"),
        lambda loss: loss["sums"].pop("value"),
        lambda loss: loss["sums"].update(more=[1.0]),
        lambda loss: loss.update(sums={}),
        lambda loss: loss.update(n=0),
        lambda loss: loss.update(samples=7),
        lambda loss: loss["groups"].popitem(),
        lambda loss: next(iter(loss["groups"].values())).update(n=70),
        lambda loss: next(iter(loss["groups"].values())).update(sums={}),
    ],
)
@pytest.mark.parametrize("write", [rewritten, None], ids=["checksum", "no checksum"])
def test_sums_that_contradict_themselves(change, write):
    names = parts_of(asked("mse", by="g?.npy"), 2)
    document = json.loads(Path(names[0]).read_text())
    if write is None:
        change(document["losses"][0])
        Path(names[0]).write_text(json.dumps(document))
    else:
        write(names[0], lambda document: change(document["losses"][0]))
    with pytest.raises(UnreadableFile):
        merge(names, Merging(), quiet)


def test_a_digit_that_changed_is_noticed():
    names = parts_of(asked("mse"), 2)
    text = Path(names[0]).read_text()
    at = text.index('"value": [') + len('"value": [')
    Path(names[0]).write_text(f"{text[:at]}1{text[at:]}")
    with pytest.raises(UnreadableFile, match="checksum"):
        merge(names, Merging(), quiet)


def test_white_space_and_the_order_of_keys_mean_nothing():
    names = parts_of(asked("mse"), 2)
    document = json.loads(Path(names[0]).read_text())
    Path(names[0]).write_text(json.dumps(dict(reversed(document.items())), indent=8))
    assert merge(names, Merging(), quiet)[1] is None


def test_a_partial_runs_no_code():
    name = parts_of(asked("mse"), 1)[0]
    document = json.loads(Path(name).read_text())
    document["request"]["losses"] = [{"name": "os:getcwd"}]
    Path(name).write_text(json.dumps(document))
    with pytest.raises(UsageError, match="would run code"):
        merge([name], Merging(allow_code=False), quiet)


def test_nothing_to_average():
    np.save("p1.npy", np.full(5, np.nan))
    names = parts_of(asked("mse", shard="1", nan="skip"), 2)
    with pytest.raises(NothingLeft, match="all 5 samples are skipped"):
        merge(names, Merging(), quiet)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/2/3", "-1/2", "1/0"])
def test_shares_that_are_none(text):
    with pytest.raises(UsageError, match="--part"):
        part_of(text)
