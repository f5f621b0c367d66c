"""Walk-forward backtests: their steps, one fold, the data that a fold sees, and the symbols that it excludes."""
