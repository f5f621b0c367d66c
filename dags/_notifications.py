"""Notifications about runs through Airflow's notifiers: e-mail, Slack, webhook.

Off until a channel is set. Addresses and passwords are Airflow connections, never settings of the pipeline. Nothing of
the pipeline is imported while a DAG file is parsed.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from _endings import REASON
from airflow.configuration import conf
from airflow.sdk import DeadlineAlert, SyncCallback  # type: ignore[attr-defined]  # exported lazily
from next_open_deadline import NextOpen, next_open

if TYPE_CHECKING:
    from pipeline.config import Settings
    from pipeline.publishing.notification import Notice

# Channels by the settings that switch them on; `pipeline.config.Settings` checks what they hold.
CHANNELS = {"email": "PIPELINE_NOTIFY_EMAIL", "slack": "PIPELINE_NOTIFY_SLACK", "webhook": "PIPELINE_NOTIFY_WEBHOOK"}


def channels() -> list[str]:
    """Return the channels that are switched on, by the environment alone."""
    return [name for name, variable in CHANNELS.items() if os.environ.get(variable, "").strip()]


def deadline(exchange: str) -> DeadlineAlert | None:
    """Return the alert for a scheduled run that is not done by the exchange's next open; None without a channel.

    Airflow runs the callback in a worker. The KubernetesExecutor cannot: its scheduler would stop at the attempt.
    """
    if not channels() or conf.get("core", "executor").split(",")[0].strip().endswith("KubernetesExecutor"):
        return None
    return DeadlineAlert(
        name="no forecast before the next open",
        reference=NextOpen(exchange=exchange),
        interval=timedelta(0),
        callback=SyncCallback(missed, kwargs={"exchange": exchange}),
    )


def notify(channel: str, context: Mapping[str, Any]) -> "Notice | None":
    """Send the outcome of the run that is ending over one channel. Return None without a message.

    A run that found nothing to do has skipped everything and sends none.
    """
    from pipeline.config import Settings
    from pipeline.publishing import notification
    from pipeline.storage.documents import from_document

    settings, ti, dag_run = Settings.load(), context["ti"], context["dag_run"]
    run = settings.airflow_run(dag_run.dag_id, dag_run.run_id)
    states = ti.get_task_states(dag_id=dag_run.dag_id, run_ids=[dag_run.run_id]).get(dag_run.run_id, {})
    failed = sorted({_task_of(name, context) for name, state in states.items() if state == "failed"})
    if failed:
        planned = ti.xcom_pull(task_ids="plan", key="run") or {}
        notice = notification.stopped(planned.get("as_of"), failed, run=run, reasons=_reasons(failed, ti))
    elif result := ti.xcom_pull(task_ids="publish"):
        publication = from_document(
            notification.Publication, result, where="the XCom of `publish`", remedy="clear the task `publish`"
        )
        notice = notification.published(publication, run=run, airflow=settings.airflow_link)
    else:
        return None
    send(channel, notice, settings)
    return notice


def missed(exchange: str, context: Mapping[str, Any]) -> None:
    """Notify every channel that the exchange has opened and there is no forecast; Airflow calls this in a worker.

    An unreachable channel does not stop the others. Raises the last error at the end, for the log.
    """
    from pipeline.config import Settings
    from pipeline.publishing import notification

    settings, run = Settings.load(), context["dag_run"]
    began = datetime.fromisoformat(str(run["data_interval_start"]))
    notice = notification.late(
        began.date().isoformat(),
        next_open(exchange, began).date(),
        run=settings.airflow_run(run["dag_id"], run["dag_run_id"]),
    )
    problem: Exception | None = None
    for channel in channels():
        try:
            send(channel, notice, settings)
        except Exception as error:  # noqa: BLE001  each provider has errors of its own
            problem = error
    if problem is not None:
        raise problem


def _reasons(failed: list[str], ti: Any) -> list[str]:
    """Return `task: reason` for each failed task that left one, each once."""
    reasons: dict[str, None] = {}
    for task_id in failed:
        left = ti.xcom_pull(task_ids=task_id, key=REASON)
        for reason in left if isinstance(left, Iterable) and not isinstance(left, str) else [left]:
            if reason:
                reasons[f"{task_id}: {reason}"] = None
    return list(reasons)


def _task_of(name: str, context: Mapping[str, Any]) -> str:
    """Return the task id of an instance by the name that Airflow lists: for a mapped task it ends in the map index."""
    return name if name in context["dag"].task_ids else name.rpartition("_")[0]


def send(channel: str, notice: "Notice", settings: "Settings") -> None:
    """Send a message over one channel. Raises what its provider raises.

    `notify` is called directly: calling the notifier itself would render the message as a template.
    """
    _NOTIFIERS[channel](notice, settings).notify({})


def _email(notice: "Notice", settings: "Settings") -> Any:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    return SmtpNotifier(to=list(settings.notify_email), subject=notice.subject, html_content=notice.html)


def _slack(notice: "Notice", settings: "Settings") -> Any:
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    return SlackWebhookNotifier(slack_webhook_conn_id=settings.notify_slack, text=notice.slack, unfurl_links=False)


def _webhook(notice: "Notice", settings: "Settings") -> Any:
    from airflow.providers.http.notifications.http import HttpNotifier

    return HttpNotifier(http_conn_id=settings.notify_webhook, json=dict(notice.to_dict()))


_NOTIFIERS: dict[str, Callable[["Notice", "Settings"], Any]] = {"email": _email, "slack": _slack, "webhook": _webhook}
