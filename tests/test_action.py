"""What CI systems get beside the program: the composite action, run here step by step, the hook, and what docs/ci.md shows."""

import os
import re
import shlex
import shutil
import subprocess

import golden
import numpy as np
import pytest
import yaml
from golden import ROOT

ACTION = yaml.safe_load((ROOT / ".github" / "actions" / "lossctl" / "action.yml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
PAGE = (ROOT / "docs" / "ci.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "name" in step}
needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="the action's steps are bash")


def in_bash(step, folder, **values):
    """Run a step as GitHub does: its variables filled in from the inputs, bash with -e and pipefail."""
    env = golden.environment(folder) | {name: str(folder / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    env["PATH"] = os.pathsep.join([str(folder / "bin"), env["PATH"]])
    for name, text in STEPS[step]["env"].items():
        (wanted,) = re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text).groups()
        env[name] = values.get(wanted, ACTION["inputs"][wanted].get("default", ""))
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[step]["run"]]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, encoding="utf-8", timeout=golden.PATIENCE, check=False
    )


@pytest.fixture
def work(tmp_path):
    np.save(tmp_path / "p.npy", [1.0, 2.0])
    np.save(tmp_path / "t t.npy", [1.0, 4.0])
    return tmp_path


def test_every_input_is_used_and_every_used_one_is_there():
    text = (ROOT / ".github" / "actions" / "lossctl" / "action.yml").read_text()
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"]) == {"args", "version", "python-version"}
    assert ACTION["runs"]["using"] == "composite"
    assert all("shell" in step or "uses" in step for step in ACTION["runs"]["steps"])


def test_no_step_puts_an_input_into_its_script():
    assert not [name for name, step in STEPS.items() if "${{" in step["run"]]


@needs_bash
@pytest.mark.parametrize(("bound", "code"), [("9", 0), ("1", 1)])
def test_a_gate_decides_the_step(work, bound, code):
    done = in_bash("Run lossctl", work, args=f"compute mse p.npy 't t.npy' --max mse={bound}")
    assert done.returncode == code, done.stderr
    assert (work / "GITHUB_OUTPUT").read_text() == f"code={code}\n"
    assert (work / "GITHUB_STEP_SUMMARY").read_text().startswith(f"## lossctl compute: {'FAIL' if code else 'pass'}\n")
    assert done.stdout.startswith("::error title=lossctl compute%3A mse max 1.0::" if code else "::notice ")


@needs_bash
def test_an_error_is_annotated(work):
    done = in_bash("Run lossctl", work, args="compute mse p.npy gone.npy")
    assert done.returncode == 3
    assert done.stdout == "::error title=lossctl::lossctl ended with exit code 3; the log says why.\n"


@needs_bash
def test_no_word_of_the_arguments_is_run(work):
    done = in_bash("Run lossctl", work, args="compute mse p.npy 't t.npy' $(touch made) ; touch made & `touch made`")
    assert done.returncode == 2
    assert not (work / "made").exists()


@needs_bash
@pytest.mark.parametrize(
    ("version", "wanted"), [("", "lossctl"), ("0.1.0", "lossctl==0.1.0"), ("./wheels/lossctl.whl", "./wheels/lossctl.whl")]
)
def test_what_is_installed(tmp_path, version, wanted):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > called\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    assert in_bash("Install lossctl", tmp_path, version=version).returncode == 0
    assert (tmp_path / "called").read_text().split() == ["-m", "pip", "install", "--quiet", wanted]


def test_the_hook_checks_specs(tmp_path):
    (hook,) = HOOKS
    chosen = re.compile(hook["files"])
    names = ("spec.yaml", "a/gates/b.yml", "gate-mse.yaml", "ci.yaml", "a/inspect.yaml")
    assert [name for name in names if chosen.search(name)] == [*names[:3]]
    (tmp_path / "spec.yaml").write_text("loss: mse\ninputs: {pred: [1.0], target: [3.0]}\ngates: [{key: mse, max: 1}]\n")
    program, *words = shlex.split(hook["entry"])
    done = golden.run({"argv": [*words, "spec.yaml"]}, tmp_path)
    assert (program, done.code) == ("lossctl", 1)


def test_the_page_shows_yaml_that_is_right():
    shown = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]
    workflow = next(one for one in shown if "jobs" in one)
    (step,) = [one for one in workflow["jobs"]["gates"]["steps"] if "lossctl" in one.get("uses", "")]
    assert step["uses"].split("@")[0].endswith("/.github/actions/lossctl")
    assert set(step["with"]) <= set(ACTION["inputs"])
    hooks = next(one for one in shown if "repos" in one)
    assert [one["id"] for one in hooks["repos"][0]["hooks"]] == [one["id"] for one in HOOKS]


def test_the_page_shows_a_spec_that_runs(tmp_path):
    (text,) = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith("loss:")]
    (tmp_path / "spec.yaml").write_text(text)
    rng = np.random.default_rng(0)
    target = rng.normal(size=300)
    for name, array in (("target", target), ("new", target + 0.1), ("base", target + 0.1 * rng.choice([-1, 1], size=300))):
        np.save(tmp_path / f"{name}.npy", array)
    golden.run({"argv": "compute mse base.npy target.npy --per-sample -o base.json"}, tmp_path)
    assert golden.run({"argv": "check spec.yaml"}, tmp_path).code == 0
