"""How well this project and its peers forecast, by one scorer on the same sessions: `python -m benchmarks.skill`."""
