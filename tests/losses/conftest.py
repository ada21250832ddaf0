"""Tests of losses ask for them as the tests of the core do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
