"""What is wrong with a training run, by its history of losses. The table of faults is read without importing NumPy."""
