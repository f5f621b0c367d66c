"""What the answers to a request mean, and what of them is believed and stored, all of it in one transaction.

An answer is compared with what is stored: the same, a late correction, or a history that was rewritten, which is then
fetched whole and stored as a new generation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import pandas as pd

from pipeline.errors import Overtaken, SourceError
from pipeline.market.clock import SessionClock
from pipeline.prices.ingestion.acceptance import (
    also_held,
    let_through,
    with_still_held,
    without_half_rewritten,
    without_known_applied,
)
from pipeline.prices.ingestion.revisions import compare
from pipeline.prices.quality import Checked, check_bars
from pipeline.prices.quality.applied import RULE as APPLIED
from pipeline.prices.sources import Source
from pipeline.prices.store import quarantine
from pipeline.prices.store.writer import Appended, PriceStore, Series

# Bars of the past that the rules look at beside new ones: a year, to know what is usual.
_CONTEXT_DAYS = 400


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to ingest: bars of each symbol up to the last session that `clock` gives for it."""

    symbols: tuple[str, ...]
    clock: SessionClock
    known_at: datetime  # now, aware
    whole: bool = False  # the whole history of every symbol, to find what has changed deep in the past
    last_try: bool = True  # what is missing now stays missing: go on without it


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a source said of some symbols; `whole` where it was asked for all of their history."""

    symbols: tuple[str, ...]
    bars: pd.DataFrame
    whole: bool


@dataclass(kw_only=True)
class Settled:
    """What came of some answers."""

    appended: Appended = field(default_factory=Appended)
    verdicts: dict[str, int] = field(default_factory=dict)
    notes: list[dict[str, str]] = field(default_factory=list)
    newest: dict[str, date] = field(default_factory=dict)  # the last session believed of each symbol
    held: dict[str, str] = field(default_factory=dict)  # symbol and reason of what is held back
    refused: frozenset[str] = frozenset()  # rewritten by half: the old history stays
    failed: dict[str, SourceError] = field(default_factory=dict)  # rewritten, and could not be fetched whole


class Answers:
    """Settles answers to one request."""

    def __init__(self, source: Source, store: PriceStore, request: Request) -> None:
        self._source, self._store, self._request = source, store, request

    def settle(self, answers: list[Answer]) -> Settled:
        """Decide what the answers mean and store it, all or nothing. Doing it again changes nothing."""
        said = ("notes", "rejected")
        settled = Settled(
            notes=[note for answer in answers for kind in said for note in answer.bars.attrs.get(kind, [])]
        )
        bars = pd.concat([answer.bars for answer in answers], ignore_index=True)
        bars.attrs = {}
        bars = bars.sort_values(["symbol", "session"], kind="stable", ignore_index=True)
        seen = self._store.current(tuple(symbol for answer in answers for symbol in answer.symbols))
        first = None if any(answer.whole for answer in answers) else bars["session"].min().date()
        stored = self._store.recent(tuple(seen), first, seen)
        if not self._source.live:
            bars = without_known_applied(bars, stored, self._store.marked(seen, APPLIED))
        overlap = compare(bars, stored)
        whole = {symbol for answer in answers if answer.whole for symbol in answer.symbols}
        bars, rewritten = self._fetched_whole(bars, overlap.rewritten, whole, settled)
        if overlap.rewritten - whole:
            overlap = replace(compare(bars, stored), rewritten=rewritten)
        again = bars["symbol"].isin(rewritten).to_numpy()
        news = bars[overlap.is_new | overlap.is_changed | again].reset_index(drop=True)
        if news.empty:  # most answers to most questions
            settled.newest = _newest(stored)
            return settled
        checked = self._checked(news, bars[overlap.is_doubtful & ~again], tuple(seen), rewritten)
        checked, settled.refused = without_half_rewritten(checked, rewritten)
        try:
            settled.appended = self._append(checked, rewritten - settled.refused, seen)
        except Overtaken:  # by a run beside this one: compare with what it has stored
            return self.settle(answers)
        settled.verdicts = checked.counts()
        settled.notes += checked.notes
        settled.newest = _newest(pd.concat([stored[["symbol", "session"]], checked.kept[["symbol", "session"]]]))
        settled.held = dict(zip(checked.held_back["symbol"], checked.held_back["detail"], strict=True))
        return settled

    def _fetched_whole(
        self, bars: pd.DataFrame, rewritten: frozenset[str], whole: set[str], settled: Settled
    ) -> tuple[pd.DataFrame, frozenset[str]]:
        """Return the bars with the whole history of each rewritten symbol; one that cannot be had is left for later."""
        parts, missing = [], set()
        if not rewritten - whole:
            return bars, rewritten
        for symbol in sorted(rewritten - whole):
            try:
                parts.append(self._source.bars((symbol,), self._request.clock.last(symbol)))
            except SourceError as error:
                settled.failed[symbol] = error
                missing.add(symbol)
        rest = bars[~bars["symbol"].isin(rewritten - whole)]
        joined = pd.concat([rest, *parts], ignore_index=True)
        return joined.sort_values(["symbol", "session"], kind="stable", ignore_index=True), rewritten - missing

    def _checked(
        self, news: pd.DataFrame, doubtful: pd.DataFrame, known: tuple[str, ...], rewritten: frozenset[str]
    ) -> Checked:
        tails = None
        new = set(news["symbol"]) - rewritten
        with_news = tuple(symbol for symbol in known if symbol in new)
        if with_news:
            tails = self._store.recent(with_news, news["session"].min().date() - timedelta(days=_CONTEXT_DAYS))
        still = quarantine.still_held(self._store.engine, self._store.source, news)
        checked = check_bars(news.drop(index=still.index), self._request.clock.market, known=tails)
        checked = also_held(with_still_held(checked, still), doubtful)
        if checked.held_back.empty:
            return checked
        through = quarantine.released(
            self._store.engine, self._store.source, tuple(checked.held_back["symbol"].unique())
        )
        return let_through(checked, through)

    def _append(self, checked: Checked, rewritten: frozenset[str], seen: Mapping[str, Series]) -> Appended:
        bases = {symbol: self._source.basis(symbol) for symbol in set(checked.kept["symbol"])}
        return self._store.append(checked, self._request.known_at, bases=bases, rewritten=rewritten, seen=seen)


def _newest(believed: pd.DataFrame) -> dict[str, date]:
    last = believed.groupby("symbol")["session"].max()
    return {str(symbol): session.date() for symbol, session in last.items()}
