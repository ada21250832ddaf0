import re

import pytest
import transcript
from golden import ROOT

README = ROOT / "README.md"
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in transcript.pages()}
BLOCKS = {f"{name}-{n}": block for name, page in PAGES.items() for n, block in enumerate(transcript.blocks(page), 1)}


@pytest.mark.parametrize("name", ["README.md", "docs/gradients.md"])
def test_a_page_has_examples(name):
    assert f"{name}-1" in BLOCKS


@pytest.mark.parametrize("name", BLOCKS)
def test_a_page_prints_what_it_shows(name, configs):
    assert transcript.rerun(BLOCKS[name], configs) == BLOCKS[name]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_commands_stand_only_in_blocks_that_run(page):
    lines = transcript.BLOCK.sub("", page).splitlines()
    assert not [line for line in lines if line.startswith("$ ")]


@pytest.mark.parametrize("name", PAGES)
def test_links_to_files_lead_somewhere(name):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[name])
    assert not [target for target in targets if not ((ROOT / name).parent / target).exists()]


def test_ci_runs_the_readme_s_test_command():
    assert "bash scripts/test" in README.read_text(encoding="utf-8")
    assert "bash scripts/test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_transcript_shows_each_command_its_output_and_status(tmp_path):
    block = "$ echo out; echo err >&2\nout\nerr\n$ (exit 3)\n$ echo $?\n3\n$ echo a \\\n    b\na b\n"
    assert transcript.rerun(block, tmp_path) == block


def test_transcript_notices_another_output(tmp_path):
    assert transcript.rerun("$ echo one\ntwo\n", tmp_path) == "$ echo one\none\n"
