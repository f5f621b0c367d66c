"""The button "MLflow run" on the page of a task.

Airflow shows what a task holds as the XCom `mlflow_run`. A training does not know its MLflow run yet, which is made
when everything is uploaded: whoever makes it leaves the address with the training too.
"""

from typing import Any

import attrs
from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

KEY = "mlflow_run"


@attrs.define()
class MlflowRunLink(BaseOperatorLink):
    """The link of one task, as that task left it, or the one named."""

    made_by: str | None = None

    @property
    def name(self) -> str:
        """What the button says."""
        return "MLflow run"

    @property
    def xcom_key(self) -> str:
        """Where Airflow looks for the address."""
        return KEY

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address for a task that ends now, empty where nobody knows it yet; called in its worker."""
        from pipeline.storage.urls import web_link

        return web_link(ti_key.xcom_pull(task_ids=self.made_by or operator.task_id, key=KEY)) or ""


def with_mlflow_run(task: Any, *, made_by: str | None = None) -> Any:
    """Return the task of a DAG, with the button."""
    task.operator.operator_extra_links = (MlflowRunLink(made_by=made_by),)
    return task


def leave_mlflow_run(address: str | None, ti: Any, *others: str) -> None:
    """Have the running task, and other tasks of its run that have ended, show this address."""
    from airflow.sdk.execution_time.xcom import XCom

    if address is None:
        return
    ti.xcom_push(key=KEY, value=address)
    for task_id in others:
        XCom.set(key=KEY, value=address, dag_id=ti.dag_id, task_id=task_id, run_id=ti.run_id)


class MlflowRunLinkPlugin(AirflowPlugin):
    """Lists the link among Airflow's plugins; a DAG puts it where it belongs."""

    name = "mlflow_run_link"
    operator_extra_links: list[Any] = [MlflowRunLink()]
