"""Several systems under several losses: their losses sample by sample, the differences, and what can be said of them."""
