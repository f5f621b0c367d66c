"""Scheduled events from Yahoo through yfinance: reports and dividends, with the failures of prices' requests."""
