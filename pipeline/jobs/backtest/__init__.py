"""The backtest: its steps, one fold, what a fold may see, and what it excludes."""
