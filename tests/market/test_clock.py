"""The market clock: the last complete session of each market, and when data belongs to a session."""

from datetime import UTC, date, datetime, timedelta

import pytest

from pipeline.config import Settings
from pipeline.errors import BadSymbol
from pipeline.market.clock import MarketClock

AS_OF = date(2021, 7, 2)


def test_the_last_session_is_that_of_the_symbols_market() -> None:
    clock = MarketClock().at(AS_OF)
    assert clock.last("AAA") == AS_OF
    assert clock.last("DDD.T") == AS_OF  # closed before New York opened
    assert clock.last("CCC-USD") == date(2021, 7, 1)  # its day ends after New York's
    assert MarketClock(exchange="XTKS").at(AS_OF).last("^GSPC") == date(2021, 7, 1)


def test_data_belongs_to_a_session_until_the_next_one_is_complete() -> None:
    clock = MarketClock(close_delay=timedelta(minutes=45)).at(AS_OF)  # a Friday, before a long weekend
    assert clock.known_by == datetime(2021, 7, 6, 20, 45, tzinfo=UTC)


def test_the_settings_make_the_clock() -> None:
    clock = Settings.load(exchange="XLON", markets="SR=XSAU", close_delay_minutes=5).clock
    assert clock == MarketClock(exchange="XLON", markets=(("SR", "XSAU"),), close_delay=timedelta(minutes=5))
    assert clock.sessions_of("2222.SR").exchange == "XSAU"
    assert clock.sessions.complete_at(date(2024, 1, 15)) == datetime(2024, 1, 15, 16, 35, tzinfo=UTC)


def test_a_symbol_of_an_unknown_market_is_refused_with_a_reason() -> None:
    clock = MarketClock()
    with pytest.raises(BadSymbol, match="the suffix"):
        clock.at(AS_OF).last("FOO.NOWHERE")
    assert list(clock.refusals(["AAPL", "FOO.NOWHERE"])) == ["FOO.NOWHERE"]
