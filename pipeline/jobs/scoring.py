"""The scoring step: published forecasts whose target session has closed."""

from pipeline.database.engine import open_database
from pipeline.jobs.context import snapshot_of, standing_record
from pipeline.jobs.results import ScoreResult
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import LIVE
from pipeline.jobs.trials import series_of
from pipeline.prices.store.snapshot import read_snapshot


def score(run: Run) -> ScoreResult:
    """Score published forecasts that have matured, and read the track record up to the run's session."""
    from pipeline.evaluation import track_record
    from pipeline.evaluation.forecast_log import score_matured

    engine = open_database(run.settings.database)
    scored = score_matured(
        engine,
        run.settings.source,
        read_snapshot(snapshot_of(run)),
        run.as_of,
        run.settings.clock,
        series=series_of(run),
    )
    record = standing_record(run)
    rates = {kind: track_record.recent_rates(part) for kind, part in track_record.by_kind(record).items()}
    result = ScoreResult(
        scored_now=scored, in_the_record=len(record), live=rates.get("live"), replayed=rates.get("replayed")
    )
    run.save(LIVE, result)
    return result
