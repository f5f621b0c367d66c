"""Yahoo through yfinance: the source, its HTTP session, and the rows of its responses."""
