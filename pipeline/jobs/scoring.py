"""The scoring step: forecasts published earlier whose target session has closed."""

from collections.abc import Mapping
from typing import Any

from pipeline.database.engine import open_database
from pipeline.jobs.context import Summary, snapshot_of, standing_record
from pipeline.jobs.run import Run
from pipeline.jobs.trials import series_of
from pipeline.prices.store.snapshot import read_snapshot


def score(run: Mapping[str, Any]) -> Summary:
    """Score the forecasts published earlier whose session has come, and read the record up to the run's session."""
    from pipeline.evaluation import track_record as judged
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
    kinds = {kind: judged.lately(part) for kind, part in judged.by_kind(record).items()}
    summary: Summary = {"scored_now": scored, "in_the_record": len(record), **kinds}
    this.write("live", summary)
    return summary
