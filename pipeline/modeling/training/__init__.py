"""Training: the loop, the optimizer, precision, and one model from a snapshot."""
