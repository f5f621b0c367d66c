"""The trigger form's checks, before a run exists: one sentence instead of a JSON schema's complaint.

Two ways lead there. `TriggerChecks` looks at requests to the REST API, which the UI uses too: it knows the names of a
form's fields and refuses others. The formats named `closing-bell …` belong to the fields' JSON schemas: Airflow itself
applies them to whatever makes a run, the command line and a backfill included. `pipeline.jobs.trigger_form` words both.
"""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin
from jsonschema import FormatChecker

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DAGS = ("daily_forecast", "backtest")
# Those of pipeline.jobs.trigger_form, written out so that reading a DAG stays cheap; a test compares.
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
    """Check a field's value for Airflow. Raises a UserError, whose words Airflow then shows."""
    if value is None:
        return True  # nothing of the pipeline is imported while a DAG file is read
    from pipeline.jobs.trigger_form import check_field

    check_field(name, value, now=datetime.now(UTC))
    return True


# jsonschema knows no other way to reach the checker that Airflow makes for itself.
FormatChecker.checkers = FormatChecker.checkers | {format_of(name): (partial(_passes, name), ()) for name in FIELDS}


class TriggerChecks:
    """Answers 400 with one sentence to a request for a run that could not be met; lets everything else pass."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if not _asks_for_a_run(scope):
            await self.app(scope, receive, send)
            return
        messages, body = await _read(receive)
        if body is None:
            await _refuse(send, 413, f"the request is longer than {MAX_BODY:,} bytes; name fewer symbols")
        elif refusal := await asyncio.to_thread(_refusal, scope["path"], body):
            await _refuse(send, 400, refusal)
        else:
            await self.app(scope, _again(messages, receive), send)


def _asks_for_a_run(scope: Message) -> bool:
    """Whether this is a request for a run of ours by somebody who has signed in, as far as that shows here."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    run = _RUNS.fullmatch(scope["path"])
    if not (run and run[1] in DAGS) and not _BACKFILLS.fullmatch(scope["path"]):
        return False
    return any(name in (b"authorization", b"cookie") for name, _ in scope["headers"])


def _refusal(path: str, body: bytes) -> str | None:
    """Return why a run cannot be made as asked for; None where it can, or where Airflow should answer itself."""
    from pipeline.errors import UserError
    from pipeline.jobs.trigger_form import check_form

    try:
        request = json.loads(body)
        run = _RUNS.fullmatch(path)
        dag_id = run[1] if run else request.get("dag_id")
        conf = request.get("conf" if run else "dag_run_conf")
        if dag_id not in DAGS or not isinstance(conf, dict):
            return None
        check_form(conf, known=_fields(dag_id) or conf, now=datetime.now(UTC))
    except UserError as error:
        return str(error)
    except Exception:
        log.warning("a request for a run was not checked", exc_info=True)
    return None


def _fields(dag_id: str) -> list[str]:
    """Return the names of the form's fields, as Airflow has stored the DAG."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        stored = session.scalar(SerializedDagModel.latest_item_select_object(dag_id))
        return [] if stored is None else list(stored.dag.params)


async def _read(receive: Receive) -> tuple[list[Message], bytes | None]:
    """Return a request's messages and its body; None in place of one that is too long."""
    messages, body = [], b""
    while True:
        messages.append(message := await receive())
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return messages, None
        if message["type"] != "http.request" or not message.get("more_body"):
            return messages, body


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Return what gives the messages again, and then whatever the client sends after them."""
    waiting = iter(messages)

    async def next_message() -> Message:
        for message in waiting:
            return message
        return await receive()

    return next_message


async def _refuse(send: Send, status: int, detail: str) -> None:
    content = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class FormChecksPlugin(AirflowPlugin):
    """Registers the middleware around all of the API server."""

    name = "form_checks"
    fastapi_root_middlewares: ClassVar[list[Any]] = [{"name": "form checks", "middleware": TriggerChecks}]
