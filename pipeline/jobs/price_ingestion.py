"""The steps about prices: what a request means, taking prices in, freezing them, scoring what has come due."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pipeline.database.engine import open_database
from pipeline.errors import BadSession, BadSymbol, NothingToForecast
from pipeline.jobs.backtest.exclusions import in_words
from pipeline.jobs.context import Asked, Summary, snapshot_of, standing_record
from pipeline.jobs.planning import plan_run
from pipeline.jobs.run import Run
from pipeline.jobs.trials import series_of
from pipeline.prices.audit import look_over
from pipeline.prices.ingestion.ingest import take_in
from pipeline.prices.ingestion.reconcile import Request
from pipeline.prices.sources import open_source
from pipeline.prices.store.asof import AsOf
from pipeline.prices.store.snapshot import read_snapshot, write_snapshot
from pipeline.prices.store.writer import PriceStore

_NOTES_TOLD = 50  # by the step; all of them are in audit.json
SNAPSHOTS = "snapshots"  # in the store, for each session a folder


def plan(
    *,
    key: str | None,
    now: datetime,
    as_of: date | None = None,
    interval_end: datetime | None = None,
    manual: bool = True,
    overrides: Mapping[str, Any],
    provenance: Mapping[str, str],
    make_latest: bool = False,
) -> Summary:
    """Settle what a request means; see `pipeline.jobs.planning.plan_run`. Returns the run and the batches to ingest."""
    run = plan_run(
        key=key,
        now=now,
        as_of=as_of,
        interval_end=interval_end,
        manual=manual,
        overrides=overrides,
        provenance=provenance,
        make_latest=make_latest,
    )
    size = run.settings.ingest_batch
    batches = [list(run.symbols[at : at + size]) for at in range(0, len(run.symbols), size)]
    warnings = run.settings.calendar_warnings(run.symbols, run.as_of)
    return {"run": run.to_dict(), "batches": batches, "warnings": warnings}


def ingest(
    run: Mapping[str, Any],
    batch: list[str],
    *,
    known_at: datetime,
    whole: bool = False,
    last_try: bool = True,
    progress: Asked | None = None,
) -> Summary:
    """Take in the bars of some symbols up to the run's session; what is stored already is not stored again.

    `whole` asks for all history again. Before the `last_try` whatever is missing is an error, so that it is asked for
    again later; then it is named, and the run goes on without it.
    """
    this = Run.from_dict(run)
    settings = this.settings
    request = Request(
        symbols=tuple(batch),
        last_of=lambda symbol: settings.last_session(symbol, this.as_of),
        sessions_of=settings.sessions_of,
        known_at=known_at,
        settled_at=settings.known_by(this.as_of),
        whole=whole,
        last_try=last_try,
    )
    store = PriceStore(open_database(settings.database), settings.source)
    source = open_source(settings, today=known_at.date())
    taken = take_in(source, store, request, progress).summary()
    read_as = {"read_as": source.description(this.as_of)}
    this.write("source", read_as)
    return {**taken, "symbols": len(batch), **read_as}


def ingest_all(
    planned: Mapping[str, Any], *, known_at: datetime, whole: bool = False, progress: Asked | None = None
) -> Summary:
    """Take in every batch of a planned run, one after the other; what is missing at the end is named.

    `progress` is told the symbols done, how many there are, and which is being asked for.
    """
    batches = planned["batches"]
    total = sum(map(len, batches))
    results, before = [], 0
    for batch in batches:
        # What need not be asked for is done before the first that must.
        def told(done: int, todo: int, symbol: str, through: int = before + len(batch)) -> None:
            if progress is not None:
                progress(through - todo + done, total, symbol)

        results.append(ingest(planned["run"], list(batch), known_at=known_at, whole=whole, progress=told))
        before += len(batch)
    names = ("new", "revised", "unchanged", "held_back", "rewritten", "skipped", "symbols")
    problems = [row for result in results for row in result["problems"]]
    return {
        **{name: sum(result[name] for result in results) for name in names},
        "read_as": results[-1]["read_as"] if results else "",
        "problems": problems,
        "batches": results,
    }


def snapshot(run: Mapping[str, Any], *, known_at: datetime) -> Summary:
    """Audit what is stored for the run's symbols and freeze it as it was known when the session was the last one.

    Raises NothingToForecast where the present of every symbol is doubtful.
    """
    this = Run.from_dict(run)
    settings = this.settings
    engine = open_database(settings.database)

    def last_of(symbol: str) -> date:
        return settings.last_session(symbol, this.as_of)

    known = AsOf(engine, settings.source, this.symbols, last_of, settings.known_by(this.as_of))
    with settings.store.making(SNAPSHOTS) as folder:
        frozen = write_snapshot(known.tables(), this.as_of, folder)
        name = f"{SNAPSHOTS}/{frozen.path.relative_to(folder).as_posix()}"
        audit = look_over(engine, known, read_snapshot(frozen), settings, this.symbols, last_of, now=known_at)
    if not known.rows and not audit["quarantine"] + audit["reject"]:
        raise BadSession(f"there are no prices up to {this.as_of} for {', '.join(this.symbols[:5])}; run ingest first")
    this.write("run", this.to_dict())
    this.write("audit", audit)
    this.write("snapshot", {"name": name, "digest": frozen.digest, "rows": known.rows})
    if len(audit["doubtful"]) == len(this.symbols):  # before anything is trained for nobody
        raise NothingToForecast(f"no symbol can be forecast as of {this.as_of}: {in_words(audit['doubtful'])}")
    return {
        "digest": frozen.digest,
        "rows": known.rows,
        **{
            name: audit[name]
            for name in ("accept", "warn", "quarantine", "reject", "gaps", "reconstructed", "doubtful", "reasons")
        },
        "notes": audit["notes"][:_NOTES_TOLD],
    }


def score(run: Mapping[str, Any]) -> Summary:
    """Score the forecasts published earlier whose session has come, and read the record up to the run's session."""
    from pipeline.evaluation import track_record as judged
    from pipeline.evaluation.forecast_log import score_due

    this = Run.from_dict(run)
    engine = open_database(this.settings.database)

    def origin_of(symbol: str, day: date) -> date:
        try:
            return this.settings.last_session(symbol, day)
        except BadSymbol:  # it was published before its market was refused; it has no bars to be scored with
            return day

    scored = score_due(
        engine,
        this.settings.source,
        read_snapshot(snapshot_of(this)),
        this.as_of,
        origin_of,
        this.settings.sessions_of,
        series=series_of(this),
    )
    record = standing_record(this)
    kinds = {kind: judged.lately(part) for kind, part in judged.by_kind(record).items()}
    summary: Summary = {"scored_now": scored, "in_the_record": len(record), **kinds}
    this.write("live", summary)
    return summary
