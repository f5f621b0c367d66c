"""Closing Bell: every trading day a judged, traceable range for tomorrow's prices.

The package knows nothing of Airflow: `jobs` holds one function per task, and both the DAGs and the
command line call those.
"""

__version__ = "0.1.0"
