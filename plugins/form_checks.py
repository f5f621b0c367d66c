"""Validation of trigger forms before a run exists: one sentence instead of a JSON schema error.

There are two ways. `TriggerChecks` inspects requests to the REST API, which the UI uses too: it knows the names of a
form's fields and refuses others. The formats named `closing-bell …` are part of the fields' JSON schemas: Airflow
applies them however a run is created, by the command line and backfills too. The messages of both are those of
`pipeline.jobs.trigger_form`.
"""

import asyncio
import json
import logging
import re
from datetime import UTC, datetime
from functools import partial
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from jsonschema import FormatChecker
from request_body import App, Message, Receive, Send, read_body, replay

DAGS = ("daily_forecast", "backtest")
# Those of pipeline.jobs.trigger_form, repeated here so that parsing a DAG stays cheap; a test compares them.
FIELDS = (
    *("symbols", "as_of", "from", "to", "horizon", "training_steps", "retrain_every", "refit_every"),
    *("source", "network", "whole_history", "make_latest"),
)
# Room for pipeline.jobs.trigger_form.MAX_SYMBOLS symbols of the greatest length, with separators.
MAX_BODY = 1_000_000
_RUNS = re.compile(r".*/api/v2/dags/([^/]+)/dagRuns/?")
_BACKFILLS = re.compile(r".*/api/v2/backfills/?")

log = logging.getLogger(__name__)


def format_of(name: str) -> str:
    """Return the name of the JSON schema format that checks a field."""
    return f"closing-bell {name}"


def _passes(name: str, value: Any) -> bool:
    """Validate a field's value for Airflow. Raises a UserError, whose message Airflow shows."""
    if value is None:
        return True  # nothing of the pipeline is imported while a DAG file is parsed
    from pipeline.jobs.trigger_form import check_field

    check_field(name, value, now=datetime.now(UTC))
    return True


# Airflow creates a FormatChecker without arguments for each validation, and there is no way to pass it another one.
# Such a checker takes its formats from this attribute of the class, so ours are added here, once per process.
FormatChecker.checkers = FormatChecker.checkers | {format_of(name): (partial(_passes, name), ()) for name in FIELDS}


class TriggerChecks:
    """Answers 400 with one sentence to a request for an impossible run; passes everything else on."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if not _asks_for_a_run(scope):
            await self.app(scope, receive, send)
            return
        messages, body = await read_body(receive, most=MAX_BODY)
        if body is None:
            await _refuse(send, 413, f"the request is longer than {MAX_BODY:,} bytes; name fewer symbols")
        elif refusal := await asyncio.to_thread(_refusal, scope["path"], body):
            await _refuse(send, 400, refusal)
        else:
            await self.app(scope, replay(messages, receive), send)


def _asks_for_a_run(scope: Message) -> bool:
    """Whether this is a request for a run of these DAGs that carries credentials."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    run = _RUNS.fullmatch(scope["path"])
    if not (run and run[1] in DAGS) and not _BACKFILLS.fullmatch(scope["path"]):
        return False
    return any(name in (b"authorization", b"cookie") for name, _ in scope["headers"])


def _refusal(path: str, body: bytes) -> str | None:
    """Return why the requested run is impossible; None if it is possible, or if Airflow itself should answer."""
    from pipeline.errors import UserError
    from pipeline.jobs.trigger_form import check_form

    try:
        request = json.loads(body)
        run = _RUNS.fullmatch(path)
        dag_id = run[1] if run else request.get("dag_id")
        conf = request.get("conf" if run else "dag_run_conf")
        if dag_id not in DAGS or not isinstance(conf, dict):
            return None
        check_form(conf, known=fields_of(dag_id) or conf, now=datetime.now(UTC))
    except UserError as error:
        return str(error)
    except Exception:
        log.warning("a trigger request was not validated", exc_info=True)
    return None


def fields_of(dag_id: str) -> list[str]:
    """Return the names of the form's fields, as Airflow has stored the DAG."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        query = SerializedDagModel.latest_item_select_object(dag_id)  # type: ignore[no-untyped-call]  # Airflow
        stored = session.scalar(query)
        return [] if stored is None else list(stored.dag.params)


async def _refuse(send: Send, status: int, detail: str) -> None:
    content = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class FormChecksPlugin(AirflowPlugin):
    """Registers the middleware around the whole API server."""

    name = "form_checks"
    fastapi_root_middlewares: list[Any] = [{"name": "form checks", "middleware": TriggerChecks}]
