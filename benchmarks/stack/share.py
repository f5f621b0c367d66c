"""How much of a run's time was work, told by Airflow's times of its tasks and by what their logs say.

A moment of a run is work if the pipeline had at least one task at that moment and was not importing there. All else is
not: waiting for the scheduler or a worker, starting a process, reading the DAG, importing, reporting the end.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Span = tuple[datetime, datetime]

_WORKED = re.compile(r"^worked for ([\d.]+) s$")
_IMPORTED = re.compile(r"^imported (\S+) in ([\d.]+) s$")


@dataclass(frozen=True, kw_only=True)
class Task:
    """The last try of one task of a run. `work` is when the pipeline had it, imports left out."""

    name: str
    start: datetime
    end: datetime
    work: tuple[Span, ...]
    imports_s: float  # all of them, those before the pipeline had the task too

    @property
    def work_s(self) -> float:
        """Seconds of work."""
        return seconds(self.work)


def task_of(instance: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> Task:
    """Return what Airflow's REST API says of a task instance, and its log.

    Raises ValueError for a log that does not say how long the pipeline worked.
    """
    worked: list[Span] = []
    imported: list[Span] = []
    for line in log:
        for pattern, spans in ((_WORKED, worked), (_IMPORTED, imported)):
            if found := pattern.match(str(line.get("event", ""))):
                until = moment(line["timestamp"])
                spans.append((until - timedelta(seconds=float(found[found.lastindex or 1])), until))
    if not worked:
        raise ValueError(f"the log of {instance['task_id']} does not say how long the pipeline worked")
    return Task(
        name=str(instance["task_id"]),
        start=moment(instance["start_date"]),
        end=moment(instance["end_date"]),
        work=tuple(without(worked, imported)),
        imports_s=seconds(imported),
    )


def moment(text: str) -> datetime:
    """Return a time of Airflow's."""
    return datetime.fromisoformat(text)


def seconds(spans: Sequence[Span]) -> float:
    """Return how long the spans are together, a moment that is in several counted once."""
    return sum((end - start).total_seconds() for start, end in merged(spans))


def merged(spans: Sequence[Span]) -> list[Span]:
    """Return the same moments as spans that do not touch each other, in their order."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def without(spans: Sequence[Span], holes: Sequence[Span]) -> list[Span]:
    """Return the moments of `spans` that are in none of `holes`."""
    left = merged(spans)
    for from_, to in merged(holes):
        left = [
            part
            for start, end in left
            for part in ((start, min(end, from_)), (max(start, to), end))
            if part[0] < part[1]
        ]
    return left


def not_work(tasks: Sequence[Task], begun: datetime, ended: datetime) -> float:
    """Return the share of a run from `begun` to `ended` in which nobody worked for it."""
    whole = (ended - begun).total_seconds()
    return 1 - seconds([span for task in tasks for span in task.work]) / whole
