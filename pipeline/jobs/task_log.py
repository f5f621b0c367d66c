"""What a step did, in a few lines for its task's log, by the type of its result."""

from collections.abc import Callable
from typing import Any

from pipeline.jobs.results import (
    BacktestOutputs,
    BacktestPlan,
    BaselineResult,
    CompareResult,
    EventsResult,
    FoldResult,
    ForecastResult,
    IngestResult,
    JudgeResult,
    Plan,
    PublishResult,
    ScoreResult,
    SnapshotResult,
    TrainResult,
    UploadResult,
)
from pipeline.prices.quality.digest import note_lines, reason_lines
from pipeline.publishing import formatting

_MOST_NAMED = 10  # symbols listed one by one


def lines(result: object) -> list[str]:
    """Return what a step did, one sentence a line; nothing for a result of another type."""
    write = _WRITERS.get(type(result))
    return [] if write is None else write(result)


def _plan(planned: Plan) -> list[str]:
    run, folds = planned.run, planned.folds if isinstance(planned, BacktestPlan) else ()
    changed = ", ".join(f"{name}={value}" for name, value in sorted(run.overrides.by_name.items()))
    symbols, batches = _count(len(run.symbols), "symbol"), _count(len(planned.batches), "batch", "batches")
    trial = () if folds else run.trial  # a backtest publishes nothing
    return [
        f"forecasts from {run.as_of}: {symbols} in {batches}",
        *([f"{_count(len(folds), 'fold')}, {folds[0].first} to {folds[-1].last}"] if folds else []),
        f"requested settings: {changed}" if changed else "standing settings",
        *(f"warning: {text}" for text in planned.warnings),
        *_some([f"no forecast for {symbol}: {reason}" for symbol, reason in run.refused.items()]),
        *([f"a trial, unlike the standing configuration: {', '.join(trial)}"] if trial else []),
    ]


def _ingest(result: IngestResult) -> list[str]:
    bars = f"{result.new:,} new, {result.revised:,} revised, {result.held_back:,} held back"
    return [
        *([f"prices read as: {result.read_as}"] if result.read_as else []),
        f"bars of {_count(result.symbols, 'symbol')}: {bars}; {_count(result.skipped, 'symbol')} already complete",
        *_some([f"{row.symbol}: {row.outcome}, {row.detail}" for row in result.problems]),
        *_some(note_lines(result.notes)),
    ]


def _events(result: EventsResult) -> list[str]:
    if result.source == "none":
        return ["no source of scheduled events"]
    changes = f"{result.new:,} new, {result.changed:,} changed, {result.cancelled:,} cancelled"
    verdicts = [f"{count:,} {name}" for name, count in sorted(result.verdicts.items())]
    return [
        f"scheduled events from {result.source}: {changes}, {result.unchanged:,} unchanged",
        *([f"verdicts: {', '.join(verdicts)}"] if verdicts else []),
        *_some([f"{one.symbol or 'market'} {one.day or ''}: {one.detail}" for one in result.findings]),
        *_some(list(result.notes)),
    ]


def _snapshot(result: SnapshotResult) -> list[str]:
    verdicts = (
        f"{result.accept:,} accepted, {result.warn:,} with a warning, {result.quarantine:,} quarantined, "
        f"{result.reject:,} rejected"
    )
    later, events = result.reconstructed, result.events
    dated = f"{events:,} scheduled events, of {result.events_reconstructed:,} the date of announcement is not known"
    return [
        f"{result.rows:,} bars frozen as {result.digest[:12]}: {verdicts}; {result.gaps:,} missing",
        *([f"{later:,} of them were ingested later than a run on that day would have known them"] if later else []),
        *([dated] if events else []),
        *_some([f"no forecast for {row.symbol}: {row.reason}" for row in result.doubtful]),
        *_some(note_lines(result.notes)),
        *_some(reason_lines(result.reasons)),
    ]


def _score(result: ScoreResult) -> list[str]:
    told = [f"{result.scored_now:,} forecasts have matured, {result.in_the_record:,} are in the track record"]
    names = {"live": "published in time", "replayed": "replays"}
    for kind, rates in result.kinds().items():
        ours, baseline = (formatting.number(value) for value in (rates.crps_bp, rates.baseline_crps_bp))
        coverage = formatting.share(rates.coverage.get(90))
        told.append(
            f"{names[kind]}, recently: coverage of the 90 % range {coverage}, CRPS {ours} bp, baseline {baseline}"
        )
        told += [rates.breach] if rates.breach else []
    return told


def _train(result: TrainResult) -> list[str]:
    return [f"trained in {result.seconds:.1f} s" if result.trained else f"not trained: {result.reason}"]


def _baseline(result: BaselineResult) -> list[str]:
    return [f"{formatting.in_prose(result.baseline)} has forecast {result.windows:,} held-out windows"]


def _compare(result: CompareResult | FoldResult) -> list[str]:
    ranked = sorted(result.crps_bp.items(), key=lambda item: item[1])
    if not ranked:
        return ["nothing is held out yet, so there is nothing to compare"]
    scores = ", ".join(f"{formatting.model_name(name)} {value:.2f}" for name, value in ranked)
    return [f"CRPS on the same held-out sessions, in basis points, best first: {scores}"]


def _upload(result: UploadResult) -> list[str]:
    model = f"registered as version {result.model_version}" if result.model_version else "no model to register"
    return [f"{model}; {result.mlflow_url or 'MLflow run ' + result.mlflow_run_id}"]


def _judge(result: JudgeResult) -> list[str]:
    return [result.reason, f"to be published: {formatting.model_name(result.model, result.model_version)}"]


def _forecast(result: ForecastResult) -> list[str]:
    return [
        f"{_count(result.symbols, 'symbol')} forecast, {len(result.withheld)} withheld",
        *_some([f"no forecast for {row.symbol}: {row.reason}" for row in result.withheld]),
        *_some([f"{row.symbol}: {row.reason}" for row in result.fallbacks]),
    ]


def _publish(result: PublishResult) -> list[str]:
    trial = [] if result.standing else ["a trial: `latest`, the track record and the champion were not moved"]
    return [
        result.headline,
        result.verdict,
        f"{'written' if result.changed else 'unchanged'}: {result.folder}",
        *trial,
        *result.events,
    ]


def _fold(result: FoldResult) -> list[str]:
    made = "reused" if result.reused else "computed"
    trained = "" if result.trained else f"; no network: {result.reason}"
    return [f"fold {made}{trained}", *_compare(result)]


def _summary(result: BacktestOutputs) -> list[str]:
    return [f"{result.rows:,} forecasts in {result.file}", *([result.mlflow_url] if result.mlflow_url else [])]


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _some(rows: list[str]) -> list[str]:
    left = len(rows) - _MOST_NAMED
    return rows[:_MOST_NAMED] + ([f"and {left:,} more"] if left > 0 else [])


_WRITERS: dict[type, Callable[[Any], list[str]]] = {
    Plan: _plan,
    BacktestPlan: _plan,
    IngestResult: _ingest,
    EventsResult: _events,
    SnapshotResult: _snapshot,
    ScoreResult: _score,
    TrainResult: _train,
    BaselineResult: _baseline,
    CompareResult: _compare,
    UploadResult: _upload,
    JudgeResult: _judge,
    ForecastResult: _forecast,
    PublishResult: _publish,
    FoldResult: _fold,
    BacktestOutputs: _summary,
}
