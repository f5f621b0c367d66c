"""The button "MLflow run" on the page of a task.

Airflow shows the XCom `mlflow_run` of a task. The MLflow run of a training is created only by the upload, which
therefore sets the XCom of the training tasks too.
"""

from typing import Any

import attrs
from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

KEY = "mlflow_run"


@attrs.define()
class MlflowRunLink(BaseOperatorLink):
    """The link of a task: the address that the task itself has left, or the task `made_by`."""

    made_by: str | None = None

    @property
    def name(self) -> str:
        """The label of the button."""
        return "MLflow run"

    @property
    def xcom_key(self) -> str:
        """The key of the XCom with the address."""
        return KEY

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address for a task that is ending, empty if it is not known yet; called in its worker."""
        from pipeline.storage.urls import web_link

        return web_link(ti_key.xcom_pull(task_ids=self.made_by or operator.task_id, key=KEY)) or ""


def with_mlflow_run(task: Any, *, made_by: str | None = None) -> Any:
    """Add the button to a task of a DAG and return the task."""
    task.operator.operator_extra_links = (MlflowRunLink(made_by=made_by),)
    return task


def leave_mlflow_run(address: str | None, ti: Any, *others: str) -> None:
    """Set the address for the running task, and for other tasks of its run that have ended."""
    from airflow.sdk.execution_time.xcom import XCom

    if address is None:
        return
    ti.xcom_push(key=KEY, value=address)
    for task_id in others:
        XCom.set(key=KEY, value=address, dag_id=ti.dag_id, task_id=task_id, run_id=ti.run_id)


class MlflowRunLinkPlugin(AirflowPlugin):
    """Registers the link; a DAG adds it to its tasks."""

    name = "mlflow_run_link"
    operator_extra_links: list[Any] = [MlflowRunLink()]
