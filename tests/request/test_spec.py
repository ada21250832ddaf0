import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.errors import BadParameter
from lossctl.request.spec import LossSpec, parse_losses, parse_params, with_params

word = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in {"inf", "nan"})
number = st.floats(allow_nan=False).map(repr)
value = st.one_of(
    number,
    st.lists(number, min_size=1, max_size=4).map(",".join),
    st.sampled_from(["true", "@w.npy", "@out.npz:w", "@out.npz::w", "@a=b.npz"]),
)
name = st.one_of(word, st.tuples(word, word, word).map(lambda parts: f"{parts[0]}.{parts[1]}:{parts[2]}"))
item = st.builds(LossSpec, name, st.dictionaries(word, value, max_size=3))


def write(losses):
    items = [
        loss.name + "".join(f"{':' if k == 0 else ','}{n}={v}" for k, (n, v) in enumerate(loss.params.items()))
        for loss in losses
    ]
    return ",".join(items)


@given(st.lists(item, min_size=1, max_size=4).map(tuple))
def test_what_is_written_is_read_again(losses):
    assert parse_losses(write(losses)) == losses


@pytest.mark.parametrize(
    ("text", "losses"),
    [
        ("mse,huber:delta=.5,l1", [("mse", {}), ("huber", {"delta": ".5"}), ("l1", {})]),
        ("ce:weight=1,2,4,label_smoothing=.1", [("ce", {"weight": "1,2,4", "label_smoothing": ".1"})]),
        ("huber,delta=2", [("huber", {"delta": "2"})]),
        ("ce:weight=-1e3,+.5,inf,mse", [("ce", {"weight": "-1e3,+.5,inf"}), ("mse", {})]),
        ("pkg.mod:Attr:p=1", [("pkg.mod:Attr", {"p": "1"})]),
        ("./mine.py:Attr:p=1,q=2,mse", [("./mine.py:Attr", {"p": "1", "q": "2"}), ("mse", {})]),
        ("ce:weight=@out.npz:w,label-smoothing=.1", [("ce", {"weight": "@out.npz:w", "label_smoothing": ".1"})]),
        ("mse , huber:delta=1, eps=2", [("mse", {}), ("huber", {"delta": "1", "eps": "2"})]),
    ],
)
def test_the_grammar(text, losses):
    assert parse_losses(text) == tuple(LossSpec(*loss) for loss in losses)


@pytest.mark.parametrize("text", ["", "mse,", ",mse", "delta=1", "a=b,mse", ":delta=1"])
def test_what_is_no_loss(text):
    with pytest.raises(BadParameter, match="is not a loss"):
        parse_losses(text)


def test_a_parameter_given_twice():
    with pytest.raises(BadParameter, match="'delta' is given twice"):
        parse_losses("huber:delta=1,delta=2")
    with pytest.raises(BadParameter, match="'a_b' is given twice"):
        list(parse_params(["a-b=1", "a_b=1"]))


@pytest.mark.parametrize("text", ["delta", "=1", " =1"])
def test_what_is_no_parameter(text):
    with pytest.raises(BadParameter, match="is not a parameter"):
        list(parse_params([text]))


def test_values_keep_their_equals_signs():
    assert dict(parse_params(["weight=@a=b.npz", " label-smoothing = .1 "])) == {"weight": "@a=b.npz", "label_smoothing": ".1"}


def test_params_go_to_the_one_loss():
    assert with_params((LossSpec("huber", {"a": "1"}),), {"delta": "2"}, instead=False) == (
        LossSpec("huber", {"a": "1", "delta": "2"}),
    )
    assert with_params((LossSpec("mse"), LossSpec("l1")), {}, instead=False) == (LossSpec("mse"), LossSpec("l1"))
    with pytest.raises(BadParameter, match="there are 2: mse, l1"):
        with_params((LossSpec("mse"), LossSpec("l1")), {"delta": "2"}, instead=False)
    with pytest.raises(BadParameter, match="given twice"):
        with_params((LossSpec("huber", {"delta": "1"}),), {"delta": "2"}, instead=False)
    assert with_params((LossSpec("huber", {"delta": "1"}),), {"delta": "2"}, instead=True)[0].params == {"delta": "2"}
