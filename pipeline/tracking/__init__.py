"""Experiment tracking and the model registry in MLflow: runs with scores and decisions, registered models.

    connection.py     clients, and errors that say what to do; experiments.py: the experiments and their descriptions
    mlflow_run.py     a run: opened once by its key, closed; run_writer.py: what is written to it
    runs.py           what a daily run records: training, scores, decision, price audit, published files
    backtests.py      a run for a backtest, and a nested one for each fold
    live_metrics.py   the track record
    registry.py       versions of `daily-forecast`, and the champion as of a session
    registration.py   a trained model becomes a version; model_files.py: its files, downloaded and checked
    model_package.py  the model as MLflow stores and serves it: code, weights in safetensors, no pickle
    served_model.py   the script in that package that `mlflow models serve` runs
    scores.py         scores as metrics and tables
    description.py    the descriptions of runs and versions
    provenance.py     the commit and the Airflow run
    mlflow_api.py     the names of mlflow, imported when they are first used

Only this package imports mlflow. It computes no scores and trains no model. Importing one of its modules does not
import mlflow, which takes a second; calling a function does.
"""
