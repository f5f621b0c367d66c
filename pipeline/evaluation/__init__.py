"""Scores of forecasts, the promotion gate, and the track record of what was published."""
