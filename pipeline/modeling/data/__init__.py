"""From prices to training examples: panel, features, windows, splits."""
