"""Notifications about a run: one message as plain text, HTML, Slack markup and JSON.

External text is escaped for each form: HTML by markupsafe, Slack by its own rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypedDict

from markupsafe import escape

from pipeline.publishing import formatting
from pipeline.storage.urls import web_link

Event = Literal["published", "stopped", "late"]
_ADVICE = "This is not investment advice."
_MOST_REASONS = 5


class WebhookBody(TypedDict):
    """What a webhook receives, as JSON."""

    event: Event
    session: str | None
    subject: str
    text: str
    links: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What a notification says of a published run: a part of what the step `publish` returns."""

    as_of: str
    edition: str = ""  # "" for the session's standing edition
    headline: str
    verdict: str
    events: tuple[str, ...] = ()  # a line for each symbol that reports within two sessions
    mlflow_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One message; `links` maps titles to web addresses. Anything but an http or https address is left out."""

    event: Event
    session: str | None
    subject: str
    lines: tuple[str, ...]
    links: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        safe = {title: web_link(address) for title, address in self.links.items()}
        object.__setattr__(self, "subject", " ".join(self.subject.split()))  # it becomes the header of an e-mail
        object.__setattr__(self, "links", {title: address for title, address in safe.items() if address})

    @property
    def text(self) -> str:
        """The message as plain text."""
        return "\n".join((*self.lines, *(f"{title}: {address}" for title, address in self.links.items())))

    @property
    def html(self) -> str:
        """The message as HTML without remote content."""
        links = " · ".join(f'<a href="{escape(address)}">{escape(title)}</a>' for title, address in self.links.items())
        body = "".join(f"<p>{escape(line)}</p>" for line in self.lines)
        return f"<h3>{escape(self.subject)}</h3>{body}<p>{links}</p>"

    @property
    def slack(self) -> str:
        """The message in Slack's markup."""
        links = " · ".join(f"<{_slack(address)}|{_slack(title)}>" for title, address in self.links.items())
        return "\n".join((f"*{_slack(self.subject)}*", *map(_slack, self.lines), links)).strip()

    def to_dict(self) -> WebhookBody:
        """The message as JSON has it."""
        return {
            "event": self.event,
            "session": self.session,
            "subject": self.subject,
            "text": self.text,
            "links": dict(self.links),
        }


def published(result: Publication, *, run: str | None, airflow: str) -> Notice:
    """Return the notification of a published run."""
    session = f"{result.as_of}/{result.edition}" if result.edition else result.as_of
    pages = f"{airflow.rstrip('/')}/plugin/forecasts/forecasts/sessions/{session}" if airflow else None
    return Notice(
        event="published",
        session=result.as_of,
        subject=f"Closing Bell {result.headline}",
        lines=(f"{result.verdict}.", *(f"{line}." for line in result.events), _ADVICE),
        links=_known({"Report": pages, "MLflow run": result.mlflow_url, "Airflow run": run}),
    )


def stopped(session: str | None, failed: list[str], *, run: str | None, reasons: Sequence[str] = ()) -> Notice:
    """Return the notification of a run with failed tasks; `reasons` are their error messages, where they left any."""
    at = ", ".join(failed)
    run_of = f" of {session}" if session else ""
    return Notice(
        event="stopped",
        session=session,
        subject=f"Closing Bell: the run{run_of} stopped at {at}",
        lines=(
            *reasons[:_MOST_REASONS],
            "Earlier editions are unchanged. The last line of the task log has the reason.",
        ),
        links=_known({"Airflow run": run}),
    )


def late(session: str, opens: date, *, run: str | None) -> Notice:
    """Return the notification that the exchange opens again and no forecast from `session` is published."""
    return Notice(
        event="late",
        session=session,
        subject=f"Closing Bell: no forecast from {session} before the open of {formatting.day(opens)}",
        lines=("The run has not finished, or it has failed. Earlier editions are unchanged.",),
        links=_known({"Airflow run": run}),
    )


def _known(links: Mapping[str, str | None]) -> dict[str, str]:
    return {title: address for title, address in links.items() if address}


def _slack(text: str) -> str:
    """Escape for Slack, whose markup for links, mentions and channels begins with an angle bracket."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
