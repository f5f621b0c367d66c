"""The entry point of the command `closing-bell`, and of `python -m pipeline`."""

from pipeline.cli.app import main

if __name__ == "__main__":
    main()
