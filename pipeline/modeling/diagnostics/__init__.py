"""Diagnostics of a trained network: input drift, and how far back its gradients reach."""
