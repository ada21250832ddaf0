"""Which loss: a decision tree, rules over facts of the data and answers, and what follows for parameters and code.

What is known stands in YAML beside the code: `questions`, `tree`, `rules` and `settings`. The code only reads and applies it.
"""
