"""Reconciliation of answers with the store: which bars are new, corrected or rejected, stored in one transaction.

An answer either agrees with the stored bars, corrects some of them, or rewrites the history; a rewritten history is
fetched whole and stored as a new generation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import pandas as pd

from pipeline.errors import Overtaken, SourceError
from pipeline.market.clock import SessionClock
from pipeline.prices.audit_types import Note
from pipeline.prices.ingestion.acceptance import (
    accept_released,
    hold_again,
    hold_doubtful,
    refuse_partial_rewrites,
    without_known_applied,
)
from pipeline.prices.ingestion.revisions import compare
from pipeline.prices.quality import Checked, check_bars
from pipeline.prices.quality.applied import RULE as APPLIED
from pipeline.prices.sources import Source
from pipeline.prices.store import quarantine
from pipeline.prices.store.writer import Appended, PriceStore, Series

# Stored bars that the rules see next to new ones: a year, for typical moves and volumes.
_CONTEXT_DAYS = 400


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to ingest: bars of each symbol up to the last session that `clock` gives for it."""

    symbols: tuple[str, ...]
    clock: SessionClock
    known_at: datetime  # now, aware
    whole: bool = False  # request the whole history of every symbol, to find old corrections
    last_try: bool = True  # proceed without what is missing; before that, a missing bar is an error


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of a source for some symbols; `whole` if all of their history was requested."""

    symbols: tuple[str, ...]
    bars: pd.DataFrame
    whole: bool


@dataclass(kw_only=True)
class Reconciled:
    """The result of reconciling some answers."""

    appended: Appended = field(default_factory=Appended)
    verdicts: dict[str, int] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    newest: dict[str, date] = field(default_factory=dict)  # the last accepted session of each symbol
    held: dict[str, str] = field(default_factory=dict)  # reason by symbol of what is held back
    refused: frozenset[str] = frozenset()  # partly rewritten: the old history stays
    failed: dict[str, SourceError] = field(default_factory=dict)  # rewritten, and not fetched whole


class Reconciler:
    """Reconciles the answers to one request with the store."""

    def __init__(self, source: Source, store: PriceStore, request: Request) -> None:
        self._source, self._store, self._request = source, store, request

    def reconcile(self, answers: list[Answer]) -> Reconciled:
        """Compare answers with the store, apply the quality rules and store the result, all or nothing. Idempotent."""
        kinds = ("notes", "rejected")
        reconciled = Reconciled(
            notes=[note for answer in answers for kind in kinds for note in answer.bars.attrs.get(kind, [])]
        )
        bars = pd.concat([answer.bars for answer in answers], ignore_index=True)
        bars.attrs = {}
        bars = bars.sort_values(["symbol", "session"], kind="stable", ignore_index=True)
        seen = self._store.current(tuple(symbol for answer in answers for symbol in answer.symbols))
        first = None if any(answer.whole for answer in answers) else bars["session"].min().date()
        stored = self._store.recent(tuple(seen), first, seen)
        if not self._source.live:
            bars = without_known_applied(bars, stored, self._store.marked(seen, APPLIED))
        revisions = compare(bars, stored)
        whole = {symbol for answer in answers if answer.whole for symbol in answer.symbols}
        bars, rewritten = self._fetched_whole(bars, revisions.rewritten, whole, reconciled)
        if revisions.rewritten - whole:
            revisions = replace(compare(bars, stored), rewritten=rewritten)
        again = bars["symbol"].isin(rewritten).to_numpy()
        news = bars[revisions.is_new | revisions.is_changed | again].reset_index(drop=True)
        if news.empty:  # the usual case
            reconciled.newest = _newest(stored)
            return reconciled
        checked = self._checked(news, bars[revisions.is_doubtful & ~again], tuple(seen), rewritten)
        checked, reconciled.refused = refuse_partial_rewrites(checked, rewritten)
        try:
            reconciled.appended = self._append(checked, rewritten - reconciled.refused, seen)
        except Overtaken:  # by a concurrent run: compare with what it has stored
            return self.reconcile(answers)
        reconciled.verdicts = checked.counts()
        reconciled.notes += checked.notes
        reconciled.newest = _newest(pd.concat([stored[["symbol", "session"]], checked.kept[["symbol", "session"]]]))
        reconciled.held = dict(zip(checked.held_back["symbol"], checked.held_back["detail"], strict=True))
        return reconciled

    def _fetched_whole(
        self, bars: pd.DataFrame, rewritten: frozenset[str], whole: set[str], reconciled: Reconciled
    ) -> tuple[pd.DataFrame, frozenset[str]]:
        """Return the bars with the whole history of each rewritten symbol; failures are left for a later run."""
        parts, missing = [], set()
        if not rewritten - whole:
            return bars, rewritten
        for symbol in sorted(rewritten - whole):
            try:
                parts.append(self._source.bars((symbol,), self._request.clock.last(symbol)))
            except SourceError as error:
                reconciled.failed[symbol] = error
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
        checked = hold_doubtful(hold_again(checked, still), doubtful)
        if checked.held_back.empty:
            return checked
        through = quarantine.released(
            self._store.engine, self._store.source, tuple(checked.held_back["symbol"].unique())
        )
        return accept_released(checked, through)

    def _append(self, checked: Checked, rewritten: frozenset[str], seen: Mapping[str, Series]) -> Appended:
        bases = {symbol: self._source.basis(symbol) for symbol in set(checked.kept["symbol"])}
        return self._store.append(checked, self._request.known_at, bases=bases, rewritten=rewritten, seen=seen)


def _newest(accepted: pd.DataFrame) -> dict[str, date]:
    last = accepted.groupby("symbol")["session"].max()
    return {str(symbol): session.date() for symbol, session in last.items()}
