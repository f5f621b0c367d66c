"""The ingestion step: new and corrected bars of the run's symbols from the source into the store."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from pipeline.database.engine import open_database
from pipeline.jobs.context import Asked
from pipeline.jobs.results import IngestResult, IngestTotals, Plan
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import SOURCE, SourceReading
from pipeline.prices.ingestion.ingest import ingest_bars
from pipeline.prices.ingestion.reconcile import Request
from pipeline.prices.sources import open_source
from pipeline.prices.store.writer import PriceStore


def ingest(
    run: Run,
    batch: Sequence[str],
    *,
    known_at: datetime,
    whole: bool = False,
    last_try: bool = True,
    progress: Asked | None = None,
) -> IngestResult:
    """Ingest the bars of some symbols up to the run's session. Idempotent.

    `whole` requests all history again. Before the `last_try` missing prices raise an error, so that they are requested
    again later; on the last try they are reported and the run proceeds.
    """
    settings = run.settings
    request = Request(
        symbols=tuple(batch),
        clock=settings.clock.at(run.as_of),
        known_at=known_at,
        whole=whole,
        last_try=last_try,
    )
    store = PriceStore(open_database(settings.database), settings.source)
    source = open_source(settings, today=known_at.date())
    summary = ingest_bars(source, store, request, progress).summary()
    read_as = source.description(run.as_of)
    run.save(SOURCE, SourceReading(read_as=read_as))
    values = {field.name: getattr(summary, field.name) for field in fields(summary)}
    return IngestResult(**values, symbols=len(batch), read_as=read_as)


def ingest_all(
    planned: Plan, *, known_at: datetime, whole: bool = False, progress: Asked | None = None
) -> IngestTotals:
    """Ingest every batch of a plan in sequence; missing prices are reported at the end.

    `progress` gets the symbols done, their total number, and the one being requested.
    """
    total = sum(map(len, planned.batches))
    results: list[IngestResult] = []
    before = 0
    for batch in planned.batches:
        # Symbols that are already complete count as done before the first request.
        def report(done: int, todo: int, symbol: str, through: int = before + len(batch)) -> None:
            if progress is not None:
                progress(through - todo + done, total, symbol)

        results.append(ingest(planned.run, batch, known_at=known_at, whole=whole, progress=report))
        before += len(batch)
    return _added_up(results)


def _added_up(results: Sequence[IngestResult]) -> IngestTotals:
    counts = ("new", "revised", "unchanged", "held_back", "rewritten", "skipped", "symbols")
    return IngestTotals(
        **{name: sum(getattr(result, name) for result in results) for name in counts},
        read_as=results[-1].read_as if results else "",
        problems=[problem for result in results for problem in result.problems],
        batches=results,
    )
