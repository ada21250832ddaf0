import signal

import golden
import numpy as np
import pytest

CASES = golden.every_case()


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_case(case, tmp_path):
    outcome = golden.run(case, tmp_path)
    assert {"stdout", "stderr"} <= set(case), f"run scripts/refresh; it would write: {outcome}"
    assert outcome == golden.Outcome(case["code"], case["stdout"], case["stderr"], case.get("writes", {}))


def test_names_are_unique():
    names = [name for name, _ in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 70, 130])
def test_every_exit_code_has_a_case(code):
    assert any(case["code"] == code for _, case in CASES)


def test_closed_pipe_ends_quietly(tmp_path):
    for name in ("pred.npy", "target.npy"):
        np.save(tmp_path / name, np.arange(100_000.0))
    with golden.start("compute mse pred.npy target.npy --per-sample", tmp_path) as process:
        # More rows than any pipe holds: closing after the first line meets a process that still writes.
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert golden.shell_code(process.wait(golden.PATIENCE)) == 128 + signal.SIGPIPE
