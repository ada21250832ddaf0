"""What data look like: counts, moments, balance, tails, and the kinds of values that arrays and pairs of arrays may be.

Each array is read once, in blocks. Everything is exact but medians and what is built on them: of more than 2^16 elements
those come from a sample with one element of each of 2^16 equal stretches, chosen with a fixed seed; `sampled` says so.
"""

from __future__ import annotations

from lossctl.guides.facts.arrays import Facts, Fit, facts_of, facts_of_both, fitting, pair_facts, text_facts

__all__ = ["Facts", "Fit", "facts_of", "facts_of_both", "fitting", "pair_facts", "text_facts"]
