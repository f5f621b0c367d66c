"""Networks and baselines: features, training, forecasts. The only package that imports torch."""
