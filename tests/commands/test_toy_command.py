"""A command that follows CONTRIBUTING to the letter, as a row of ours and as a package's."""

import contributing
import golden
import pytest

TITLE = "Add a command"


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A copy of the package with the command of CONTRIBUTING."""
    return contributing.follow(TITLE, tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A package with the same file and an entry point in place of the row, and with others that do not work."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "toys.py").write_text(next(code for place, code in contributing.recipe(TITLE) if not place["table"]))
    entries = {"count": "toys:count", "broken": "toys:nothing", "compute": "toys:count"}
    contributing.package(folder, "lossctl.commands", **entries)
    return folder


def run(argv, folder, tmp_path):
    path = golden.environment(tmp_path, folder)["PYTHONPATH"]
    if (folder / "lossctl").exists():
        path = str(folder)
    outcome = golden.run({"argv": argv, "env": {"PYTHONPATH": path}}, tmp_path)
    return outcome.code, outcome.stdout, outcome.stderr


@pytest.fixture(params=["ours", "theirs"])
def lossctl(request, tmp_path):
    return lambda argv: run(argv, request.getfixturevalue(request.param), tmp_path)


def test_it_runs_with_its_options_and_with_those_of_all_commands(lossctl, tmp_path):
    assert lossctl("count [1,2,3]") == (0, "source\tn\n[1,2,3]\t3\n", "")
    assert lossctl("count [1,2,3] --least 3 -b -o r.csv") == (0, "3\n", "")
    assert (tmp_path / "r.csv").read_text() == 'source,n\n"[1,2,3]",3\n'


def test_it_fails_as_other_commands_do(lossctl):
    assert lossctl("count [1,2,3] --least 4 -b") == (1, "3\n", "lossctl: There are 3 samples, fewer than 4.\n")
    code, out, said = lossctl("count [1,2,3] --lest 4")
    assert (code, out) == (2, "")
    assert said.startswith("lossctl: No such option: --lest")
    assert lossctl("count no.npy")[0] == 3


def test_it_has_its_help(lossctl):
    words = lossctl("count --help")[1]
    assert "Say how many samples a source has." in words
    assert "--least N" in words
    assert "count" in lossctl("--help")[1]


def test_the_list_says_what_it_does_or_whose_it_is(ours, theirs, tmp_path):
    assert "Say how many samples a source has." in run("--help", ours, tmp_path)[1]
    words = run("--help", theirs, tmp_path)[1]
    assert "Of an installed package: toys:count." in words
    assert "Compute the value of one loss or several." in words


def test_a_package_takes_no_command_of_ours_and_one_that_is_broken_is_named(theirs, tmp_path):
    assert run("compute mse [1] [3] -b", theirs, tmp_path)[:2] == (0, "4.0\n")
    code, _, said = run("broken", theirs, tmp_path)
    assert code == 2
    assert "'broken (toys:nothing)' could not be imported: AttributeError" in said
    assert run("counts [1]", theirs, tmp_path)[0] == 2
