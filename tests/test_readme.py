import pytest
import transcript
from golden import ROOT

README = ROOT / "README.md"
BLOCKS = transcript.blocks(README.read_text(encoding="utf-8")) if README.exists() else []


def test_readme_has_examples():
    assert BLOCKS, "README.md shows no console block"


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block-{number}" for number in range(1, len(BLOCKS) + 1)])
def test_readme_prints_what_it_shows(block, configs):
    assert transcript.rerun(block, configs) == block


def test_commands_stand_only_in_blocks_that_run():
    lines = transcript.BLOCK.sub("", README.read_text(encoding="utf-8")).splitlines()
    assert not [line for line in lines if line.startswith("$ ")]


def test_ci_runs_the_readme_s_test_command():
    assert "bash scripts/test" in README.read_text(encoding="utf-8")
    assert "bash scripts/test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_transcript_shows_each_command_its_output_and_status(tmp_path):
    block = "$ echo out; echo err >&2\nout\nerr\n$ (exit 3)\n$ echo $?\n3\n$ echo a \\\n    b\na b\n"
    assert transcript.rerun(block, tmp_path) == block


def test_transcript_notices_another_output(tmp_path):
    assert transcript.rerun("$ echo one\ntwo\n", tmp_path) == "$ echo one\none\n"
