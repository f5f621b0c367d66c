"""Writes of events: idempotent, append-only, and careful with what an answer does not have any more."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from pipeline.database.engine import reading
from pipeline.database.schema import batches, events
from pipeline.events.event import Announced, Event
from pipeline.events.event_checks import FIRST_DAY
from tests.events.event_desk import DAYS, NAMES, EventDesk, report, standing


def rows(desk: EventDesk) -> list[tuple[object, ...]]:
    with reading(desk.engine) as connection:
        return [tuple(row) for row in connection.execute(select(events).order_by(*events.primary_key))]


def test_the_same_answer_twice_writes_nothing(desk: EventDesk) -> None:
    first = desk.ingest(DAYS[0], desk.evening(DAYS[0]))
    assert (first.new, first.changed, first.cancelled, first.unchanged) == (4, 0, 0, 0)
    before = rows(desk)
    again = desk.ingest(DAYS[1], desk.evening(DAYS[1]))
    assert (again.new, again.changed, again.cancelled, again.unchanged) == (0, 0, 0, 4)
    assert rows(desk) == before
    with reading(desk.engine) as connection:
        assert connection.execute(select(batches.c.source, batches.c.rows)).all() == [("events:yahoo", 4)]


def test_nothing_that_is_stored_ever_changes(desk: EventDesk) -> None:
    desk.run(DAYS[0])
    before = rows(desk)
    desk.announced = [report("AAA", "2020-02-13"), report("BBB", "2020-02-20", time="after_close")]
    changes = desk.ingest(DAYS[1], desk.evening(DAYS[1]))
    assert (changes.new, changes.changed, changes.cancelled) == (1, 1, 1)
    assert [row for row in rows(desk) if row in before] == before


def test_past_events_that_a_vendor_lists_no_more_stay(desk: EventDesk) -> None:
    """A window that begins later says nothing of what was before it."""
    desk.run(DAYS[0])
    del desk.announced[0], desk.announced[1]
    assert ("AAA", "2019-11-05") in standing(desk.run(DAYS[1]))


def test_a_past_date_within_the_answer_that_disappears_is_withdrawn_from_then_on(desk: EventDesk) -> None:
    desk.announced.append(report("AAA", "2019-08-06"))
    desk.run(DAYS[0])
    desk.announced[0] = report("AAA", "2019-11-07")
    assert standing(desk.run(DAYS[1]))[:2] == [("AAA", "2019-08-06"), ("AAA", "2019-11-07")]
    assert ("AAA", "2019-11-05") in standing(desk.look(DAYS[0])[1])


def test_symbols_that_an_answer_is_not_complete_for_lose_nothing(desk: EventDesk) -> None:
    desk.run(DAYS[0])
    answer = Announced(events=(), first=FIRST_DAY, last=DAYS[0] + timedelta(days=60), complete=frozenset({"BBB"}))
    changes = desk.store.write(answer, desk.evening(DAYS[1]))
    assert changes.cancelled == 1  # the report of BBB to come
    assert ("AAA", "2020-02-11") in standing(desk.look(DAYS[1])[1])


def test_kinds_that_were_not_requested_lose_nothing(desk: EventDesk) -> None:
    desk.announced.append(Event(symbol="AAA", kind="ex_dividend", day=DAYS[5]))
    desk.run(DAYS[0])
    answer = Announced(
        events=(),
        first=FIRST_DAY,
        last=DAYS[0] + timedelta(days=60),
        complete=frozenset({"AAA"}),
        kinds=frozenset({"earnings"}),
    )
    assert desk.store.write(answer, desk.evening(DAYS[1])).cancelled == 1
    assert ("AAA", str(DAYS[5])) in standing(desk.look(DAYS[1])[1])


def test_an_event_after_the_days_of_the_answer_is_not_cancelled(desk: EventDesk) -> None:
    desk.run(DAYS[0])
    answer = Announced(events=(), first=FIRST_DAY, last=DAYS[2], complete=frozenset(NAMES))
    assert desk.store.write(answer, desk.evening(DAYS[1])).cancelled == 0


@pytest.mark.parametrize("time", ["after_close", "before_open"])
def test_a_time_of_day_that_is_not_repeated_is_no_change(desk: EventDesk, time: str) -> None:
    desk.announced[1] = report("AAA", "2020-02-11", time=time)
    desk.run(DAYS[0])
    desk.announced[1] = report("AAA", "2020-02-11", time="unknown")
    assert desk.ingest(DAYS[1], desk.evening(DAYS[1])).changed == 0
    desk.announced[1] = report("AAA", "2020-02-11", confirmed=False)
    assert desk.ingest(DAYS[2], desk.evening(DAYS[2])).changed == 1
    frame = desk.look(DAYS[2])[1].frame
    assert frame[frame["day"] == "2020-02-11"]["time"].tolist() == [time, time]
