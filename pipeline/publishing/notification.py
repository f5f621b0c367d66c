"""What those who want to be told hear of a run: one message, as text, as HTML and for programs.

What comes from outside is escaped for each: HTML by markupsafe, Slack's signs by its own rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from markupsafe import escape

from pipeline.publishing import formatting
from pipeline.storage.urls import web_link

Event = Literal["published", "stopped", "late"]
_ADVICE = "A range is no advice."
_MOST_REASONS = 5
_WHY = "The note on the run and the last line of the task's log are the reason."


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One message; `links` are titles and web addresses. What is no http or https address is left out everywhere."""

    event: Event
    session: str | None
    subject: str
    lines: tuple[str, ...]
    links: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        safe = {title: web_link(address) for title, address in self.links.items()}
        object.__setattr__(self, "subject", " ".join(self.subject.split()))  # it becomes a mail's header
        object.__setattr__(self, "links", {title: address for title, address in safe.items() if address})

    @property
    def text(self) -> str:
        """The message as plain text."""
        return "\n".join((*self.lines, *(f"{title}: {address}" for title, address in self.links.items())))

    @property
    def html(self) -> str:
        """The message as HTML, without anything that a mail program would have to fetch."""
        links = " · ".join(f'<a href="{escape(address)}">{escape(title)}</a>' for title, address in self.links.items())
        body = "".join(f"<p>{escape(line)}</p>" for line in self.lines)
        return f"<h3>{escape(self.subject)}</h3>{body}<p>{links}</p>"

    @property
    def slack(self) -> str:
        """The message in Slack's own marks."""
        links = " · ".join(f"<{_slack(address)}|{_slack(title)}>" for title, address in self.links.items())
        return "\n".join((f"*{_slack(self.subject)}*", *map(_slack, self.lines), links)).strip()

    def to_dict(self) -> dict[str, Any]:
        """The message for programs."""
        return {
            "event": self.event,
            "session": self.session,
            "subject": self.subject,
            "text": self.text,
            "links": dict(self.links),
        }


def published(result: Mapping[str, Any], *, run: str | None, airflow: str) -> Notice:
    """Return the message of a run that has published; `result` is what the step `publish` returned."""
    edition = f"/{result['edition']}" if result.get("edition") else ""
    session = f"{result['as_of']}{edition}"
    pages = f"{airflow.rstrip('/')}/plugin/forecasts/forecasts/sessions/{session}" if airflow else None
    return Notice(
        event="published",
        session=str(result["as_of"]),
        subject=f"Closing Bell {result['headline']}",
        lines=(f"{result['verdict']}.", _ADVICE),
        links=_known({"Report": pages, "MLflow run": result.get("mlflow_url"), "Airflow run": run}),
    )


def stopped(session: str | None, failed: list[str], *, run: str | None, reasons: Sequence[str] = ()) -> Notice:
    """Return the message of a run in which tasks failed; `reasons` are their own words, as far as they left any."""
    at = ", ".join(failed)
    whose = f" of {session}" if session else ""
    return Notice(
        event="stopped",
        session=session,
        subject=f"Closing Bell: the run{whose} stopped at {at}",
        lines=(
            *reasons[:_MOST_REASONS],
            "What was published before stands. The last line of the task's log is the reason.",
        ),
        links=_known({"Airflow run": run}),
    )


def late(session: str, opens: date, *, run: str | None) -> Notice:
    """Return the message that the exchange has opened again and nothing has been published since `session`."""
    return Notice(
        event="late",
        session=session,
        subject=f"Closing Bell: no forecast from {session} before the open of {formatting.day(opens)}",
        lines=("The run has not ended, or has failed. What was published before stands.",),
        links=_known({"Airflow run": run}),
    )


def _known(links: Mapping[str, str | None]) -> dict[str, str]:
    return {title: address for title, address in links.items() if address}


def _slack(text: str) -> str:
    """Escape as Slack asks for: its own marks for links, mentions and channels begin with an angle bracket."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
