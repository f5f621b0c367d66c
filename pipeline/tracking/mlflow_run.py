"""One MLflow run: opened once by its key, written to, closed.

Opening is idempotent: a run is found by its key before one is made.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from pipeline.config import Settings
from pipeline.tracking.addresses import address, is_server
from pipeline.tracking.connection import connected
from pipeline.tracking.experiments import experiment_id
from pipeline.tracking.run_writer import RunWriter
from pipeline.tracking.scores import is_number

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_api import MlflowClient, Run

RUN_KEY = "closing_bell.run_key"
Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True, kw_only=True)
class MlflowRun:
    """A run in the MLflow of the settings."""

    settings: Settings
    run_id: str

    @classmethod
    def open(cls, settings: Settings, *, experiment: str, key: str, name: str, tags: Mapping[str, str]) -> Self:
        """Return the run of `key`, made if there is none; its tags are updated.

        If `tags` hold a `weights_sha256` other than the run's, the run describes another training: it is deleted (and
        can be restored) and a new one takes the key. Raises ValueError for a key with a quote.
        """
        if "'" in key:  # MLflow's filters have no way to write one
            raise ValueError(f"a run's key has no quotes: {key}")
        with connected(settings, f"open the run {key!r}") as client:
            number = experiment_id(client, settings, experiment)
            for run in _runs_of(client, number, key):
                if _same_training(run, tags):
                    return cls(settings=settings, run_id=_reopen(client, run, tags))
                client.set_tag(run.info.run_id, "superseded_by_weights", tags["weights_sha256"])
                client.delete_run(run.info.run_id)
            client.create_run(number, tags={RUN_KEY: key, **_standard_tags(tags), **tags}, run_name=name)
            # A request that was answered too late is sent again, and another worker may open the same key at the same
            # time: each looks again after making one, and the oldest stays.
            first, *others = _runs_of(client, number, key)
            for run in others:
                client.delete_run(run.info.run_id)
            return cls(settings=settings, run_id=str(first.info.run_id))

    @contextmanager
    def writing(self, doing: str) -> Iterator[RunWriter]:
        """Yield a writer; `doing` completes "cannot … in run …" in the errors, which are those of `connected`."""
        with connected(self.settings, f"{doing} in run {self.run_id}") as client:
            yield RunWriter(client, self.run_id)

    def log_numbers(self, values: Mapping[str, float | None]) -> None:
        """Record numbers, such as the scores of forecasts that have matured; what is None or not finite is left out."""
        with self.writing("record numbers") as writer:
            writer.log_numbers({name: value for name, value in values.items() if is_number(value)})

    def finish(self, status: Status = "FINISHED") -> None:
        """Close the run."""
        with connected(self.settings, f"close run {self.run_id}") as client:
            client.set_terminated(self.run_id, status)

    def url(self) -> str | None:
        """Return the address of the run's page, None where no server is known that shows it."""
        with connected(self.settings, f"find run {self.run_id}") as client:
            return self.page(client.get_run(self.run_id).info.experiment_id)

    def page(self, experiment: str) -> str | None:
        """Return the address of the run's page in an experiment, without a request.

        Runs in a database opened directly are shown by the one-machine server, if `MLFLOW_PORT` says where that is.
        """
        port = os.environ.get("MLFLOW_PORT")
        if self.settings.mlflow_link:
            base = self.settings.mlflow_link.rstrip("/")
        elif is_server(self.settings.tracking_uri):
            base = address(self.settings.tracking_uri)
        elif port:
            base = f"http://127.0.0.1:{port}"
        else:
            return None
        return f"{base}/#/experiments/{experiment}/runs/{self.run_id}"


def _runs_of(client: "MlflowClient", experiment: str, key: str) -> list["Run"]:
    """Return the runs of a key that are not deleted, oldest first."""
    runs = client.search_runs([experiment], f"tags.`{RUN_KEY}` = '{key}'")
    return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))


def _same_training(run: "Run", tags: Mapping[str, str]) -> bool:
    logged, now = run.data.tags.get("weights_sha256"), tags.get("weights_sha256")
    return logged is None or now is None or logged == now


def _reopen(client: "MlflowClient", run: "Run", tags: Mapping[str, str]) -> str:
    run_id = str(run.info.run_id)
    if run.info.status != "RUNNING":
        client.update_run(run_id, status="RUNNING")
    changed = {name: value for name, value in tags.items() if run.data.tags.get(name) != value}
    RunWriter(client, run_id).set_tags(changed)
    return run_id


def _standard_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that MLflow's own pages show as a run's source."""
    commit = tags.get("git_commit", "").removesuffix("-dirty")
    source = {"mlflow.source.name": tags.get("airflow.dag_id", "python -m pipeline"), "mlflow.source.type": "JOB"}
    return source | ({"mlflow.source.git.commit": commit} if commit not in ("", "unknown") else {})
