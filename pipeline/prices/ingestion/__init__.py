"""Ingestion: what a source returned against what is stored, and which bars are accepted."""
