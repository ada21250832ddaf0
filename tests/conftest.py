"""What all tests share."""

import os
import shutil
import signal
from collections import defaultdict
from pathlib import Path

import golden
import pytest
from hypothesis import settings

import lossctl

# What --fast runs: these rooms and files, without what starts many processes or measures memory. Of each test two cases, or as
# many as CASES says.
FAST = ("engine", "gates", "guides/diagnose", "guides/facts", "losses", "report", "statistics", "test_cases.py", "test_tree.py")
LONG = ("backends_in_lanes", "calibration", "cluster", "false_alarms", "foreign", "large", "memory", "written_files")
CASES = {"test_case": 20, "test_value_equals_torch": 1000}
# A test on a busy machine is slow, and not wrong.
settings.register_profile("timeless", deadline=None)
settings.load_profile("timeless")


def pytest_addoption(parser) -> None:
    """`scripts/test --fast` asks for some of the tests."""
    parser.addoption("--fast", action="store_true", help="run a few cases of each test, in under a minute")


def pytest_ignore_collect(collection_path, config) -> bool | None:
    """Leave out what takes long, if asked to."""
    if not config.getoption("--fast") or collection_path.is_dir():
        return None
    path = collection_path.relative_to(Path(__file__).parent).as_posix()
    return True if not path.startswith(FAST) or any(word in path for word in LONG) else None


def pytest_collection_modifyitems(config, items) -> None:
    """Keep a few cases of each test, spread over all, if asked to."""
    cases = defaultdict(list)
    for item in items:
        cases[item.nodeid.partition("[")[0]].append(item)
    if config.getoption("--fast"):
        few = {test: CASES.get(test.rpartition("::")[2], 2) for test in cases}
        items[:] = [item for test, every in cases.items() for item in every[:: -(-len(every) // few[test])]]


def pytest_configure() -> None:
    """Under scripts/test, refuse to test the checkout: what users install is what must work."""
    if os.environ.get("LOSSCTL_TEST_INSTALLED") and "site-packages" not in Path(lossctl.__file__).parts:
        message = f"scripts/test tests the installed package, but lossctl was imported from {lossctl.__file__}"
        raise pytest.UsageError(message)
    # A shell starts what runs in the background deaf to these signals, and the tests send them to what they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture
def configs(tmp_path) -> Path:
    """A copy of configs/ to work in, so that no test leaves anything in the checkout."""
    return Path(shutil.copytree(golden.ROOT / "configs", tmp_path / "configs"))
