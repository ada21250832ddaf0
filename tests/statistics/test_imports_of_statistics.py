"""SciPy costs a second to import: only what is asked for by name may need it."""

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys
import lossctl.statistics
for module in pkgutil.iter_modules(lossctl.statistics.__path__):
    importlib.import_module(f"lossctl.statistics.{module.name}")
from lossctl.statistics.flips import flip_test
from lossctl.statistics.intervals import bootstrap_mean, interval
from lossctl.statistics.arrays import wilcoxon
from lossctl.statistics.power import detectable
flip_test([1.0, 2, -3]), interval(bootstrap_mean([1.0, 2, -3])), detectable(1.0, 10)
print("lossctl.statistics.flips" in sys.modules, "scipy" in sys.modules)
wilcoxon([1.0, 2, -3])
print("scipy" in sys.modules)
"""


def test_scipy_is_imported_by_wilcoxon_alone():
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "False", "True"]
