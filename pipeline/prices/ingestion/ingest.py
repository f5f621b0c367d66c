"""Taking prices in: whom to ask a source for, from when, when to give up, and how each request ended.

A symbol that is stored already is asked only for its new sessions and an overlap. What came is settled group by group,
so that an interrupted load goes on where it stopped; `answers` says what it means.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

import pandas as pd

from pipeline.errors import BadUpstream, NoData, PipelineError, RateLimited, SourceError, UnknownSymbol
from pipeline.prices.ingestion.reconcile import Answer, Answers, Request, Settled
from pipeline.prices.sources import Source
from pipeline.prices.store import request_log
from pipeline.prices.store.request_log import Coverage, Outcome
from pipeline.prices.store.writer import Appended, PriceStore

# What an answer that was complete is good for, where it can still change.
_FRESH = timedelta(hours=12)
# Errors in a row after which the source is taken to be away, and nobody else is asked for.
_AWAY = 5
STALE_AFTER, DELISTED_AFTER = 5, 20  # sessions without a bar

Progress = Callable[[int, int, str], None]  # symbols done, symbols in all, the one being asked for


@dataclass(frozen=True, kw_only=True)
class Buffer:
    """How much is fetched before it is stored, whichever limit is reached first; a crash loses no more than that."""

    rows: int = 20_000  # the whole history of some symbols
    symbols: int = 500  # one session of many symbols
    seconds: float = 30.0  # what a slow source returned


DEFAULT_BUFFER = Buffer()


@dataclass(kw_only=True)
class Taken:
    """What came of a request."""

    appended: Appended = field(default_factory=Appended)
    requests: list[Coverage] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    notes: list[dict[str, str]] = field(default_factory=list)
    skipped: int = 0  # complete already, not asked for again

    def add(self, settled: Settled) -> None:
        """Count what came of some answers."""
        before = asdict(self.appended)
        self.appended = Appended(**{name: before[name] + value for name, value in asdict(settled.appended).items()})
        for verdict, count in settled.verdicts.items():
            self.verdicts[verdict] = self.verdicts.get(verdict, 0) + count
        self.notes += settled.notes

    def summary(self) -> dict[str, Any]:
        """Return it in a few words and numbers."""
        outcomes = pd.Series([one.outcome for one in self.requests], dtype=object).value_counts()
        return {
            **asdict(self.appended),
            "verdicts": self.verdicts,
            "outcomes": {str(name): int(count) for name, count in outcomes.items()},
            "skipped": self.skipped,
            "notes": self.notes,
            "problems": [
                {"symbol": one.symbol, "outcome": one.outcome, "detail": one.detail}
                for one in self.requests
                if one.outcome != "complete"
            ][:50],
        }


def take_in(
    source: Source,
    store: PriceStore,
    request: Request,
    progress: Progress | None = None,
    *,
    buffer: Buffer = DEFAULT_BUFFER,
) -> Taken:
    """Ask `source` for what is missing and store what can be believed. Doing it again changes nothing.

    Raises UnknownSymbol where the source knows none of the symbols, BadUpstream where it answered for none; before the
    last try also RateLimited, BadUpstream or NoData for a part, with everything else safely stored.
    """
    return _Intake(source, store, request, progress or (lambda _done, _all, _symbol: None), buffer).run()


class _Intake:
    def __init__(self, source: Source, store: PriceStore, request: Request, progress: Progress, buffer: Buffer) -> None:
        self._source, self._store, self._request, self._progress = source, store, request, progress
        self._buffer, self._taken = buffer, Taken()
        self._failed: dict[str, PipelineError] = {}
        self._absent: dict[str, PipelineError] = {}
        self._answers_of = Answers(source, store, request)

    def run(self) -> Taken:
        todo = self._not_covered()
        self._taken.skipped = len(self._request.symbols) - len(todo)
        reach = self._store.reach(todo)
        if self._source.live:
            self._ask_one_by_one(todo, reach)
        elif todo:
            self._settle([Answer(symbols=todo, bars=self._source.bars(todo, self._last(todo)), whole=True)])
        self._note_missing(reach)
        self._complain(todo)
        request_log.go_on_without(self._store.engine, self._store.source, self._taken.requests, self._request.known_at)
        return self._taken

    def _last(self, symbols: Sequence[str]) -> date:
        return max(self._request.clock.last(symbol) for symbol in symbols)

    def _not_covered(self) -> tuple[str, ...]:
        """The symbols but those whose last answer was complete and cannot, or can hardly, have changed since."""
        if self._request.whole or not self._source.live:
            return self._request.symbols
        before = request_log.last_requests(self._store.engine, self._store.source, self._request.symbols)

        def covered(symbol: str) -> bool:
            one = before.get(symbol)
            if one is None or one.asked_at is None or one.outcome != "complete":
                return False
            settled = one.asked_at >= min(self._request.clock.known_by, self._request.known_at - _FRESH)
            return one.through >= self._request.clock.last(symbol) and settled

        return tuple(symbol for symbol in self._request.symbols if not covered(symbol))

    def _ask_one_by_one(self, todo: tuple[str, ...], reach: dict[str, tuple[date, date]]) -> None:
        pending: list[Answer] = []
        rows, since = 0, time.monotonic()
        try:
            for answer in self._answers(todo, reach):
                pending.append(answer)
                rows += len(answer.bars)
                waited = time.monotonic() - since
                full = len(pending) >= self._buffer.symbols or rows >= self._buffer.rows
                if full or waited >= self._buffer.seconds:
                    self._settle(pending)
                    pending, rows, since = [], 0, time.monotonic()
        finally:  # what came before an interruption is kept
            self._settle(pending)

    def _answers(self, todo: tuple[str, ...], reach: dict[str, tuple[date, date]]) -> Iterator[Answer]:
        in_a_row = 0
        for done, symbol in enumerate(todo):
            self._progress(done, len(todo), symbol)
            try:
                yield self._ask(symbol, reach.get(symbol))
                in_a_row = 0
            except (NoData, UnknownSymbol) as answer:
                self._absent[symbol] = answer
                in_a_row = 0
            except SourceError as error:
                self._failed[symbol] = error
                in_a_row += 1
                if isinstance(error, RateLimited) or in_a_row >= _AWAY:
                    self._failed |= dict.fromkeys(todo[done:], error)
                    break
        self._progress(len(todo), len(todo), "")

    def _ask(self, symbol: str, reach: tuple[date, date] | None) -> Answer:
        last = self._request.clock.last(symbol)
        first = None
        if reach is not None and not self._request.whole and self._source.overlap is not None:
            # Some more days than sessions, for weekends and holidays.
            first = min(reach[1], last) - timedelta(days=self._source.overlap * 7 // 5 + 5)
        bars = self._source.bars((symbol,), last, first)
        return Answer(symbols=(symbol,), bars=bars, whole=first is None)

    def _settle(self, pending: list[Answer]) -> None:
        if not pending:
            return
        settled = self._answers_of.settle(pending)
        self._taken.add(settled)
        self._failed |= settled.failed
        requests = []
        for symbol in (one for answer in pending for one in answer.symbols if one not in self._failed):
            last = self._request.clock.last(symbol)
            outcome, detail = self._outcome(symbol, last, settled.newest.get(symbol))
            if symbol in settled.refused:
                outcome, detail = "held", "its history was rewritten, and what came is doubtful: see its quarantine"
            elif outcome != "complete" and symbol in settled.held:
                outcome, detail = "held", settled.held[symbol]
            requests.append(Coverage(symbol=symbol, through=last, outcome=outcome, detail=detail))
        self._keep(requests)

    def _note_missing(self, reach: dict[str, tuple[date, date]]) -> None:
        requests = []
        for symbol, error in self._absent.items():
            last = self._request.clock.last(symbol)
            reached = reach[symbol][1] if symbol in reach else None
            outcome, detail = self._outcome(symbol, last, reached)
            if reached is None:
                outcome, detail = "unknown", str(error)
            requests.append(Coverage(symbol=symbol, through=last, outcome=outcome, detail=detail))
        for symbol, error in self._failed.items():
            last = self._request.clock.last(symbol)
            requests.append(
                Coverage(symbol=symbol, through=last, outcome="failed", detail=str(error).removeprefix(f"{symbol}: "))
            )
        self._keep(requests)

    def _keep(self, requests: list[Coverage]) -> None:
        request_log.note(self._store.engine, self._store.source, requests, self._request.known_at)
        self._taken.requests += requests

    def _outcome(self, symbol: str, last: date, reached: date | None) -> tuple[Outcome, str]:
        if reached is not None and reached >= last:
            return "complete", ""
        if reached is None:
            return "incomplete", f"has no bar up to {last}"
        absent = len(self._request.clock.market.sessions_of(symbol).between(reached, last)) - 1
        words = f"has no bar for {last}, its last is of {reached}"
        if absent > DELISTED_AFTER:
            return "delisted", f"{words}: {absent} sessions without one, taken to be delisted"
        return ("stale", f"{words}: halted or gone") if absent > STALE_AFTER else ("incomplete", words)

    def _complain(self, todo: tuple[str, ...]) -> None:
        unknown = [one for one in self._taken.requests if one.outcome == "unknown"]
        if todo and len(unknown) == len(self._request.symbols):
            raise UnknownSymbol("; ".join(f"{one.symbol}: {one.detail}" for one in unknown[:5]))
        if self._failed and (not self._request.last_try or len(self._failed) == len(self._request.symbols)):
            raise _in_one(self._failed, len(todo))
        late = [one for one in self._taken.requests if one.outcome == "incomplete"]
        if late and self._source.live and not self._request.last_try:
            names = ", ".join(one.symbol for one in late[:8])
            raise NoData(f"{len(late)} of {len(todo)} symbols are not there yet ({names}); ask again later")


def _in_one(failed: dict[str, PipelineError], asked: int) -> PipelineError:
    """One error for all, of the kind that decides when to try again: a rate limit late, everything else soon."""
    limited: list[PipelineError] = [error for error in failed.values() if isinstance(error, RateLimited)]
    first = [*limited, *failed.values()][0]
    kind = RateLimited if limited else BadUpstream
    names = ", ".join(list(failed)[:8])
    others = ", the others are stored" if len(failed) < asked else ""
    return kind(f"{len(failed)} of {asked} symbols did not come ({names}){others}: {first}")
