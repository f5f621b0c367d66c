"""The deadline of a scheduled run: the exchange's next open, after which its forecasts are of no use.

Airflow computes it when the run is created, and calls back if the run has not succeeded by then. Backfills and manual
runs have no deadline: the sessions that they forecast may be long over.
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
        """Return the deadline of a scheduled run, None for other runs; Airflow passes its database session."""
        from airflow.models.dagrun import DagRun
        from sqlalchemy import select

        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None or run.run_type != "scheduled" or run.data_interval_start is None:
            return None
        return next_open(self.exchange, run.data_interval_start)


def next_open(exchange: str, interval_start: datetime) -> datetime:
    """Return when the exchange opens after the session that a data interval of the timetable starts with."""
    from pipeline.market.sessions import Sessions

    sessions = Sessions(exchange)
    # An estimated session of an older calendar may be a holiday of this one.
    return sessions.opens_at(sessions.shift(sessions.at_or_before(interval_start.astimezone(UTC).date()), 1))


class NextOpenDeadlinePlugin(AirflowPlugin):
    """Registers the reference with the scheduler, which computes deadlines."""

    name = "next_open_deadline"
    deadline_references: list[Any] = [NextOpen]
