"""Order statistics by counting, against sorting."""

import numpy as np
import pytest

from lossctl.sources.readers import Memory
from lossctl.statistics import ordered

SHARES = [0, 0.25, 0.5, 0.75, 0.95, 0.99, 1]
KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "ties": lambda rng, n: rng.integers(-3, 3, n).astype(float),
    "constant": lambda rng, n: np.full(n, rng.normal()),
    "all sizes": lambda rng, n: rng.standard_cauchy(n) * 10.0 ** rng.integers(-300, 300),
    "infinite": lambda rng, n: np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n)),
    "both infinities": lambda rng, n: rng.choice([-np.inf, np.inf, 0.0, 1.0, 2.0], n),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.5, -0.0, 0.0),
}


@pytest.fixture
def narrow(monkeypatch):
    """Little is sorted at once, and pieces are short."""
    monkeypatch.setattr(ordered, "FEW", 50)
    monkeypatch.setattr(ordered, "PIECE", 97)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_are_numpy_s_to_the_last_bit(kind):
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 50, 51, 400, 2999):
        values = KINDS[kind](rng, n)
        method = "linear" if np.isfinite(values).all() else "nearest"
        assert ordered.quantiles(Memory(values), SHARES) == np.quantile(values, SHARES, method=method).tolist()


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("count", [1, 30, 999])
@pytest.mark.parametrize("kind", ["normal", "ties", "constant"])
def test_sums_of_the_largest(kind, count):
    values = KINDS[kind](np.random.default_rng(2), 999)
    low, total, top = ordered.shared(Memory(values), count)
    assert low == values.min()
    assert total == pytest.approx(values.sum(), rel=1e-12)
    assert top == pytest.approx(np.sort(values)[-count:].sum(), rel=1e-12)
