"""The arithmetic behind `compare`: which of several systems is better, and is the difference real.

Losses of samples in, p-values, intervals and verdicts out; nothing here reads a file or knows a loss. `flips` tests by random
signs and swaps and corrects for several hypotheses, `arrays` has distributions and the classical tests, `intervals` resamples,
`power` says what the data could have shown and puts it into a word, `ordered` and `sums` have spread and moments. Differences
are always system minus baseline: below zero is better.
"""
