"""Text for the terminal: the overview of an edition, one symbol, a backtest."""
