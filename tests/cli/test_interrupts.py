"""Ctrl-C at any moment is exit code 130, without a word."""

import golden
import pytest

SEND = "import os, signal\ndef send(*_): os.kill(os.getpid(), signal.SIGINT)\n"
PARSED = "import lossctl.request.spec as spec\nreal = spec.parse_losses\nspec.parse_losses = lambda text: parse(text)\n"
PUT = "import lossctl.cli.program as program\nreal = program.put\nprogram.put = lambda text: put(text)\n"
MOMENTS = {
    "while modules are imported": """
class Finder:
    def find_spec(self, name, *_):
        if name == 'lossctl.cli.program': send()
sys.meta_path.insert(0, Finder())
""",
    "in a finalizer, where nobody can catch it": f"""{PARSED}
class One:
    def __del__(self): send()
def parse(text):
    One()
    return real(text)
""",
    "where somebody catches it": f"""{PARSED}
def parse(text):
    try: send()
    except KeyboardInterrupt: pass
    return real(text)
""",
    "twice": f"""{PARSED}
def parse(text):
    try: send()
    finally: send()
""",
    "once everything is said": f"""{PUT}
def put(text):
    real(text)
    send()
""",
    "as it leaves": """
import gc
real = gc.freeze
def freeze():
    real()
    if 'lossctl.report' in sys.modules: send()
gc.freeze = freeze
""",
    "while threads are waited for": """
import threading, time
def wait():
    while threading.main_thread().is_alive(): time.sleep(0.01)
    send()
    time.sleep(60)
threading.Thread(target=wait).start()
""",
    "among what is done at the exit": "import atexit\natexit.register(send)",
    "among what is done at the exit first": f"""{PUT}
import atexit
def put(text):
    real(text)
    atexit.register(send)
""",
    "while modules are ended": """
class One:
    def __del__(self): send()
sys.modules['one'] = One()
""",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_is_130_and_no_traceback(moment, tmp_path):
    case = {"argv": "compute mse [1] [3] -b", "prelude": SEND + MOMENTS[moment]}
    outcome = golden.run(case, tmp_path)
    assert (outcome.code, outcome.stderr) == (130, "")
    assert outcome.stdout in {"", "4.0\n"}


def test_ctrl_c_just_as_a_gradient_ends(tmp_path):
    prelude = SEND + "import lossctl.sources.drafts as drafts\nreal = drafts.Draft.commit\n"
    prelude += "def commit(self):\n  send()\n  real(self)\ndrafts.Draft.commit = commit"
    outcome = golden.run({"argv": "grad mse [1] [3] -o g.npy", "prelude": prelude}, tmp_path)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (130, "", "")
    assert list(tmp_path.glob("*g.npy")) == list(tmp_path.glob(".lossctl-*")) == []


def test_a_shell_that_makes_us_deaf_is_obeyed(tmp_path):
    prelude = (
        SEND + "import lossctl.request.spec as spec\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nreal = spec.parse_losses\n"
    )
    prelude += "def parse(text):\n  send()\n  return real(text)\nspec.parse_losses = parse"
    outcome = golden.run({"argv": "compute mse [1] [3] -b", "prelude": prelude}, tmp_path)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "4.0\n", "")
