"""The one-machine set-up: Airflow and MLflow on this computer, started, watched and ended.

`make run` and `make stop` call this package. It runs Airflow and MLflow as programs and speaks to them over HTTP; it
imports neither, and it knows nothing of forecasts beyond the DAG's name and where published files lie.
"""
