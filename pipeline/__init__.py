"""Closing Bell: daily, evaluated and traceable forecast ranges of stock prices.

The package does not depend on Airflow: `jobs` has one function per task, and both the DAGs and the command line call
them.
"""

__version__ = "0.1.0"
