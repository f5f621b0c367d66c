"""The scoring step: forecasts published earlier whose target session has closed."""

from collections.abc import Mapping
from typing import Any

from pipeline.database.engine import open_database
from pipeline.evaluation.recent_rates import RecentRecord
from pipeline.jobs.context import Summary, snapshot_of, standing_record
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import RECENT_RECORD
from pipeline.jobs.trials import series_of
from pipeline.prices.store.snapshot import read_snapshot
from pipeline.storage.documents import to_document


def score(run: Mapping[str, Any]) -> Summary:
    """Score the forecasts published earlier whose session has come, and read the record up to the run's session."""
    from pipeline.evaluation import track_record
    from pipeline.evaluation.forecast_log import score_due

    this = Run.from_dict(run)
    engine = open_database(this.settings.database)
    scored = score_due(
        engine,
        this.settings.source,
        read_snapshot(snapshot_of(this)),
        this.as_of,
        this.settings.clock,
        series=series_of(this),
    )
    record = standing_record(this)
    rates = {kind: track_record.recent_rates(part) for kind, part in track_record.by_kind(record).items()}
    recent = RecentRecord(scored_now=scored, in_the_record=len(record), **rates)
    this.save(RECENT_RECORD, recent)
    return {name: value for name, value in to_document(recent).items() if value is not None}
