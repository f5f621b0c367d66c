"""The ingestion step: new and corrected bars of the run's symbols, from the source into the store."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.database.engine import open_database
from pipeline.jobs.context import Asked, Summary
from pipeline.jobs.run import Run
from pipeline.prices.ingestion.ingest import ingest_bars
from pipeline.prices.ingestion.reconcile import Request
from pipeline.prices.sources import open_source
from pipeline.prices.store.writer import PriceStore
from pipeline.storage.documents import to_document


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
        clock=settings.clock.at(this.as_of),
        known_at=known_at,
        whole=whole,
        last_try=last_try,
    )
    store = PriceStore(open_database(settings.database), settings.source)
    source = open_source(settings, today=known_at.date())
    taken = ingest_bars(source, store, request, progress).summary()
    read_as = {"read_as": source.description(this.as_of)}
    this.write("source", read_as)
    return {**to_document(taken), "symbols": len(batch), **read_as}


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
