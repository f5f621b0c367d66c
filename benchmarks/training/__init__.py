"""How fast a network trains, beside others on the same work: `python -m benchmarks.training`."""
