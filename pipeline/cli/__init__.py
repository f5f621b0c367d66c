"""The command line: `closing-bell`, or `python -m pipeline`."""
