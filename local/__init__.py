"""The single-machine setup: starts, monitors and stops Airflow and MLflow on this computer.

`make run` and `make stop` call this package. It runs Airflow and MLflow as programs and talks to them over HTTP; it
imports neither, and of forecasts it only knows the DAG's name and where files are published.
"""
