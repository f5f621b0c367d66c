"""Settings of a run that is over in seconds: little to learn, on few symbols."""

SMALL = {
    "training_steps": 20,
    "hidden_size": 8,
    "context_length": 20,
    "batch_size": 32,
    "holdout_sessions": 40,
    "validation_sessions": 40,
    "symbols": "AAPL,FB,IBM",
}
