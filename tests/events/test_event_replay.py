"""A replay of a past session reads the calendar that its own run read, whatever was announced, moved or cancelled."""

import random
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from tests.events.event_desk import DAYS, MARKET, NAMES, EventDesk, report, standing


def months_later() -> datetime:
    return datetime(2020, 6, 1, tzinfo=UTC)


def test_moves_changes_and_cancellations_count_from_when_they_came(desk: EventDesk) -> None:
    assert standing(desk.run(DAYS[0])) == [
        ("AAA", "2019-11-05"),
        ("AAA", "2020-02-11"),
        ("BBB", "2019-11-12"),
        ("BBB", "2020-02-20"),
    ]
    desk.announced[1] = report("AAA", "2020-02-13", time="after_close")  # moved
    moved = desk.run(DAYS[1])
    assert standing(moved)[1] == ("AAA", "2020-02-13")
    del desk.announced[3]  # cancelled
    assert standing(desk.run(DAYS[2])) == [("AAA", "2019-11-05"), ("AAA", "2020-02-13"), ("BBB", "2019-11-12")]
    desk.announced.append(report("", "2020-03-18"))
    desk.announced.append(report("BBB", "2020-02-27"))
    desk.run(DAYS[3])
    desk.replay_all(months_later())


def test_a_move_leaves_both_days_with_the_moments_at_which_they_were_known(desk: EventDesk) -> None:
    desk.run(DAYS[0])
    desk.announced[1] = report("AAA", "2020-02-13")
    frame = desk.run(DAYS[1]).frame
    rows = frame[(frame["symbol"] == "AAA") & (frame["day"] >= "2020-01-01")].set_index("day")
    moment = pd.Timestamp(desk.evening(DAYS[1])).tz_localize(None)
    assert rows["known_until"].tolist()[0] == moment
    assert rows["known_from"].tolist()[1] == moment
    assert pd.isna(rows["known_from"].iloc[0])  # it was there when the ingestion began
    assert pd.isna(rows["known_until"].iloc[1])


def test_poisoning_later_knowledge_changes_nothing(desk: EventDesk) -> None:
    for day in DAYS[:3]:
        desk.run(day)
    desk.announced = [report("AAA", f"2020-02-{day:02}") for day in (5, 12, 19, 26)]
    desk.ingest(DAYS[4], desk.evening(DAYS[4]))
    desk.replay_all(months_later())


def test_what_came_before_the_next_session_was_complete_counts(desk: EventDesk) -> None:
    desk.run(DAYS[0])
    desk.announced[1] = report("AAA", "2020-02-13")
    desk.ingest(DAYS[0], desk.evening(DAYS[0]) + timedelta(hours=2))
    later = desk.look(DAYS[0])
    assert later != desk.runs[DAYS[0]]
    desk.runs[DAYS[0]] = later
    desk.replay_all(months_later())


def test_a_run_whose_source_failed_is_replayed_without_the_answer(desk: EventDesk) -> None:
    assert standing(desk.run(DAYS[0], fails=True)) == []
    desk.run(DAYS[1])
    desk.announced[1] = report("AAA", "2020-02-13")
    assert standing(desk.run(DAYS[2], fails=True))[1] == ("AAA", "2020-02-11")
    desk.run(DAYS[3])
    desk.replay_all(months_later())


def test_a_session_that_nobody_ran_on_has_the_newest_dates_and_they_are_labelled(desk: EventDesk) -> None:
    desk.run(DAYS[0])
    desk.announced[1] = report("AAA", "2020-02-13")
    desk.run(DAYS[4])
    _, calendar = desk.look(DAYS[2])
    assert standing(calendar)[1] == ("AAA", "2020-02-13")
    assert len(calendar.frame) == 4  # how it stood before is not known to have held on that day
    assert calendar.reconstructed == 4
    desk.replay_all(months_later())


def test_history_from_before_the_first_ingestion_is_reconstructed_and_counted(desk: EventDesk) -> None:
    desk.run(DAYS[3])
    _, past = desk.look(date(2019, 12, 2))
    assert standing(past) == [("AAA", "2019-11-05"), ("BBB", "2019-11-12")]  # no further than is read ahead
    assert past.reconstructed == 2
    desk.announced.append(report("BBB", "2020-03-25"))
    latest = desk.run(DAYS[4])
    assert (len(latest.frame), latest.reconstructed) == (5, 4)


def test_an_event_is_known_from_when_its_source_says_it_was_announced(desk: EventDesk) -> None:
    said = datetime(2019, 10, 20, tzinfo=UTC)
    desk.announced[0] = report("AAA", "2019-11-05", known_at=said)
    desk.run(DAYS[3])
    for session, days in ((date(2019, 10, 15), []), (date(2019, 10, 21), [("AAA", "2019-11-05")])):
        _, calendar = desk.look(session)
        assert [row for row in standing(calendar) if row[0] == "AAA"] == days
    row = desk.look(DAYS[3])[1].frame.iloc[0]
    assert row["known_from"] == pd.Timestamp("2019-10-21 20:30")  # the first session that is complete after that


def test_a_symbol_that_was_added_later_has_a_past_too(desk: EventDesk) -> None:
    desk.ingest(DAYS[0], desk.evening(DAYS[0]), ("AAA",))
    desk.ingest(DAYS[3], desk.evening(DAYS[3]))
    _, calendar = desk.look(DAYS[1])
    assert ("BBB", "2020-02-20") in standing(calendar)
    assert calendar.frame["known_from"].isna().all()


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_whatever_a_vendor_announces_replays_equal_their_runs(desk: EventDesk, seed: int) -> None:
    """Random moves, times, cancellations, failures and days without a run, against what the vendor last answered."""
    dice = random.Random(seed)
    last_answer: list[tuple[str, str]] = []
    for session in MARKET.sessions.between(date(2020, 2, 3), date(2020, 3, 13)):
        for symbol in NAMES:
            mine = [one for one in desk.announced if one.symbol == symbol and one.day > session]
            if mine and dice.random() < 0.3:
                desk.announced.remove(dice.choice(mine))
            if dice.random() < 0.3:
                day = session + timedelta(days=dice.randrange(1, 50))
                if all(abs(one.day - day) >= timedelta(days=7) for one in desk.announced if one.symbol == symbol):
                    time = dice.choice(["unknown", "before_open", "after_close"])
                    desk.announced.append(report(symbol, str(day), time=time, confirmed=dice.random() < 0.5))
        if dice.random() < 0.2:  # nothing ran
            continue
        fails = dice.random() < 0.2
        calendar = desk.run(session, fails=fails)
        if not fails:
            last_answer = [(one.symbol, str(one.day)) for one in desk.announced]
        coming = {row for row in standing(calendar) if row[1] > str(session)}
        assert coming == {row for row in last_answer if row[1] > str(session)}
        rows = calendar.frame
        assert not rows[rows["known_until"].isna()].duplicated(["symbol", "kind", "day"]).any()
        assert (
            rows["known_from"].isna() | rows["known_until"].isna() | (rows["known_from"] < rows["known_until"])
        ).all()
    desk.replay_all(months_later())
