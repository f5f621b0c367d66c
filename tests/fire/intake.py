"""Ingestion from a scripted source that the tests change, with all quality rules off."""

from datetime import date, datetime
from typing import Any

import pandas as pd
import pytest

from pipeline.market.clock import MarketClock
from pipeline.prices.ingestion import reconcile
from pipeline.prices.ingestion.ingest import Buffer, Ingested, ingest_bars
from pipeline.prices.ingestion.reconcile import Request
from pipeline.prices.store.writer import PriceStore
from tests.fire.model import DAYS, accept_all, moment
from tests.prices.scripted import Scripted, walk

NAMES = ("AAA", "BBB", "CCC", "DDD")


def source_of(names: tuple[str, ...] = NAMES) -> Scripted:
    """A source with the whole history of some symbols; how much of it is asked for is for the request to say."""
    return Scripted(pd.concat([walk(name, DAYS[0], DAYS[-1]) for name in names], ignore_index=True))


def after_the_split() -> Scripted:
    """The same with a split, a late correction and a symbol that is new."""
    source = source_of()
    source.truth = pd.concat([source.truth, walk("NEW", DAYS[30], DAYS[-1])], ignore_index=True)
    source.split("BBB", 2.0)
    source.change("CCC", slice(38, 39), 1.02)
    return source


def truth_of(source: Scripted, session: date) -> pd.DataFrame:
    """What a store that knows everything says."""
    mine = source.truth[source.truth["session"] <= pd.Timestamp(session)]
    return mine.sort_values(["symbol", "session"], ignore_index=True)


def ask(store: PriceStore, source: Scripted, session: date, at: float | datetime, **options: Any) -> Ingested:
    """Take in what there is up to a session, for the last time, and store two symbols at once."""
    now = at if isinstance(at, datetime) else moment(at)
    request = Request(
        **{
            "symbols": source.symbols(),
            "clock": MarketClock().at(session),
            "known_at": now,
            **options,
        }
    )
    return ingest_bars(source, store, request, buffer=Buffer(symbols=2))


def accepting_all() -> pytest.MonkeyPatch:
    """Let everything through; `undo` takes it back."""
    patch = pytest.MonkeyPatch()
    patch.setattr(reconcile, "check_bars", accept_all)
    return patch
