"""What data look like: counts, moments, balance, tails, and the kinds of values that arrays and pairs of arrays may be.

Each array is read once, in blocks. Everything is exact but medians and what is built on them: of more than 2^16 elements
those come from a sample with one element of each of 2^16 equal stretches, chosen with a fixed seed; `sampled` says so.
"""

from __future__ import annotations

from lossctl.facts.array import facts_of
from lossctl.facts.fitting import Fit, fitting
from lossctl.facts.found import Facts
from lossctl.facts.pair import facts_of_both, pair_facts
from lossctl.facts.text import text_facts

__all__ = ["Facts", "Fit", "facts_of", "facts_of_both", "fitting", "pair_facts", "text_facts"]
