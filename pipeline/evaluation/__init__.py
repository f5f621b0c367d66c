"""Scores, the gate, and the record of what was published against what came."""
