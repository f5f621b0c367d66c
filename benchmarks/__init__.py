"""Measurements of the pipeline: `python -m benchmarks` for the speed of the price store, `faults` for its rules."""
