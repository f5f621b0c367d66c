"""The daily report: one self-contained HTML page."""
