"""Tables of data quality: the verdicts of `audit`, and the notes after a run."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.prices.audit_types import Finding, Note, Reason, SourceAudit
from pipeline.prices.quality.digest import note_lines, reason_lines
from pipeline.storage.documents import to_document

if TYPE_CHECKING:
    from pipeline.jobs.results import EventsResult, SnapshotResult

_COLUMNS = ("symbol", "session", "verdict", "rule", "detail")
_ALIKE = 4  # at least so many findings that differ only in their session become one row
_MOST_LINES = 10


def audit_document(result: SourceAudit) -> dict[str, JsonValue]:
    """Return an audit as `--json` prints it: `verdicts` and `summary`."""
    document = to_document(result)
    findings, _counts = document.pop("findings"), document.pop("counts")
    return {"verdicts": findings, "summary": {**result.counts, **document}}


def audit_table(result: SourceAudit) -> RenderableType:
    """Return an audit as text: the notes about symbols, the reasons by number of bars, then every finding."""
    told = [Text(result.read_as), Text(" · ".join(_counts(result.counts)))]
    table = Table(*_COLUMNS)
    for row in _collapsed(result.findings):
        table.add_row(*(Text(row[name]) for name in _COLUMNS))
    return Group(*told, *_blocks(result.notes, result.reasons), *([table] if result.findings else []))


def with_quality(answer: RenderableType, snapshot: "SnapshotResult", events: "EventsResult") -> RenderableType:
    """Return the output of a run followed by the notes and reasons of its data quality."""
    told = [Text("\n".join(["Scheduled events", *_some(events.notes)]))] if events.notes else []
    return Group(answer, *_blocks(snapshot.notes, snapshot.reasons), *told)


def quality_text(snapshot: "SnapshotResult") -> list[str]:
    """Return the same as lines of plain text."""
    return [block.plain for block in _blocks(snapshot.notes, snapshot.reasons)]


def _blocks(notes: Sequence[Note], reasons: Sequence[Reason]) -> list[Text]:
    parts = {"Data quality, by symbol": note_lines(notes), "Data quality, by reason": reason_lines(reasons)}
    return [Text("\n".join([title, *_some(lines)])) for title, lines in parts.items() if lines]


def _some(lines: Sequence[str]) -> list[str]:
    left = len(lines) - _MOST_LINES
    return [f"  {line}" for line in [*lines[:_MOST_LINES], *([f"and {left:,} more: see --json"] if left > 0 else [])]]


def _collapsed(rows: Sequence[Finding]) -> list[dict[str, str]]:
    """Return the findings as text; many that differ only in their session become one row."""
    names = ("symbol", "verdict", "rule", "detail")

    def key(row: Finding) -> tuple[str, ...]:
        return row.symbol, row.verdict, row.rule, row.detail

    told: list[dict[str, str]] = []
    for same, group in groupby(sorted(rows, key=key), key=key):
        days = sorted(row.session for row in group)
        spans = [f"{days[0]} to {days[-1]} ({len(days)} bars)"] if len(days) >= _ALIKE else days
        told += [dict(zip(names, same, strict=True)) | {"session": span} for span in spans]
    return sorted(told, key=lambda row: (row["symbol"], row["session"]))


def _counts(counts: Mapping[str, int]) -> list[str]:
    return [_count(name, value) for name, value in counts.items()]


def _count(name: str, value: int) -> str:
    """Return `1 gap`, `2 gaps`; names without a plural, such as the verdicts, do not change."""
    return f"{value:,} {name.replace('rows', 'row').removesuffix('s') if value == 1 else name}"
