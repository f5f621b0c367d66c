"""Yahoo's events from the server on loopback, with the real client and no real waits."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.events.yahoo_events.yahoo_event_source import YahooEvents
from pipeline.prices.sources.retry import RetryBudget
from pipeline.prices.sources.yahoo.session import YahooSession
from tests.prices.sources.yahoo.event_answers import EventAnswers
from tests.prices.sources.yahoo.server import Yahoo, yahoo_server

NOW = datetime(2026, 10, 26, 21, tzinfo=UTC)  # a Monday, after the close in New York; clocks change on November 1

MakeEvents = Callable[..., YahooEvents]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def yahoo() -> Iterator[Yahoo]:
    with yahoo_server() as server:
        yield server


@pytest.fixture
def answers(yahoo: Yahoo) -> EventAnswers:
    return yahoo.events


@pytest.fixture
def slept() -> list[float]:
    """The waits that were asked for."""
    return []


@pytest.fixture
def make_events(yahoo: Yahoo, home: Path, slept: list[float]) -> MakeEvents:
    def make(
        *, now: datetime = NOW, timeout: float = 10.0, retry: Any = None, by_name: int = 0, **settings: Any
    ) -> YahooEvents:
        loaded = Settings.load(yahoo_url=yahoo.url, **settings)
        budget = retry or RetryBudget(sleep=slept.append, timer=lambda: 0.0, rng=random.Random(7))
        session = YahooSession(yahoo.url, timeout=timeout)
        return YahooEvents(loaded, session=session, clock=lambda: now, retry=budget, by_name=by_name)

    return make


@pytest.fixture
def events(make_events: MakeEvents) -> YahooEvents:
    """A source that reads the calendar of all companies."""
    return make_events()
