"""The arithmetic behind `compare`: which of several systems is better, and is the difference real.

Losses of samples in, p-values, intervals and verdicts out; nothing here reads a file or knows a loss. `flips` and `swaps`
test, `paired` has the classical tests, `multiple` corrects for several hypotheses, `intervals` resamples, `power` says what
the data could have shown, `verdict` puts it into a word. Differences are always system minus baseline: below zero is better.
"""
