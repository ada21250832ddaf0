"""Start-up is a promise: each command imports what it needs and nothing heavier."""

import inspect
import subprocess
import sys

import golden
import numpy as np
import pytest

from lossctl.cli.program import COMMANDS, name_of, program

HEAVY = ("torch", "array_api_compat", "scipy", "pandas", "pydantic", "yaml", "rich", "pyarrow", "importlib.metadata")
# What a run needs only where it is asked for gates, samples, groups, several files, or has something to warn of.
OF_OTHER_RUNS = (
    "lossctl.checking.judging",
    "lossctl.checking.saved",
    "lossctl.gates",
    "lossctl.statistics.flips",
    "lossctl.statistics.intervals",
    "lossctl.statistics.ordered",
    "lossctl.statistics.arrays",
    "lossctl.statistics.power",
    "lossctl.request.specfile",
    "lossctl.sources.codes",
    "lossctl.sources.rows",
    "lossctl.sources.folders",
    "lossctl.losses.names",
    "lossctl.losses.names",
    "lossctl.engine.threads",
    "lossctl.sources.listing",
    "lossctl.sources.table",
    "lossctl.warnings.remedy",
    "json",
    "shlex",
)
# Each module of our own takes half a millisecond.
MODULES = 50
TELL = "import atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
OF_GRADIENTS = ("torch", "lossctl.gradient", "lossctl.gradient.writing", "lossctl.checking.checks", "lossctl.commands.grad")


def imported(argv, folder):
    """The modules that one run imports, as -X importtime reports them."""
    found = subprocess.run(
        [sys.executable, "-X", "importtime", *golden.command(argv)[1:]],
        cwd=folder,
        env=golden.environment(folder),
        capture_output=True,
        encoding="utf-8",
        timeout=golden.PATIENCE,
        check=True,
    )
    assert found.stdout
    lines = [line for line in found.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def loaded(argv, folder):
    """The modules that one run has loaded in the end, in whatever way."""
    found = subprocess.run(
        golden.command(argv, TELL),
        cwd=folder,
        env=golden.environment(folder),
        capture_output=True,
        encoding="utf-8",
        timeout=golden.PATIENCE,
        check=True,
    )
    assert found.stdout
    return set(found.stderr.split())


def among(banned, modules):
    return [name for name in modules if any(name == one or name.startswith(f"{one}.") for one in banned)]


@pytest.fixture
def pair(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3.0))
    np.save(tmp_path / "b.npy", np.ones(3))
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "banned"),
    [
        ("--help", ("numpy", "torch", "rich")),
        ("--version", ("numpy", "torch", "rich")),
        ("list", ("numpy", "torch", "rich")),
        ("info huber", ("numpy", "torch")),
        ("grad --help", ("numpy", "torch", "lossctl.gradient", "rich")),
        ("compute mse a.npy b.npy --format json", (*HEAVY, *OF_GRADIENTS)),
        ("compute mse a.npy b.npy", (*HEAVY, *OF_GRADIENTS)),
        ("compute mse a.npy b.npy -o result.json", OF_GRADIENTS),
    ],
)
def test_imports_nothing_heavy(argv, banned, pair):
    modules = imported(argv, pair)
    assert "lossctl.cli.program" in modules
    assert not among(banned, modules)


def test_a_plain_run_loads_no_part_of_numpy_that_it_does_not_need(pair):
    modules = imported("compute mse a.npy b.npy", pair)
    assert not among(("numpy.ma", "numpy.random", "numpy.fft", "numpy.polynomial", "concurrent.futures"), modules)


def test_numpy_would_be_noticed(pair):
    assert "numpy" in among(("numpy",), imported("compute mse a.npy b.npy", pair))


def test_grad_imports_torch_and_no_other_heavy_thing(pair):
    modules = imported("grad mse a.npy b.npy", pair)
    assert {"torch.nn", "array_api_compat.torch", "lossctl.gradient.passes"} <= modules
    assert not among(("torchvision", "pydantic", "yaml", "pyarrow", "tensorboard", "lossctl.checking.checks"), modules)


def test_a_plain_run_loads_few_modules_and_none_that_only_other_runs_need(pair):
    modules = loaded("compute mse a.npy b.npy", pair)
    own = [name for name in modules if name.startswith("lossctl.") and not name.startswith("lossctl.losses.catalogue.")]
    assert not among(OF_OTHER_RUNS, modules)
    assert 40 < len(own) <= MODULES


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("--max mse=10", {"lossctl.gates", "lossctl.checking.judging"}),
        ("--stats", {"lossctl.statistics.ordered"}),
        ("--by group.npy", {"lossctl.sources.codes"}),
        ("--format json", {"json"}),
    ],
)
def test_what_is_asked_for_is_loaded(more, wanted, pair):
    np.save(pair / "group.npy", np.array([0, 1, 1]))
    assert wanted <= loaded(f"compute mse a.npy b.npy {more}", pair)


def test_the_list_of_commands_imports_none_of_them(pair):
    assert not among([f"lossctl.commands.{module}" for module, _ in COMMANDS.values()], loaded("--help", pair))


def test_the_list_of_commands_says_what_each_says_of_itself():
    commands = program().registered_commands
    assert [name_of(one) for one in commands] == list(COMMANDS)
    firsts = [inspect.getdoc(one.callback).partition("\n\n")[0] for one in commands]
    assert firsts == [text for _, text in COMMANDS.values()]
