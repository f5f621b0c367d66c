"""What MLflow remembers: runs with their scores and reasons, and the registered models.

    connection.py    how MLflow is reached, and what is said when it is not
    runs.py          one run for each pipeline run and network: parameters, curves, scores, files, the verdict in words
    backtests.py     one run for a backtest, and one below it for each fold
    registry.py      versions of `daily-forecast`, and who was champion as of a session
    model_package.py the model as MLflow keeps and serves it: code, weights in safetensors, no pickle
    served_model.py  the script in that package that answers `mlflow models serve`
    scores.py        scores as metrics and tables
    dataset.py       the snapshot as MLflow's dataset of a run
    description.py   a run's page in words
    provenance.py    which code and which Airflow run made it

The only place that imports mlflow. No scores are computed here and no model is trained. Importing any of these
modules does not import mlflow (one second); calling a function does.
"""
