"""Taking prices in: what to ask a source for, what its answers mean, and what of them is believed and stored.

A symbol that is stored already is asked only for its new sessions and an overlap, and the overlap decides: the same, a
late correction, or a history that was rewritten, which is then fetched whole and stored as a new generation at once.
What came is stored group by group, so that an interrupted load goes on where it stopped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd

from pipeline.errors import BadUpstream, NoData, Overtaken, PipelineError, RateLimited, SourceError, UnknownSymbol
from pipeline.prices import coverage, quarantine
from pipeline.prices.belief import also_held, let_through, with_still_held, without_half_rewritten
from pipeline.prices.coverage import Coverage, Outcome
from pipeline.prices.overlap import compare
from pipeline.prices.quality import Checked, check_bars
from pipeline.prices.sources import Source
from pipeline.prices.store import Appended, PriceStore, Series
from pipeline.sessions import Sessions

# What is stored at once: a whole history of some symbols, or a day of many. A crash loses no more than that.
_ROWS_AT_ONCE, _SYMBOLS_AT_ONCE = 20_000, 500
# What an answer that was complete is good for, where it can still change.
_FRESH = timedelta(hours=12)
# Bars of the past that the rules look at beside new ones: a year, to know what is usual.
_CONTEXT_DAYS = 400
# Errors in a row after which the source is taken to be away, and nobody else is asked for.
_AWAY = 5
STALE_AFTER, DELISTED_AFTER = 5, 20  # sessions without a bar

Progress = Callable[[int, int, str], None]  # symbols done, symbols in all, the one being asked for


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be taken in. `last_of` gives the last session that is complete, market by market."""

    symbols: tuple[str, ...]
    last_of: Callable[[str], date]
    sessions_of: Callable[[str], Sessions]
    known_at: datetime  # now, aware
    settled_at: datetime  # what becomes known after this moment changes nothing for the session asked for
    whole: bool = False  # the whole history of every symbol, to find what has changed deep in the past
    last_try: bool = True  # what is missing now stays missing: go on without it


@dataclass(kw_only=True)
class Taken:
    """What came of a request."""

    appended: Appended = field(default_factory=Appended)
    requests: list[Coverage] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    notes: list[dict[str, str]] = field(default_factory=list)
    skipped: int = 0  # complete already, not asked for again

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


@dataclass(frozen=True, kw_only=True)
class _Answer:
    symbols: tuple[str, ...]
    bars: pd.DataFrame
    whole: bool


def take_in(source: Source, store: PriceStore, request: Request, progress: Progress | None = None) -> Taken:
    """Ask `source` for what is missing and store what can be believed. Doing it again changes nothing.

    Raises UnknownSymbol where the source knows none of the symbols, BadUpstream where it answered for none; before the
    last try also RateLimited, BadUpstream or NoData for a part, with everything else safely stored.
    """
    return _Intake(source, store, request, progress or (lambda _done, _all, _symbol: None)).run()


class _Intake:
    def __init__(self, source: Source, store: PriceStore, request: Request, progress: Progress) -> None:
        self._source, self._store, self._request, self._progress = source, store, request, progress
        self._taken = Taken()
        self._failed: dict[str, PipelineError] = {}
        self._absent: dict[str, PipelineError] = {}

    def run(self) -> Taken:
        todo = self._not_covered()
        self._taken.skipped = len(self._request.symbols) - len(todo)
        reach = self._store.reach(todo)
        if self._source.live:
            self._ask_one_by_one(todo, reach)
        elif todo:
            self._settle([_Answer(symbols=todo, bars=self._source.bars(todo, self._last(todo)), whole=True)])
        self._note_missing(reach)
        self._complain(todo)
        return self._taken

    def _last(self, symbols: Sequence[str]) -> date:
        return max(self._request.last_of(symbol) for symbol in symbols)

    def _not_covered(self) -> tuple[str, ...]:
        """The symbols but those whose last answer was complete and cannot, or can hardly, have changed since."""
        if self._request.whole or not self._source.live:
            return self._request.symbols
        before = coverage.last_requests(self._store.engine, self._store.source, self._request.symbols)

        def covered(symbol: str) -> bool:
            one = before.get(symbol)
            if one is None or one.asked_at is None or one.outcome != "complete":
                return False
            settled = one.asked_at >= min(self._request.settled_at, self._request.known_at - _FRESH)
            return one.through >= self._request.last_of(symbol) and settled

        return tuple(symbol for symbol in self._request.symbols if not covered(symbol))

    def _ask_one_by_one(self, todo: tuple[str, ...], reach: dict[str, tuple[date, date]]) -> None:
        pending: list[_Answer] = []
        rows = 0
        try:
            for answer in self._answers(todo, reach):
                pending.append(answer)
                rows += len(answer.bars)
                if len(pending) >= _SYMBOLS_AT_ONCE or rows >= _ROWS_AT_ONCE:
                    self._settle(pending)
                    pending, rows = [], 0
        finally:  # what came before an interruption is kept
            self._settle(pending)

    def _answers(self, todo: tuple[str, ...], reach: dict[str, tuple[date, date]]) -> Iterator[_Answer]:
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

    def _ask(self, symbol: str, reach: tuple[date, date] | None) -> _Answer:
        last = self._request.last_of(symbol)
        first = None
        if reach is not None and not self._request.whole and self._source.overlap is not None:
            # Some more days than sessions, for weekends and holidays.
            first = min(reach[1], last) - timedelta(days=self._source.overlap * 7 // 5 + 5)
        bars = self._source.bars((symbol,), last, first)
        return _Answer(symbols=(symbol,), bars=bars, whole=first is None)

    def _settle(self, answers: list[_Answer]) -> None:
        """Decide what the answers mean, and store it in one transaction."""
        if not answers:
            return
        self._taken.notes += [note for answer in answers for note in answer.bars.attrs.get("notes", [])]
        bars = pd.concat([answer.bars for answer in answers], ignore_index=True)
        bars.attrs = {}
        bars = bars.sort_values(["symbol", "session"], kind="stable", ignore_index=True)
        symbols = tuple(symbol for answer in answers for symbol in answer.symbols)
        seen = self._store.current(symbols)
        known = tuple(seen)
        first = None if any(answer.whole for answer in answers) else bars["session"].min().date()
        stored = self._store.recent(known, first, seen)
        overlap = compare(bars, stored)
        whole = {symbol for answer in answers if answer.whole for symbol in answer.symbols}
        bars, rewritten = self._fetched_whole(bars, overlap.rewritten, whole)
        if overlap.rewritten - whole:
            overlap = replace(compare(bars, stored), rewritten=rewritten)
        again = bars["symbol"].isin(rewritten).to_numpy()
        news = bars[overlap.is_new | overlap.is_changed | again].reset_index(drop=True)
        if news.empty:  # most answers to most questions
            self._note(symbols, stored)
            return
        doubtful = bars[overlap.is_doubtful & ~again]
        checked = self._checked(news, doubtful, known, rewritten)
        checked, refused = without_half_rewritten(checked, rewritten)
        try:
            self._append(checked, rewritten - refused, seen)
        except Overtaken:  # by a run beside this one: compare with what it has stored
            self._settle(answers)
            return
        believed = pd.concat([stored[["symbol", "session"]], checked.kept[["symbol", "session"]]])
        self._note(symbols, believed, checked.held_back, refused)

    def _fetched_whole(
        self, bars: pd.DataFrame, rewritten: frozenset[str], whole: set[str]
    ) -> tuple[pd.DataFrame, frozenset[str]]:
        """Return the bars with the whole history of each rewritten symbol; one that cannot be had is left for later."""
        parts, missing = [], set()
        if not rewritten - whole:
            return bars, rewritten
        for symbol in sorted(rewritten - whole):
            try:
                parts.append(self._source.bars((symbol,), self._request.last_of(symbol)))
            except SourceError as error:
                self._failed[symbol] = error
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
        checked = check_bars(news.drop(index=still.index), self._request.sessions_of, known=tails)
        checked = also_held(with_still_held(checked, still), doubtful)
        if checked.held_back.empty:
            return checked
        through = quarantine.released(
            self._store.engine, self._store.source, tuple(checked.held_back["symbol"].unique())
        )
        return let_through(checked, through)

    def _append(self, checked: Checked, rewritten: frozenset[str], seen: Mapping[str, Series]) -> None:
        bases = {symbol: self._source.basis(symbol) for symbol in set(checked.kept["symbol"])}
        one = self._store.append(checked, self._request.known_at, bases=bases, rewritten=rewritten, seen=seen)
        before = asdict(self._taken.appended)
        self._taken.appended = Appended(**{name: before[name] + value for name, value in asdict(one).items()})
        for verdict, count in checked.counts().items():
            self._taken.verdicts[verdict] = self._taken.verdicts.get(verdict, 0) + count
        self._taken.notes += checked.notes

    def _note(
        self,
        symbols: tuple[str, ...],
        believed: pd.DataFrame,
        held_back: pd.DataFrame | None = None,
        refused: frozenset[str] = frozenset(),
    ) -> None:
        newest = believed.groupby("symbol")["session"].max().to_dict()
        held = {} if held_back is None else dict(zip(held_back["symbol"], held_back["detail"], strict=True))
        requests = []
        for symbol in (one for one in symbols if one not in self._failed):
            last, reached = self._request.last_of(symbol), newest.get(symbol)
            outcome, detail = self._outcome(symbol, last, reached.date() if reached is not None else None)
            if symbol in refused:
                outcome, detail = "held", "its history was rewritten, and what came is doubtful: see its quarantine"
            elif outcome != "complete" and symbol in held:
                outcome, detail = "held", str(held[symbol])
            requests.append(Coverage(symbol=symbol, through=last, outcome=outcome, detail=detail))
        self._keep(requests)

    def _note_missing(self, reach: dict[str, tuple[date, date]]) -> None:
        requests = []
        for symbol, error in self._absent.items():
            last = self._request.last_of(symbol)
            reached = reach[symbol][1] if symbol in reach else None
            outcome, detail = self._outcome(symbol, last, reached)
            if reached is None:
                outcome, detail = "unknown", str(error)
            requests.append(Coverage(symbol=symbol, through=last, outcome=outcome, detail=detail))
        for symbol, error in self._failed.items():
            last = self._request.last_of(symbol)
            requests.append(
                Coverage(symbol=symbol, through=last, outcome="failed", detail=str(error).removeprefix(f"{symbol}: "))
            )
        self._keep(requests)

    def _keep(self, requests: list[Coverage]) -> None:
        coverage.note(self._store.engine, self._store.source, requests, self._request.known_at)
        self._taken.requests += requests

    def _outcome(self, symbol: str, last: date, reached: date | None) -> tuple[Outcome, str]:
        if reached is not None and reached >= last:
            return "complete", ""
        if reached is None:
            return "incomplete", f"has no bar up to {last}"
        absent = len(self._request.sessions_of(symbol).between(reached, last)) - 1
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
