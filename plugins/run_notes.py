"""A note on each run: what it published, or which task stopped it and why.

The scheduler writes it when the run ends, from XComs of the tasks: `reason` of tasks that failed or were skipped
(`dags/_endings.py`), otherwise the result of the last task. A note that a user has written is not changed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from airflow.configuration import conf
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

# The task of each DAG whose result the note reports.
_LAST = {"daily_forecast": "publish", "backtest": "summary"}
_PUBLISHED, _DONE, _SKIPPED, _STOPPED = "**Published.**", "**Done.**", "**Skipped.**", "**Stopped.**"
_REASON = "reason"
NO_REASON = "no reason was recorded: the task was killed, possibly out of memory, or never started; see its log"
_LONGEST = 1000  # Airflow's own limit
_ELLIPSIS = " …"


class RunNotes:
    """Listens to runs that end."""

    @hookimpl
    def on_dag_run_success(self, dag_run: Any) -> None:
        """Write what the run published, or why it was skipped."""
        if dag_run.dag_id not in _LAST:
            return
        with attached_run(dag_run) as (run, session):
            if result := _returned(run, _LAST[run.dag_id], session):
                write_note(run, *_of_result(run.dag_id, result))
            elif reasons := reasons_of(run, "skipped", session):
                write_note(run, _SKIPPED, reasons[0].partition(": ")[2], "")

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        """Write which tasks failed and why; `msg` says how Airflow determined that the run failed."""
        if dag_run.dag_id not in _LAST:
            return
        with attached_run(dag_run) as (run, session):
            killed = "" if "manually" in str(msg) else NO_REASON
            reasons = reasons_of(run, "failed", session, without=killed)
            write_note(run, _STOPPED, "; ".join(reasons) or "The run was marked as failed manually.", "")


def _of_result(dag_id: str, result: dict[str, Any]) -> tuple[str, str, str]:
    if dag_id == "daily_forecast":
        return _PUBLISHED, summary_of(result), links_of(result)
    return _DONE, f"{result['rows']:,} rows in {result['file']}.", _mlflow(result)


def summary_of(published: dict[str, Any]) -> str:
    """Return headline, verdict and warnings of a published run."""
    warnings = "".join(f" Warning: {text}." for text in published.get("warnings", ()))
    return f"{published['headline']}. {published['verdict']}.{warnings}"


def write_note(run: Any, mark: str, text: str, links: str) -> None:
    """Write the note on a run; a note that a person wrote stays as it is."""
    if run.note and not run.note.startswith((_PUBLISHED, _DONE, _SKIPPED, _STOPPED)):
        return
    room = _LONGEST - len(mark) - len(links) - 2
    run.note = f"{mark} {_fitted(text, room)}\n{links}".strip()


def _fitted(text: str, room: int) -> str:
    """Escape `text` for Markdown; if that exceeds `room`, cut its end, never within an escape sequence."""
    from pipeline.tracking.markdown import escape

    if len(escape(text)) <= room:
        return escape(text)
    kept = min(len(text), room)
    while len(escape(text[:kept])) + len(_ELLIPSIS) > room:
        kept -= 1
    return escape(text[:kept]) + _ELLIPSIS


def links_of(published: dict[str, Any]) -> str:
    """Return the links of a published run as Markdown: its report, and its run in MLflow."""
    root = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    edition = f"/{quote(published['edition'], safe='')}" if published.get("edition") else ""
    report = f"[Report]({root}/plugin/forecasts/forecasts/sessions/{quote(published['as_of'])}{edition})"
    return " · ".join(filter(None, (report, _mlflow(published))))


def _mlflow(result: dict[str, Any]) -> str:
    from pipeline.tracking.markdown import link

    return link("MLflow run", result["mlflow_url"]) if result.get("mlflow_url") else ""


def reasons_of(run: Any, state: str, session: Any, *, without: str = "") -> list[str]:
    """Return `task: reason` for each task in the state that has left a reason, in the order in which they ended.

    Instances of a mapped task with the same reason are one line. `without` is the reason of tasks that left none; if
    it is empty, they are omitted.
    """
    left = left_by(run, _REASON, session)
    ended = sorted(run.get_task_instances([state], session=session), key=lambda one: (str(one.end_date), one.map_index))
    counts: dict[tuple[str, str], int] = {}
    for one in ended:
        reason = left.get((one.task_id, one.map_index)) or without
        if reason:
            counts[one.task_id, reason] = counts.get((one.task_id, reason), 0) + 1
    return [f"{task}{f' ×{count}' if count > 1 else ''}: {reason}" for (task, reason), count in counts.items()]


def _returned(run: Any, task_id: str, session: Any) -> dict[str, Any] | None:
    """Return the result of a task of the run; None if it has none."""
    value = left_by(run, "return_value", session, task_id).get((task_id, -1))
    return value if isinstance(value, dict) else None


def left_by(run: Any, key: str, session: Any, task_id: str | None = None) -> dict[tuple[str, int], Any]:
    """Return the XComs of the run under a key, by task and map index."""
    from airflow.models.xcom import XComModel

    query = XComModel.get_many(run_id=run.run_id, key=key, dag_ids=run.dag_id, task_ids=task_id)
    rows = session.execute(query.with_only_columns(XComModel.task_id, XComModel.map_index, XComModel.value))
    return {(row.task_id, row.map_index): _read(row.value) for row in rows}


def _read(value: Any) -> Any:
    """Return an XCom's value; PostgreSQL returns it decoded, SQLite as text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


@contextmanager
def attached_run(dag_run: Any) -> Iterator[tuple[Any, Any]]:
    """Give the run and the database session that it belongs to: the scheduler's, which commits it, or a new one."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy.orm import object_session

    if (its_own := object_session(dag_run)) is not None:
        yield dag_run, its_own
        return
    with create_session(scoped=False) as session:
        yield session.get(DagRun, dag_run.id), session


class RunNotesPlugin(AirflowPlugin):
    """Registers the listener with the scheduler."""

    name = "run_notes"
    listeners: list[Any] = [RunNotes()]
