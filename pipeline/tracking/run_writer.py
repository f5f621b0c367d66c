"""What is written to one MLflow run: parameters, numbers, curves, tags, files and tables.

Every method is idempotent, also after a try that broke off half way: a number that has not changed is not written
again, and the points of a curve carry times computed from the run's start, by which MLflow recognises those it has.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import PipelineError
from pipeline.tracking import mlflow_api

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_api import DatasetInput, MlflowClient, Run

# MLflow's own names of the tags that its pages read.
NOTE = "mlflow.note.content"
TABLES = "mlflow.loggedArtifacts"  # the JSON artifacts that are shown, and compared across runs, as tables

_AT_ONCE = 1000  # metrics in a request; more are refused


class Point(NamedTuple):
    """One value of a metric; `after_ms` is its time, counted from the start of the run."""

    name: str
    value: float
    step: int = 0
    after_ms: int = 0


class RunWriter:
    """Writes to a run through an open client; `run` is the run as it was when the writer was made."""

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        self.run: Run = client.get_run(run_id)

    @property
    def tags(self) -> dict[str, str]:
        """The run's tags when the writer was made."""
        return dict(self.run.data.tags)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        if tags:
            self.client.log_batch(self.run_id, tags=[mlflow_api.RunTag(name, value) for name, value in tags.items()])

    def rename(self, name: str) -> None:
        """Change the name that MLflow's pages show."""
        if self.run.info.run_name != name:
            self.client.update_run(self.run_id, name=name)

    def log_parameters(self, parameters: Mapping[str, str]) -> None:
        """Log parameters. Raises PipelineError where the run has another value: MLflow never replaces one."""
        logged = self.run.data.params
        for name, value in parameters.items():
            if name in logged and logged[name] != value:
                raise PipelineError(
                    f"MLflow run {self.run_id} holds another training: {name} was {logged[name]!r} and is now "
                    f"{value!r}; delete that run in MLflow and retry"
                )
        missing = [mlflow_api.Param(name, value) for name, value in parameters.items() if name not in logged]
        self.client.log_batch(self.run_id, params=missing)

    def log_numbers(self, values: Mapping[str, float]) -> None:
        """Log numbers without a step. One that has changed gets a later time than before: MLflow shows the latest."""
        logged = self.run.data.metrics
        new = [Point(name, value) for name, value in values.items() if name not in logged]
        changed = [
            Point(name, value, after_ms=self._after_last(name))
            for name, value in values.items()
            if logged.get(name, value) != value
        ]
        self.log_points(new + changed)

    def log_points(self, points: Sequence[Point]) -> None:
        """Log points of curves; MLflow stores one that it already has, with the same time and value, only once."""
        start = int(self.run.info.start_time)
        self.log_moments((point.name, point.value, start + point.after_ms, point.step) for point in points)

    def log_moments(self, moments: Iterable[tuple[str, float, int, int]]) -> None:
        """Log points as `(name, value, milliseconds since 1970, step)`, in few requests."""
        metrics = [mlflow_api.Metric(name, float(value), at, step) for name, value, at, step in moments]
        for first in range(0, len(metrics), _AT_ONCE):
            self.client.log_batch(self.run_id, metrics=metrics[first : first + _AT_ONCE])

    def log_dataset(self, dataset: "DatasetInput") -> None:
        """Log the data that the run was trained on."""
        self.client.log_inputs(self.run_id, [dataset])

    def log_folder(self, folder: Path, inside: str | None = None) -> None:
        """Copy the content of a folder to the run's artifacts, there into the folder `inside`."""
        self.client.log_artifacts(self.run_id, str(folder), inside)

    def log_file(self, path: Path, inside: str | None = None) -> None:
        """Copy a file to the run's artifacts, there into the folder `inside`."""
        self.client.log_artifact(self.run_id, str(path), inside)

    def log_text(self, text: str, name: str) -> None:
        """Write a text artifact."""
        self.client.log_text(self.run_id, text, name)

    def show_as_tables(self, names: Iterable[str]) -> None:
        """Have MLflow show these JSON artifacts as tables.

        `MlflowClient.log_table` would do so too, but adds its rows to those of an earlier try.
        """
        shown = json.loads(self.tags.get(TABLES, "[]"))
        new = [{"path": name, "type": "table"} for name in names]
        self.set_tags({TABLES: json.dumps([*shown, *(each for each in new if each not in shown)])})

    def _after_last(self, name: str) -> int:
        last = max(int(point.timestamp) for point in self.client.get_metric_history(self.run_id, name))
        return last - int(self.run.info.start_time) + 1
