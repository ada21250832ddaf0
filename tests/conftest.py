"""What all tests share."""

import os
import shutil
import signal
from pathlib import Path

import golden
import pytest
from hypothesis import settings

import lossctl

# A test on a busy machine is slow, and not wrong.
settings.register_profile("timeless")
settings.load_profile("timeless")


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
