"""The networks: LSTM, RNN and feed-forward, with quantile outputs and compiled recurrent cells."""
