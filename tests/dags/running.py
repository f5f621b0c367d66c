"""Running a DAG to its end in this process, by Airflow itself, on the sample's prices with a small network."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.models import dagrun
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from mlflow_run_link import KEY

SMALL = {
    "TRAINING_STEPS": "20",
    "HIDDEN_SIZE": "8",
    "CONTEXT_LENGTH": "20",
    "BATCH_SIZE": "32",
    "HOLDOUT_SESSIONS": "40",
    "VALIDATION_SESSIONS": "40",
    "INGEST_BATCH": "2",
    "MLFLOW_LINK": "https://mlflow.example",
}


@dataclass(frozen=True)
class Outcome:
    """What a run of a DAG came to."""

    state: str
    tasks: dict[str, Counter[str]]  # task → how many of its instances ended in which state
    tries: dict[str, int]
    run_id: str
    note: str | None
    links: dict[tuple[str, int], str]  # task and map index → where its button "MLflow run" leads to
    home: Path


Start = Callable[..., Outcome]


@contextmanager
def runner(read_dags: Any, homes: pytest.TempPathFactory, dag_id: str) -> Iterator[Start]:
    """Give what runs the DAG in a new home, or in the `home` named.

    The file is parsed again, as for each task of a live Airflow: a run in this process changes its parameters.
    Tasks are retried as usual, but without delays.
    """
    at_sigterm = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:

        def run(*, home: Path | None = None, **arguments: object) -> Outcome:
            home = home or homes.mktemp("home")
            patch.chdir(home)
            for name, value in (SMALL | {"HOME": str(home)}).items():
                patch.setenv(f"PIPELINE_{name}", value)
            dag = read_dags().dags[dag_id]
            dag.deadline = []  # Airflow cannot run a DAG with one in this way: it takes the alert for the id of one
            for task in dag.tasks:
                task.retry_delay = timedelta(0)
                task.retry_exponential_backoff = 0
            return _outcome(dag.test(**arguments), home)

        yield run
    signal.signal(signal.SIGTERM, at_sigterm)  # Airflow's tasks set their own, here in the process of the tests


def _outcome(run: dagrun.DagRun, home: Path) -> Outcome:
    tasks: dict[str, Counter[str]] = {}
    tries: dict[str, int] = {}
    with create_session() as session:
        for instance in run.get_task_instances(session=session):
            tasks.setdefault(instance.task_id, Counter())[str(instance.state)] += 1
            tries[instance.task_id] = max(tries.get(instance.task_id, 0), instance.try_number)
        ended = session.get(dagrun.DagRun, run.id)
        note = ended.note
        found = session.scalars(XComModel.get_many(run_id=run.run_id, key=KEY, dag_ids=run.dag_id)).all()
        links = {(one.task_id, one.map_index): str(one.value).strip('"') for one in found}
    return Outcome(str(run.state), tasks, tries, run.run_id, note, links, home)
