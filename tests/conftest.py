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
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what runs in the background deaf to Ctrl-C, and the tests send it to what they start.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def configs(tmp_path) -> Path:
    """A copy of configs/ to work in, so that no test leaves anything in the checkout."""
    return Path(shutil.copytree(golden.ROOT / "configs", tmp_path / "configs"))
