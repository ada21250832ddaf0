"""The scripts that users copy from configs/ do what they say."""

import csv
import math
import runpy
import subprocess
import sys

import golden
import pytest
import torch

RECIPE = runpy.run_path(str(golden.ROOT / "configs" / "log_gradients.py"))
LR = 0.05
STEPS = 6


def model():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


def batches():
    draw = torch.Generator().manual_seed(5)
    return [(torch.randn(8, 3, generator=draw), torch.randn(8, 1, generator=draw)) for _ in range(STEPS)]


def by_hand(clip=None):
    """Loss and norm of every step from what stands in `.grad` after backward, with torch's own clipping and no hook."""
    own, found = model(), []
    optimizer = torch.optim.SGD(own.parameters(), lr=LR)
    for inputs, targets in batches():
        optimizer.zero_grad()
        loss = ((own(inputs) - targets) ** 2).mean()
        loss.backward()
        norm = torch.cat([parameter.grad.reshape(-1) for parameter in own.parameters()]).double().norm()
        found.append((loss.item(), norm.item()))
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(own.parameters(), clip)
        optimizer.step()
    return found


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def logged(tmp_path, monkeypatch):
    """Train with the recipe and read what it logged: loss and norm of every step."""
    monkeypatch.chdir(tmp_path)
    return lambda **options: train(tmp_path, options)


def train(folder, options):
    RECIPE["train"](model(), batches(), **options)
    rows = read(folder / "history.csv")
    assert list(rows[0]) == ["step", "loss", "grad_norm", "lr"]
    assert [int(row["step"]) for row in rows] == list(range(STEPS))
    assert {float(row["lr"]) for row in rows} == {LR}
    return [(float(row["loss"]), float(row["grad_norm"])) for row in rows]


def near(expected, rel):
    return [pytest.approx(pair, rel=rel) for pair in expected]


@pytest.mark.parametrize("clip", [None, 0.3])
def test_the_history_has_the_norms_before_clipping(clip, logged):
    expected = by_hand(clip)
    assert min(norm for _, norm in expected) > 0.3, "the bound must matter"
    assert logged(clip=clip) == near(expected, 1e-5)


def test_clipping_changes_what_follows(logged):
    clipped, free = (logged(clip=clip) for clip in (0.3, None))
    assert clipped[0] == free[0]
    assert clipped[1:] != near(free[1:], 1e-3)


@pytest.mark.parametrize(("half", "clip"), [(torch.float16, None), (torch.float16, 0.3), (torch.bfloat16, None)])
def test_the_scale_is_divided_out(half, clip, logged):
    assert logged(half=half, clip=clip, scale=1024.0) == near(by_hand(clip), 0.05)


def test_a_scale_that_is_too_large_shows_as_an_infinite_norm(logged):
    found = [norm for _, norm in logged(half=torch.float16, scale=2.0**40)]
    assert not math.isfinite(found[0])


def test_each_parameter_has_its_norm():
    own = model()
    norms = RECIPE["GradientNorms"](own)
    (inputs, targets), *_ = batches()
    (1000 * ((own(inputs) - targets) ** 2).mean()).backward()
    each, total = norms.take(scale=1000.0)
    hand = {name: parameter.grad.norm().item() / 1000 for name, parameter in own.named_parameters()}
    assert each == pytest.approx(hand, rel=1e-6)
    assert total == pytest.approx(math.hypot(*hand.values()), rel=1e-6)


def test_a_parameter_without_gradient_has_no_norm_left_over():
    own = model()
    own[0].bias.requires_grad_(False)  # noqa: FBT003 - torch has it so
    norms = RECIPE["GradientNorms"](own)
    (inputs, _), *_ = batches()
    own(inputs).sum().backward()
    assert set(norms.take()[0]) == {"0.weight", "2.weight", "2.bias"}
    own[2](torch.ones(1, 4)).sum().backward()
    assert set(norms.take()[0]) == {"2.weight", "2.bias"}


def test_the_script_runs_as_it_is(configs):
    subprocess.run([sys.executable, "log_gradients.py"], cwd=configs, env=golden.environment(configs), check=True)
    rows = read(configs / "history.csv")
    assert len(rows) == 20
    assert all(math.isfinite(float(row["grad_norm"])) and float(row["grad_norm"]) > 0 for row in rows)
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_every_script_is_run():
    scripts = {path.name for path in (golden.ROOT / "configs").glob("*.py")}
    # README.md's console blocks run my_loss.py.
    assert scripts == {"log_gradients.py", "my_loss.py"}
