"""Tools of `make check` and `make docs`: they read this checkout and nothing else."""
