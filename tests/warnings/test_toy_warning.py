"""A warning that follows CONTRIBUTING to the letter: it is found, explained, silenced, and tested by its one row."""

import json
import os
import subprocess
import sys

import contributing
import golden
import pytest


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return contributing.follow("Add a warning", tmp_path_factory.mktemp("copy"))


WRONG = "compute mse [-1,2,-3,4,-5,6,-7,8,-9,10] [1,-2,3,-4,5,-6,7,-8,9,-11]"


def test_it_is_found_silenced_and_explained(copy, tmp_path):
    def lossctl(argv):
        return golden.run({"argv": argv, "env": {"PYTHONPATH": str(copy)}}, tmp_path)

    (warning,) = json.loads(lossctl(f"{WRONG} -f json").stdout)["warnings"]
    assert warning == {"code": "L090", "message": "all 10 predictions have the sign that their targets have not"}
    assert json.loads(lossctl(f"{WRONG} -f json --ignore L090").stdout)["warnings"] == []
    assert lossctl(f"{WRONG} --strict").code == 1
    assert "the sign was probably changed twice, or never" in lossctl("info L090").stdout


def test_its_row_is_all_that_the_tests_have_to_be_told(copy):
    paths = os.pathsep.join(map(str, [copy, copy / "tests"]))
    words = ["-q", "-p", "no:cacheprovider", "-c", str(golden.ROOT / "pyproject.toml"), f"--rootdir={copy}"]
    words += ["tests/warnings/test_warnings.py", "-k", "L090 or l090 or every_warning_has_a_mistake"]
    environment = os.environ | {"PYTHONPATH": paths, "LOSSCTL_TEST_INSTALLED": ""}
    command = [sys.executable, "-P", "-m", "pytest", *words]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
