"""From readers and losses to values: shapes are fitted, blocks are folded into sums, sums become results."""
