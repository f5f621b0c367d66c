"""How often and how late dates move: counts from the bitemporal store, of events whose run-up it has seen.

An event was seen coming if its day is not before the first ingestion of its symbol. One that disappears from its day
was moved if the source then has another of its symbol and kind that is at most six weeks away, and cancelled otherwise.
The notice is the number of days from a statement to the event, for a move to the earlier of its two days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd
from sqlalchemy import Engine

from pipeline.events.event_asof import read_statements

_REACH = pd.Timedelta(days=42)
LATE = 7  # days of notice


@dataclass(frozen=True, kw_only=True)
class DateMoves:
    """Events of one kind that were seen coming, and what became of their dates."""

    kind: str
    seen: int  # events, by symbol and day
    moved: int
    cancelled: int
    moved_late: int  # with less than a week of notice
    announced_late: int  # likewise
    move_notice: float | None  # median days of notice of a move
    announcement_notice: float | None  # of a first announcement, not of a move


@dataclass(frozen=True, kw_only=True)
class _Dated:
    day: pd.Timestamp
    announced: pd.Timestamp | None  # None: it was there when the ingestion of its symbol began
    gone: pd.Timestamp | None  # None: it stands


def date_moves(engine: Engine, source: str, symbols: Sequence[str]) -> list[DateMoves]:
    """Return how the dates of each kind of event of these symbols and of the market have moved."""
    rows = read_statements(engine, source, sorted({*symbols, ""}))
    rows = rows.assign(begun=rows.groupby("symbol")["moment"].transform("min"))
    rows = rows[rows["day"] >= rows["begun"].dt.normalize()]
    by_kind: dict[str, list[list[_Dated]]] = {}
    for (_, kind), group in rows.groupby(["symbol", "kind"], sort=True):
        dated = [_dated(same) for _, same in group.groupby("day", sort=True)]
        by_kind.setdefault(str(kind), []).append(dated)
    return [_counted(kind, lists) for kind, lists in sorted(by_kind.items())]


def _dated(statements: pd.DataFrame) -> _Dated:
    first, last = statements.iloc[0], statements.iloc[-1]
    announced = None if first["moment"] == first["begun"] else first["moment"]
    return _Dated(
        day=first["day"],
        announced=announced if pd.isna(first["stated"]) else first["stated"],
        gone=last["moment"] if last["cancelled"] else None,
    )


def _counted(kind: str, lists: list[list[_Dated]]) -> DateMoves:
    moves: list[int] = []
    announcements: list[int] = []
    cancelled = 0
    for dated in lists:
        moved_to = set()
        for one in dated:
            if one.gone is None:
                continue
            if (other := _successor(one, dated)) is None:
                cancelled += 1
            else:
                moves.append((min(one.day, other.day) - one.gone.normalize()).days)
                moved_to.add(other.day)
        first = [one for one in dated if one.day not in moved_to]
        announcements += [(one.day - one.announced.normalize()).days for one in first if one.announced is not None]
    return DateMoves(
        kind=kind,
        seen=sum(map(len, lists)),
        moved=len(moves),
        cancelled=cancelled,
        moved_late=sum(days < LATE for days in moves),
        announced_late=sum(days < LATE for days in announcements),
        move_notice=median(moves) if moves else None,
        announcement_notice=median(announcements) if announcements else None,
    )


def _successor(gone: _Dated, dated: list[_Dated]) -> _Dated | None:
    """Return the nearest event that took the place of one: there or announced when it disappeared, and not gone yet."""
    assert gone.gone is not None
    others = [
        one
        for one in dated
        if one.day != gone.day and abs(one.day - gone.day) <= _REACH and (one.gone is None or one.gone > gone.gone)
    ]
    return min(others, key=lambda one: abs(one.day - gone.day), default=None)
