"""Every warning is found where its mistake is made, and not where it is not; no warning changes a value."""

import importlib
import json
import pkgutil
import shlex

import numpy as np
import pytest

from lossctl import warnings
from lossctl.cli.program import program
from lossctl.errors import GateFailed, UnknownName
from lossctl.warnings import TRAPS
from lossctl.warnings.sight import Trap

RNG = np.random.default_rng(0)
PROBS = RNG.uniform(0.05, 0.95, 20).round(3).tolist()
SCORES = RNG.normal(size=20).round(3).tolist()
ONES = [1.0, 0.0] * 10
ROWS = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5]]
FRAME = RNG.normal(size=(3, 1, 3)).tolist()
SIGMA = np.full(40, 9.0)
ERRORS = (RNG.normal(size=40) * SIGMA).tolist()
NOISY = [score + 0.01 for score in SCORES]
FAR = [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]

# code, the command that makes the mistake, and the one that does not.
MISTAKES = [
    ("L001", ("ce", ROWS, [0, 1, 2]), ("ce", np.log(ROWS).tolist(), [0, 1, 2])),
    ("L001", ("ce", ROWS, np.eye(3).tolist()), ("ce", SCORES[:3], [0.2, 0.3, 0.5])),
    ("L002", ("bce_with_logits", PROBS, ONES), ("bce_with_logits", SCORES, ONES)),
    ("L002", ("focal", PROBS, ONES), ("focal", SCORES, ONES)),
    ("L003", ("nll", ROWS, [0, 1, 2]), ("nll", np.log(ROWS).tolist(), [0, 1, 2])),
    ("L003", ("kl_div", ROWS, ROWS), ("kl_div", np.log(ROWS).tolist(), ROWS)),
    ("L004", ("ctc", FRAME, [[1]], [3], [1]), ("ctc", np.log(np.full((3, 1, 3), 1 / 3)).tolist(), [[1]], [3], [1])),
    ("L005", ("hinge", PROBS, ONES), ("hinge", SCORES, ONES)),
    ("L006", ("hinge_embedding", [0.8, -0.9, 0.7, -0.6], [1, -1, 1, -1]), ("hinge_embedding", [0.8, 0.9], [1, -1])),
    ("L011", ("hinge", [0.8, -0.9], [1, 0]), ("hinge", [0.8, -0.9], [1, -1])),
    ("L012", ("ce:ignore_index=0", ROWS, [0, 1, 2]), ("ce:ignore_index=0", ROWS, [1, 1, 2])),
    ("L013", ("ce", ROWS * 10, [1, 2, 2] * 10), ("ce", ROWS * 10, [0, 1, 2] * 10)),
    ("L014", ("ce", ROWS, [[1, 1, 0]] * 3), ("ce", ROWS, ROWS)),
    ("L015", ("ce:weight=1,2,3", ROWS, ROWS), ("ce:weight=1,2,3", ROWS, [0, 1, 2])),
    ("L016", ("ce:weight=1,2,3", ROWS[:1], [0]), ("ce:weight=1,2,3", ROWS, [0, 1, 2])),
    ("L016", ("nll:weight=1,2,3", np.log(ROWS[:1]).tolist(), [0]), ("multi_margin:weight=1,2,3", ROWS[:1], [0])),
    ("L016", ("ce:weight=1,2,3", ROWS[:1], [2]), ("ce:label_smoothing=0.1,weight=1,2,3", ROWS[:1], [2])),
    ("L017", ("ce", [[1], [2]], [0, 0]), ("ce", ROWS, [0, 1, 2])),
    ("L018", ("bce_with_logits:pos_weight=1,2", [1, -1], [1, 0]), ("bce_with_logits:pos_weight=2", [1, -1], [1, 0])),
    ("L019", ("ce", [ROWS], [[0, 1, 2]]), ("ce", [ROWS[:2]], [[0, 1, 0]])),
    ("L020", ("multilabel_margin", ROWS, [[1, 0, 0]] * 3), ("multilabel_margin", ROWS, [[1, -1, 0]] * 3)),
    ("L021", ("soft_margin", [0.5, -1.0], [1, 0]), ("soft_margin", [0.5, -1.0], [1, -1])),
    ("L021", ("multilabel_soft_margin", ROWS, [[2, 0, 1]] * 3), ("multilabel_soft_margin", ROWS, [[1, 0, 1]] * 3)),
    ("L031", ("kl_div", np.log(ROWS).tolist(), ROWS), ("kl_div", np.log(ROWS[0]).tolist(), ROWS[0])),
    ("L032", ("mse", [2, 2, 2], [1, 2, 3]), ("mse", [2, 2, 1], [1, 2, 3])),
    ("L032", ("hinge", [3, 3, 3], [1, 0, 1]), ("hinge", [float("inf"), float("-inf"), 3], [1, 0, 1])),
    ("L033", ("bce", [0, 0.5], [1, 0]), ("bce", [0, 0.5], [0, 0])),
    ("L034", ("gaussian_nll", ERRORS, [0] * 40, SIGMA.tolist()), ("gaussian_nll", ERRORS, [0] * 40, (SIGMA**2).tolist())),
    ("L035", ("mape", [1, 2], [0, 2]), ("mape", [1, 2], [1, 2])),
    ("L036", ("bce", ONES, PROBS), ("bce", PROBS, ONES)),
    ("L037", ("mse", [[1], [2]], [1, 3], "--broadcast"), ("mse", [1, 2], [1, 3], "--broadcast")),
    ("L038", ("mse", list(range(10)), SCORES[:10]), ("mse", SCORES[:10], list(range(10)))),
    (
        "L039",
        ("contrastive", FAR, [[5, 5], [0, 1], [5, 0]], [1, 0, 1]),
        ("contrastive", FAR, [[5, 5], [0, 1], [5, 0]], [0, 1, 0]),
    ),
    *(
        ("L066", (name, [1, 0.5, 1], [0, 0, 0]), (name, [0, 0, 0], [0, 0, 0]))
        for name in ("dice", "jaccard", "tversky", "focal_tversky", "squared_dice")
    ),
    ("L066", ("dice", [0, 0, 1], [0, 0, 0]), ("dice", [1, 0, 0], [0, 0, 1])),
    ("L066", ("tversky", [0, 0, 1], [0, 0, 0]), ("tversky:empty=counted", [0, 0, 1], [0, 0, 0])),
    *(
        ("L066", (f"{name}_multiclass", ROWS[:2], [0, 1]), (f"{name}_multiclass", ROWS, [0, 1, 2]))
        for name in ("dice", "jaccard", "tversky", "focal_tversky")
    ),
    ("L066", ("dice_multiclass", ROWS[:2], [0, 1]), ("dice_multiclass:classes=present", ROWS[:2], [0, 1])),
    ("L063", ("bce", [0.5, 0.5], [1, 1.25], "--domain", "ignore"), ("bce", [0.5, 0.5], [1, 1], "--domain", "ignore")),
    ("L043", ("mse", NOISY, SCORES[::-1]), ("mse", NOISY, SCORES)),
    ("L042", ("mse", SCORES, SCORES), ("mse", SCORES, PROBS)),
    ("L040", ("triplet_margin", FAR, FAR, FAR), ("triplet_margin", FAR, FAR, [[3, 0]] * 3)),
]


def argv(words):
    return ["compute", *(word if isinstance(word, str) else json.dumps(word) for word in words), "-f", "json"]


def run(words, *more):
    """Run a command line in this process; return its document and the error that it ends with."""
    printed = program()([*argv(words), *more], prog_name="lossctl", standalone_mode=False)
    return json.loads(printed.text), printed.error


def codes(document):
    return [warning["code"] for warning in document["warnings"]]


@pytest.mark.parametrize(("code", "wrong", "right"), MISTAKES, ids=lambda one: one if isinstance(one, str) else "")
def test_a_mistake_is_warned_of_and_nothing_else(code, wrong, right):
    assert code in codes(run(wrong)[0])
    assert code not in codes(run(right)[0])


def test_every_warning_has_a_mistake():
    assert {code for code, *_ in MISTAKES} | {"L041", "L053", "L054"} == set(TRAPS)


@pytest.mark.parametrize(("code", "wrong", "_"), MISTAKES, ids=lambda one: one if isinstance(one, str) else "")
def test_a_warning_changes_no_value_and_can_be_silenced(code, wrong, _):
    loud, quiet = run(wrong)[0], run(wrong, "--ignore", code.lower())[0]
    assert code not in codes(quiet)
    assert loud["results"] == quiet["results"]


def test_no_two_warnings_share_a_code():
    room = [importlib.import_module(f"{warnings.__name__}.{module.name}") for module in pkgutil.iter_modules(warnings.__path__)]
    traps = [value for module in (warnings, *room) for value in vars(module).values() if isinstance(value, Trap)]
    assert sorted({id(trap): trap.code for trap in traps}.values()) == sorted(TRAPS)


def test_strict_turns_warnings_into_a_failed_gate():
    document, error = run(MISTAKES[0][1], "--strict")
    assert isinstance(error, GateFailed)
    assert "L001" in error.message
    assert document["results"][0]["value"] is not None
    assert run(MISTAKES[0][2], "--strict")[1] is None


def test_a_code_to_ignore_must_exist():
    with pytest.raises(UnknownName, match="no warning 'L999'"):
        run(MISTAKES[0][1], "--ignore", "L999")


@pytest.mark.parametrize("code", sorted(TRAPS))
def test_info_explains_every_code(code):
    printed = program()(["info", code.lower(), "-f", "json"], prog_name="lossctl", standalone_mode=False)
    page = json.loads(printed.text)
    assert page["code"] == code
    assert len(page["why"]) > 80


def test_the_commands_that_warnings_propose_run():
    proposed = {}
    for code, wrong, _ in MISTAKES:
        message = next(warning["message"] for warning in run(wrong)[0]["warnings"] if warning["code"] == code)
        if command := message.partition("lossctl ")[2]:
            printed = program()([*shlex.split(command), "-f", "json"], prog_name="lossctl", standalone_mode=False)
            proposed[code] = json.loads(printed.text)["results"][0]["value"]
    assert None not in proposed.values()
    assert set(proposed) == {"L001", "L002", "L003", "L006", "L017", "L020", "L031", "L035", "L036", "L039", "L066"}


def test_a_term_that_dominates_a_sum(tmp_path):
    spec = tmp_path / "sum.yaml"
    spec.write_text(
        "terms:\n"
        + "".join(f"  - {{name: {n}, loss: l1, inputs: {{pred: [{v}], target: [0]}}}}\n" for n, v in (("a", 99), ("b", 1)))
    )
    printed = program()(["compute", str(spec), "-f", "json"], prog_name="lossctl", standalone_mode=False)
    assert codes(json.loads(printed.text)) == ["L041"]


@pytest.mark.parametrize(("last", "warned"), [(1.0, True), (0.0, False), (np.nan, True)])
def test_constant_predictions_are_judged_by_all_of_them(tmp_path, last, warned):
    # More than one block of 2^18 numbers, the first of which holds nothing but ones.
    pred = np.ones(600_000)
    pred[-1] = last
    np.save(tmp_path / "p.npy", pred)
    np.save(tmp_path / "t.npy", np.arange(600_000) % 7.5)
    found = run(("mse", str(tmp_path / "p.npy"), str(tmp_path / "t.npy")), "--nan", "skip")[0]
    assert ("L032" in codes(found)) == warned


def test_what_was_seen_in_the_first_samples_is_said_of_them(tmp_path):
    target = np.ones(600_000)
    target[5], target[400_000] = 0, 0
    np.save(tmp_path / "p.npy", np.linspace(0.5, 2, 600_000))
    np.save(tmp_path / "t.npy", target)
    (warning,) = run(("mape", str(tmp_path / "p.npy"), str(tmp_path / "t.npy")))[0]["warnings"]
    assert warning["message"].startswith("in the first 262,144 of 600,000 samples: 1 of 262144 targets are 0")
