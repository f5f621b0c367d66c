"""The share of a run's time that was work, from Airflow's task times and the task logs.

A moment counts as work if the pipeline was executing at least one task and not importing. Everything else does not:
waiting for the scheduler or a worker, starting a process, parsing the DAG, importing, reporting the end.
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
    """The last try of one task of a run. `work` is when the pipeline executed it, without imports."""

    name: str
    start: datetime
    end: datetime
    work: tuple[Span, ...]
    imports_s: float  # all of them, including those before the pipeline took over

    @property
    def work_s(self) -> float:
        """Seconds of work."""
        return seconds(self.work)


def task_of(instance: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> Task:
    """Return the task from Airflow's REST API and its log.

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
    """Return a time from Airflow's API."""
    return datetime.fromisoformat(text)


def seconds(spans: Sequence[Span]) -> float:
    """Return the total length of the spans; overlaps count once."""
    return sum((end - start).total_seconds() for start, end in merged(spans))


def merged(spans: Sequence[Span]) -> list[Span]:
    """Return the same moments as disjoint spans, in order."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def without(spans: Sequence[Span], holes: Sequence[Span]) -> list[Span]:
    """Return `spans` without `holes`."""
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
    """Return the share of a run from `begun` to `ended` without work."""
    whole = (ended - begun).total_seconds()
    return 1 - seconds([span for task in tasks for span in task.work]) / whole
