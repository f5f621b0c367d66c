"""A server on loopback in Yahoo's place, and a source that asks it with the real client and never really sleeps."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.prices.sources.retry import RetryBudget
from pipeline.prices.sources.yahoo.session import YahooSession
from pipeline.prices.sources.yahoo.yahoo_source import YahooSource
from tests.prices.sources.yahoo.server import Yahoo, yahoo_server

NOW = datetime(2013, 3, 2, 12, tzinfo=UTC)  # the Saturday after the sample's last session

MakeSource = Callable[..., YahooSource]


@pytest.fixture(autouse=True)
def _straight_and_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go through no proxy; each test's own home makes yfinance as cold as in a new process."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    import yfinance.base

    monkeypatch.setattr(yfinance.base, "_tz_info_fetch_ctr", 0)


@pytest.fixture
def yahoo() -> Iterator[Yahoo]:
    with yahoo_server() as server:
        yield server


@pytest.fixture
def slept() -> list[float]:
    """The waits that were asked for."""
    return []


@pytest.fixture
def make_source(yahoo: Yahoo, home: Path, slept: list[float]) -> MakeSource:
    def make(
        *, now: datetime = NOW, timeout: float = 10.0, url: str = "", retry: Any = None, **settings: Any
    ) -> YahooSource:
        loaded = Settings.load(yahoo_url=yahoo.url, **settings)
        return YahooSource(
            loaded,
            session=YahooSession(url or yahoo.url, timeout=timeout),
            clock=lambda: now,
            retry=RetryBudget(sleep=slept.append, timer=lambda: 0.0, rng=random.Random(7), **(retry or {})),
        )

    return make


@pytest.fixture
def source(make_source: MakeSource) -> YahooSource:
    return make_source()
