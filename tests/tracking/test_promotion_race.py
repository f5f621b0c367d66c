"""Concurrent promotions and withdrawals by independent processes: the alias agrees with the tags."""

import multiprocessing
from datetime import date, timedelta
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.tracking import connection, registry

PROCESSES, EACH = 2, 6
FIRST = date(2013, 1, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(PROCESSES * EACH)]
FACTS = {"network": "lstm", "weights_sha256": "a" * 64, "description_sha256": "b" * 64, "source": "sample"}
Deed = tuple[str, str, date]  # what is done, to which version, on which session


def do_every(settings: Settings, mine: list[Deed], begin: Any, at_once: Any) -> None:
    """Do deeds, each at the same time as one of the other process, and check the alias after each."""
    registry.champions_before(settings, FIRST)  # the store is open before the race begins
    begin.wait()
    for deed, version, day in mine:
        at_once.wait()
        registry.promote(settings, version, day) if deed == "promote" else registry.withdraw(settings, version)
        at_once.wait()
        with connection.connected(settings, "look who is champion in a test") as client:
            named = client.get_registered_model(registry.MODEL).aliases.get("champion")
        champions = registry.champions(settings)
        assert (named and str(named)) == (champions[0].version if champions else None)


def race(settings: Settings, order: list[Deed]) -> None:
    """Do the deeds in two processes, every other one in each, two at a time."""
    spawned = multiprocessing.get_context("spawn")
    begin, at_once = spawned.Barrier(PROCESSES, timeout=60), spawned.Barrier(PROCESSES, timeout=60)
    processes = [
        spawned.Process(target=do_every, args=(settings, order[number::PROCESSES], begin, at_once))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES


def versions_of(client: Any, days: list[date]) -> list[str]:
    client.create_registered_model(registry.MODEL)
    return [
        str(client.create_model_version(registry.MODEL, "/nowhere", tags={**FACTS, "as_of": str(day)}).version)
        for day in days
    ]


@pytest.mark.slow
def test_of_promotions_in_two_processes_at_once_the_later_session_has_the_alias(
    settings: Settings, client: Any
) -> None:
    versions = versions_of(client, DAYS)
    deeds = [("promote", version, day) for version, day in zip(versions, DAYS, strict=True)]
    race(settings, [*deeds[1::-1], *deeds[2:6], *deeds[:5:-1]])  # rising and falling, and the newest not last
    assert str(client.get_registered_model(registry.MODEL).aliases["champion"]) == versions[-1]
    for number, day in enumerate(DAYS):
        found = [champion.version for champion in registry.champions_before(settings, day)]
        assert found == versions[:number][::-1]


@pytest.mark.slow
def test_of_withdrawals_and_promotions_in_two_processes_at_once_the_last_champion_has_the_alias(
    settings: Settings, client: Any
) -> None:
    days = DAYS[:4]
    versions = versions_of(client, days)
    for version, day in zip(versions, days, strict=True):
        registry.promote(settings, version, day)
    both = [
        *(("withdraw", 3), ("withdraw", 2)),
        *(("withdraw", 1), ("promote", 3)),
        *(("withdraw", 3), ("withdraw", 0)),  # nobody is left
        *(("promote", 0), ("promote", 1)),
        *(("withdraw", 1), ("promote", 2)),
        *(("withdraw", 2), ("withdraw", 0)),
    ]
    race(settings, [(deed, versions[at], days[at]) for deed, at in both])
    assert registry.champions(settings) == []
    assert client.get_registered_model(registry.MODEL).aliases == {}
