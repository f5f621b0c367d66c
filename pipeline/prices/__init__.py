"""Prices: sources, quality rules, ingestion, the bitemporal store and the audit of a snapshot."""
