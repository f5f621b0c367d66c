"""Training speed against other libraries on the same work: `python -m benchmarks.training`."""
