"""Promotions by processes that know nothing of each other: the alias ends with the later session, the past stays."""

import multiprocessing
from datetime import date, timedelta
from typing import Any

from pipeline.config import Settings
from pipeline.tracking import registry

PROCESSES, EACH = 2, 6
FIRST = date(2013, 1, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(PROCESSES * EACH)]


def promote_every(settings: Settings, mine: list[tuple[str, date]], begin: Any, at_once: Any) -> None:
    """Promote versions, each at the moment at which the other process promotes one of its own."""
    registry.champions_before(settings, FIRST)  # the store is open before the race begins
    begin.wait()
    for version, day in mine:
        at_once.wait()
        registry.promote(settings, version, day)


def test_of_promotions_in_two_processes_at_once_the_later_session_has_the_alias(
    settings: Settings, client: Any
) -> None:
    client.create_registered_model(registry.MODEL)
    facts = {"network": "lstm", "weights_sha256": "a" * 64, "description_sha256": "b" * 64, "source": "sample"}
    versions = [
        (str(client.create_model_version(registry.MODEL, "/nowhere", tags={**facts, "as_of": str(day)}).version), day)
        for day in DAYS
    ]
    order = [*versions[1::-1], *versions[2:6], *versions[:5:-1]]  # rising and falling, and the newest not last
    spawned = multiprocessing.get_context("spawn")
    begin, at_once = spawned.Barrier(PROCESSES, timeout=60), spawned.Barrier(PROCESSES, timeout=60)
    processes = [
        spawned.Process(target=promote_every, args=(settings, order[number::PROCESSES], begin, at_once))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert str(client.get_registered_model(registry.MODEL).aliases["champion"]) == versions[-1][0]
    for number, day in enumerate(DAYS):
        found = registry.champion_before(settings, day)
        assert (found.version if found else None) == (versions[number - 1][0] if number else None)
