"""Scheduled events: sources, checks, the bitemporal store, and the calendar that a run sees."""
