"""The deadline of a scheduled run: the exchange's next open, by which its forecasts are of use.

Airflow works it out when the run is made and tells whoever the DAG names if the run has not ended well by then. A
backfill and a run by hand have none: the sessions they forecast may be long over.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk.definitions.deadline import BaseDeadlineReference


@dataclass(eq=False)
class NextOpen(BaseDeadlineReference):
    """The open of the session after the run's, on the exchange with this calendar code."""

    exchange: str = "XNYS"

    required_kwargs: ClassVar[set[str]] = {"dag_id", "run_id"}

    def serialize_reference(self) -> dict[str, Any]:
        """Return the reference as JSON, for `deserialize_reference`."""
        return {"reference_type": self.reference_name, "exchange": self.exchange}

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> Self:
        """Return the reference that `serialize_reference` wrote."""
        return cls(exchange=reference_data["exchange"])

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str) -> datetime | None:
        """Return the moment for a scheduled run, None for every other; Airflow calls it with its own session."""
        from airflow.models.dagrun import DagRun
        from sqlalchemy import select

        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None or run.run_type != "scheduled" or run.data_interval_start is None:
            return None
        return next_open(self.exchange, run.data_interval_start)


def next_open(exchange: str, interval_start: datetime) -> datetime:
    """Return when the exchange opens after the session that an interval of the timetable begins with."""
    from pipeline.market.sessions import Sessions

    sessions = Sessions(exchange)
    # An estimated session of an older calendar may be a holiday of this one.
    return sessions.opens_at(sessions.shift(sessions.at_or_before(interval_start.astimezone(UTC).date()), 1))


class NextOpenDeadlinePlugin(AirflowPlugin):
    """Makes the reference known to the scheduler, which works deadlines out."""

    name = "next_open_deadline"
    deadline_references: list[Any] = [NextOpen]
