"""Diagnostics of a trained network: input drift and gradient memory."""
