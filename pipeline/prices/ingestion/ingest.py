"""Ingestion of prices: which symbols to request, from which session, when to give up, and how each request ended.

Of a symbol that is stored already, only its new sessions and an overlap with the stored ones are requested. Answers are
reconciled and stored in groups, so that an interrupted load resumes where it stopped; see `reconcile`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta

from pipeline.errors import BadUpstream, NoData, PipelineError, RateLimited, SourceError, UnknownSymbol
from pipeline.prices.audit_types import Note
from pipeline.prices.ingestion.reconcile import Answer, Reconciled, Reconciler, Request
from pipeline.prices.sources import Source
from pipeline.prices.store import request_log
from pipeline.prices.store.request_log import Outcome, RequestOutcome
from pipeline.prices.store.writer import Appended, PriceStore

# What an answer that was complete is good for, where it can still change.
_FRESH = timedelta(hours=12)
# Consecutive errors after which the source counts as unreachable, and no further symbol is requested.
_UNREACHABLE = 5
_PROBLEMS_LISTED = 50  # in a summary; the request log has all of them
STALE_AFTER, DELISTED_AFTER = 5, 20  # sessions without a bar

Progress = Callable[[int, int, str], None]  # symbols done, symbols in all, the one being asked for


@dataclass(frozen=True, kw_only=True)
class Buffer:
    """How much is fetched before it is stored, whichever limit is reached first; a crash loses no more than that."""

    rows: int = 20_000  # the whole history of some symbols
    symbols: int = 500  # one session of many symbols
    seconds: float = 30.0  # what a slow source returned


DEFAULT_BUFFER = Buffer()


@dataclass(frozen=True, kw_only=True)
class RequestProblem:
    """A symbol that is incomplete, and why."""

    symbol: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, kw_only=True)
class IngestionSummary:
    """What an ingestion changed, in bars, and which symbols are incomplete."""

    new: int
    revised: int
    unchanged: int
    held_back: int
    rewritten: int  # symbols whose history began a new generation
    verdicts: Mapping[str, int]  # bars
    outcomes: Mapping[str, int]  # requests
    skipped: int  # symbols that were complete already
    notes: tuple[Note, ...]
    problems: tuple[RequestProblem, ...]  # the first 50


@dataclass(kw_only=True)
class Ingested:
    """The result of an ingestion."""

    appended: Appended = field(default_factory=Appended)
    requests: list[RequestOutcome] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    skipped: int = 0  # complete already, not requested again

    def add(self, reconciled: Reconciled) -> None:
        """Add the result of some answers."""
        before = asdict(self.appended)
        self.appended = Appended(**{name: before[name] + value for name, value in asdict(reconciled.appended).items()})
        for verdict, count in reconciled.verdicts.items():
            self.verdicts[verdict] = self.verdicts.get(verdict, 0) + count
        self.notes += reconciled.notes

    def summary(self) -> IngestionSummary:
        """Return the counts, and the first problems."""
        problems = [
            RequestProblem(symbol=one.symbol, outcome=one.outcome, detail=one.detail)
            for one in self.requests
            if one.outcome != "complete"
        ]
        return IngestionSummary(
            **asdict(self.appended),
            verdicts=self.verdicts,
            outcomes=Counter(one.outcome for one in self.requests),
            skipped=self.skipped,
            notes=tuple(self.notes),
            problems=tuple(problems[:_PROBLEMS_LISTED]),
        )


def ingest_bars(
    source: Source,
    store: PriceStore,
    request: Request,
    progress: Progress | None = None,
    *,
    buffer: Buffer = DEFAULT_BUFFER,
) -> Ingested:
    """Request what is missing from `source` and store what passes the quality rules. Idempotent.

    Raises UnknownSymbol where the source knows none of the symbols, BadUpstream where it answered for none; before the
    last try also RateLimited, BadUpstream or NoData for a part, with everything else safely stored.
    """
    return _Ingestion(source, store, request, progress or (lambda _done, _all, _symbol: None), buffer).run()


class _Ingestion:
    def __init__(self, source: Source, store: PriceStore, request: Request, progress: Progress, buffer: Buffer) -> None:
        self._source, self._store, self._request, self._progress = source, store, request, progress
        self._buffer, self._result = buffer, Ingested()
        self._failed: dict[str, PipelineError] = {}
        self._absent: dict[str, PipelineError] = {}
        self._reconciler = Reconciler(source, store, request)

    def run(self) -> Ingested:
        todo = self._outdated()
        self._result.skipped = len(self._request.symbols) - len(todo)
        stored = self._store.stored_range(todo)
        if self._source.live:
            self._ask_one_by_one(todo, stored)
        elif todo:
            self._reconcile([Answer(symbols=todo, bars=self._source.bars(todo, self._last(todo)), whole=True)])
        self._record_missing(stored)
        self._raise_for_missing(todo)
        request_log.record_missing(
            self._store.engine, self._store.source, self._result.requests, self._request.known_at
        )
        return self._result

    def _last(self, symbols: Sequence[str]) -> date:
        return max(self._request.clock.last(symbol) for symbol in symbols)

    def _outdated(self) -> tuple[str, ...]:
        """The symbols except those whose last answer was complete and is unlikely to have changed since."""
        if self._request.whole or not self._source.live:
            return self._request.symbols
        before = request_log.last_requests(self._store.engine, self._store.source, self._request.symbols)

        def covered(symbol: str) -> bool:
            one = before.get(symbol)
            if one is None or one.asked_at is None or one.outcome != "complete":
                return False
            is_fresh = one.asked_at >= min(self._request.clock.known_by, self._request.known_at - _FRESH)
            return one.through >= self._request.clock.last(symbol) and is_fresh

        return tuple(symbol for symbol in self._request.symbols if not covered(symbol))

    def _ask_one_by_one(self, todo: tuple[str, ...], stored: dict[str, tuple[date, date]]) -> None:
        pending: list[Answer] = []
        rows, since = 0, time.monotonic()
        try:
            for answer in self._answers(todo, stored):
                pending.append(answer)
                rows += len(answer.bars)
                waited = time.monotonic() - since
                full = len(pending) >= self._buffer.symbols or rows >= self._buffer.rows
                if full or waited >= self._buffer.seconds:
                    self._reconcile(pending)
                    pending, rows, since = [], 0, time.monotonic()
        finally:  # answers before an interruption are stored
            self._reconcile(pending)

    def _answers(self, todo: tuple[str, ...], stored: dict[str, tuple[date, date]]) -> Iterator[Answer]:
        in_a_row = 0
        for done, symbol in enumerate(todo):
            self._progress(done, len(todo), symbol)
            try:
                yield self._ask(symbol, stored.get(symbol))
                in_a_row = 0
            except (NoData, UnknownSymbol) as answer:
                self._absent[symbol] = answer
                in_a_row = 0
            except SourceError as error:
                self._failed[symbol] = error
                in_a_row += 1
                if isinstance(error, RateLimited) or in_a_row >= _UNREACHABLE:
                    self._failed |= dict.fromkeys(todo[done:], error)
                    break
        self._progress(len(todo), len(todo), "")

    def _ask(self, symbol: str, stored: tuple[date, date] | None) -> Answer:
        last = self._request.clock.last(symbol)
        first = None
        if stored is not None and not self._request.whole and self._source.overlap is not None:
            # Some more days than sessions, for weekends and holidays.
            first = min(stored[1], last) - timedelta(days=self._source.overlap * 7 // 5 + 5)
        bars = self._source.bars((symbol,), last, first)
        return Answer(symbols=(symbol,), bars=bars, whole=first is None)

    def _reconcile(self, pending: list[Answer]) -> None:
        if not pending:
            return
        reconciled = self._reconciler.reconcile(pending)
        self._result.add(reconciled)
        self._failed |= reconciled.failed
        requests = []
        for symbol in (one for answer in pending for one in answer.symbols if one not in self._failed):
            last = self._request.clock.last(symbol)
            outcome, detail = self._outcome(symbol, last, reconciled.newest.get(symbol))
            if symbol in reconciled.refused:
                outcome, detail = (
                    "held",
                    "its history was rewritten, and too much of the new one is doubtful: see quarantine",
                )
            elif outcome != "complete" and symbol in reconciled.held:
                outcome, detail = "held", reconciled.held[symbol]
            requests.append(RequestOutcome(symbol=symbol, through=last, outcome=outcome, detail=detail))
        self._record(requests)

    def _record_missing(self, stored: dict[str, tuple[date, date]]) -> None:
        requests = []
        for symbol, error in self._absent.items():
            last = self._request.clock.last(symbol)
            reached = stored[symbol][1] if symbol in stored else None
            outcome, detail = self._outcome(symbol, last, reached)
            if reached is None:
                outcome, detail = "unknown", str(error)
            requests.append(RequestOutcome(symbol=symbol, through=last, outcome=outcome, detail=detail))
        for symbol, error in self._failed.items():
            last = self._request.clock.last(symbol)
            detail = str(error).removeprefix(f"{symbol}: ")
            requests.append(RequestOutcome(symbol=symbol, through=last, outcome="failed", detail=detail))
        self._record(requests)

    def _record(self, requests: list[RequestOutcome]) -> None:
        request_log.record(self._store.engine, self._store.source, requests, self._request.known_at)
        self._result.requests += requests

    def _outcome(self, symbol: str, last: date, reached: date | None) -> tuple[Outcome, str]:
        if reached is not None and reached >= last:
            return "complete", ""
        if reached is None:
            return "incomplete", f"has no bar up to {last}"
        absent = len(self._request.clock.market.sessions_of(symbol).between(reached, last)) - 1
        text = f"has no bar for {last}; its last is for {reached}"
        if absent > DELISTED_AFTER:
            return "delisted", f"{text}: {absent} sessions without one, presumably delisted"
        return ("stale", f"{text}: trading halted, or delisted") if absent > STALE_AFTER else ("incomplete", text)

    def _raise_for_missing(self, todo: tuple[str, ...]) -> None:
        unknown = [one for one in self._result.requests if one.outcome == "unknown"]
        if todo and len(unknown) == len(self._request.symbols):
            raise UnknownSymbol("; ".join(f"{one.symbol}: {one.detail}" for one in unknown[:5]))
        if self._failed and (not self._request.last_try or len(self._failed) == len(self._request.symbols)):
            raise _combined(self._failed, len(todo))
        late = [one for one in self._result.requests if one.outcome == "incomplete"]
        if late and self._source.live and not self._request.last_try:
            names = ", ".join(one.symbol for one in late[:8])
            raise NoData(f"{len(late)} of {len(todo)} symbols have no bar yet ({names}); try again later")


def _combined(failed: dict[str, PipelineError], asked: int) -> PipelineError:
    """Return one error for all. Its type decides when to retry: after a rate limit late, otherwise soon."""
    limited: list[PipelineError] = [error for error in failed.values() if isinstance(error, RateLimited)]
    first = [*limited, *failed.values()][0]
    kind = RateLimited if limited else BadUpstream
    names = ", ".join(list(failed)[:8])
    others = "; the others are stored" if len(failed) < asked else ""
    return kind(f"{len(failed)} of {asked} symbols could not be fetched ({names}){others}: {first}")
