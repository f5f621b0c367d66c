"""A note on each run of the daily forecast that says in a line what came of it, and where to look.

The scheduler writes it when the run ends. A note that a person has written stays.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from airflow.configuration import conf
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

_DAG = "daily_forecast"
_PUBLISHED, _STOPPED = "**Published.**", "**Stopped.**"
_LONGEST = 1000  # Airflow's own limit


class RunNotes:
    """Listens to the ends of runs."""

    @hookimpl
    def on_dag_run_success(self, dag_run: Any) -> None:
        """Write the headline of what was published; a run that was skipped has published nothing."""
        if dag_run.dag_id != _DAG:
            return
        with _attached(dag_run) as (run, session):
            if published := _returned(run, "publish", session):
                _write(run, _PUBLISHED, _said(published), _links(published))

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any) -> None:
        """Write which tasks failed."""
        if dag_run.dag_id != _DAG:
            return
        with _attached(dag_run) as (run, session):
            failed = sorted({one.task_id for one in run.get_task_instances(["failed"], session=session)})
            told = f"Failed: {', '.join(failed)}. The last line of its log says what happened and what to do."
            _write(run, _STOPPED, told if failed else "The run was ended by hand.", "")


def _said(published: dict[str, Any]) -> str:
    warnings = "".join(f" Warning: {text}." for text in published.get("warnings", ()))
    return f"{published['headline']}. {published['verdict']}.{warnings}"


def _write(run: Any, mark: str, text: str, links: str) -> None:
    if run.note and not run.note.startswith((_PUBLISHED, _STOPPED)):
        return
    room = _LONGEST - len(mark) - len(links) - 2
    run.note = f"{mark} {text[:room]}\n{links}".strip()


def _links(published: dict[str, Any]) -> str:
    beside = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    links = [f"[Report]({beside}/plugin/forecasts/forecasts/sessions/{quote(published['as_of'])})"]
    if published["mlflow_url"]:
        links.append(f"[MLflow run]({published['mlflow_url']})")
    return " · ".join(links)


def _returned(run: Any, task_id: str, session: Any) -> dict[str, Any] | None:
    """What a task of the run returned; None where it did not come to that."""
    from airflow.models.xcom import XComModel

    query = XComModel.get_many(run_id=run.run_id, key="return_value", dag_ids=_DAG, task_ids=task_id)
    found = session.execute(query.with_only_columns(XComModel.value)).first()
    value = None if found is None else found.value
    return json.loads(value) if isinstance(value, str) else value


@contextmanager
def _attached(dag_run: Any) -> Iterator[tuple[Any, Any]]:
    """Give the run and a session that knows it: the scheduler's, which is its alone to commit, or one of our own."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy.orm import object_session

    if (its_own := object_session(dag_run)) is not None:
        yield dag_run, its_own
        return
    with create_session(scoped=False) as session:
        yield session.get(DagRun, dag_run.id), session


class RunNotesPlugin(AirflowPlugin):
    """Has the scheduler listen."""

    name = "run_notes"
    listeners: ClassVar[list[Any]] = [RunNotes()]
