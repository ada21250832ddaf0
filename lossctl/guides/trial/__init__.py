"""The same small model trained under one loss after another, and what comes of it on rows that it has not seen.

Everything but the loss is the same at a given seed: the split, the standardised features, the initial weights, the order of
batches, the number of steps, and the learning rate unless it is tuned. Weights and outputs are float64 on one thread, so that
a rerun gives the same bits.
"""
