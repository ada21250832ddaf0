"""Gradients of files of any size: exact, streamed, and looked at.

A loss is finish(sums of terms), so that dL/dx of one sample is the sum over terms of dL/dS times dterm/dx. One pass folds
the sums; finish is differentiated by them, a handful of numbers; a second pass differentiates the terms block by block.
"""
