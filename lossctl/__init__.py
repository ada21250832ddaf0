"""lossctl computes, checks and compares loss functions on the files that predictions are kept in."""

__version__ = "0.1.0"
