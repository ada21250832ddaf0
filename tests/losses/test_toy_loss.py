"""A loss that follows CONTRIBUTING to the letter, as a file of ours and as a package's: every command knows it."""

import json
import subprocess
import sys

import contributing
import golden
import pytest

TITLE = "Add a loss"


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A copy of the package with the loss of CONTRIBUTING."""
    return contributing.follow(TITLE, tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A package with the same file, and an entry point in place of its folder."""
    folder = tmp_path_factory.mktemp("package")
    ((_, code),) = contributing.recipe(TITLE)
    (folder / "toys.py").write_text(code)
    contributing.package(folder, "lossctl.losses", fourth_power="toys:fourth_power")
    return folder


@pytest.fixture(params=["ours", "theirs"])
def lossctl(request, tmp_path):
    folder = request.getfixturevalue(request.param)
    path = golden.environment(tmp_path, folder)["PYTHONPATH"] if request.param == "theirs" else str(folder)

    def run(argv):
        outcome = golden.run({"argv": argv, "env": {"PYTHONPATH": path}}, tmp_path)
        assert (outcome.code, outcome.stderr) == (0, "")
        return outcome.stdout

    return run


def test_its_value_and_its_gradient(lossctl):
    # (0 + 2^4) / 2, and its slope 4 * 2^3 / 2.
    assert lossctl("compute fourth_power [0,2] [0,0] -b") == "8.0\n"
    assert lossctl("compute FourthPowerLoss [0,2] [0,0] -p scale=2 -b") == "0.5\n"
    assert json.loads(lossctl("grad fourth_power [0,2] [0,0] -f json"))["gradient"] == [0.0, 16.0]


def test_its_promises_are_checked(lossctl):
    checks = json.loads(lossctl("verify fourth_power -f json"))["checks"]
    found = {check["check"]: check["result"] for check in checks}
    assert {name for name, word in found.items() if word != "passed"} == {"twin", "spread"}


def test_it_is_listed_and_explained(lossctl):
    assert "fourth_power" in lossctl("list")
    page = lossctl("info fourth_power")
    assert "formula\t((pred - target) / scale)^4\n" in page
    assert "param scale\ta number > 0, default 1.0: the error that counts 1, in the units of the target.\n" in page


def test_it_is_part_of_its_set_and_has_a_page(ours, tmp_path):
    words = {"argv": "compute @regression [1,3] [1,1]", "env": {"PYTHONPATH": str(ours)}}
    assert "fourth_power\t8.0\t2\n" in golden.run(words, tmp_path).stdout
    code = "import pages; from lossctl.losses import catalogue; "
    code += "print(pages.page(catalogue()['fourth_power'], []), pages.index())"
    environment = golden.environment(tmp_path) | {"PYTHONPATH": f"{ours}:{golden.ROOT / 'scripts'}"}
    page = subprocess.check_output([sys.executable, "-P", "-c", code], env=environment, encoding="utf-8")
    assert page.startswith("# fourth_power\n\nThe fourth power of the error: the largest errors decide nearly alone.\n")
    assert "| [fourth_power](fourth_power.md) | The fourth power of the error" in page
