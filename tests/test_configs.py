import golden
import pytest
from golden import ROOT

SPECS = sorted(path.name for path in (ROOT / "configs").glob("*.yaml"))


def test_there_are_specs():
    assert SPECS


@pytest.mark.parametrize("spec", SPECS)
def test_spec_computes_and_its_gates_pass(spec, configs):
    with golden.start(["compute", spec], configs) as process:
        shown, said = process.communicate(timeout=golden.PATIENCE)
    assert (process.returncode, said) == (0, "")
    assert shown
