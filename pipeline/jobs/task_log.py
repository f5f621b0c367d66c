"""What a step did, in a few lines for its log: made from what the step returned, by the step's name in the DAGs."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.prices.audit_types import Note, Reason
from pipeline.prices.quality.digest import note_lines, reason_lines
from pipeline.publishing import formatting

_MOST_NAMED = 10  # symbols told one by one


def lines(step: str, result: Mapping[str, Any]) -> list[str]:
    """Return the story of a step, one sentence a line; nothing for a step that has none."""
    tell = STORIES.get(step)
    return [] if tell is None else tell(result)


def _plan(planned: Mapping[str, Any]) -> list[str]:
    run = planned["run"]
    changed = ", ".join(f"{name}={value}" for name, value in sorted(run["overrides"].items()))
    symbols, folds = _count(len(run["symbols"]), "symbol"), planned.get("folds")
    trial = [] if folds else run.get("trial", [])  # a backtest publishes nothing
    return [
        f"forecasts from {run['as_of']}: {symbols} in {_count(len(planned['batches']), 'batch', 'batches')}",
        *([f"{_count(len(folds), 'fold')}, {folds[0]['first']} to {folds[-1]['last']}"] if folds else []),
        f"as asked for: {changed}" if changed else "everything as set",
        *(f"warning: {text}" for text in planned.get("warnings", ())),
        *_named([f"no forecast for {symbol}: {reason}" for symbol, reason in run.get("refused", {}).items()]),
        *([f"a trial, unlike the standing configuration: {', '.join(trial)}"] if trial else []),
    ]


def _ingest(result: Mapping[str, Any]) -> list[str]:
    bars = f"{result['new']:,} new, {result['revised']:,} revised, {result['held_back']:,} held back"
    return [
        *([f"prices read as: {result['read_as']}"] if result.get("read_as") else []),
        f"bars of {_count(result['symbols'], 'symbol')}: {bars}; {_count(result['skipped'], 'symbol')} had all already",
        *_named([f"{row['symbol']}: {row['outcome']}, {row['detail']}" for row in result["problems"]]),
        *_named(note_lines([Note(**note) for note in result.get("notes", [])])),
    ]


def _snapshot(result: Mapping[str, Any]) -> list[str]:
    verdicts = ", ".join(
        f"{result[name]:,} {word}"
        for name, word in (
            ("accept", "accepted"),
            ("warn", "with a warning"),
            ("quarantine", "quarantined"),
            ("reject", "rejected"),
        )
    )
    later = result["reconstructed"]
    return [
        f"{result['rows']:,} bars frozen as {result['digest'][:12]}: {verdicts}; {result['gaps']:,} missing",
        *([f"{later:,} of them were taken in later than a run on that day would have known them"] if later else []),
        *_named([f"no forecast for {row['symbol']}: {row['reason']}" for row in result["doubtful"]]),
        *_named(note_lines([Note(**note) for note in result.get("notes", [])])),
        *_named(reason_lines([Reason(**reason) for reason in result.get("reasons", [])])),
    ]


def _score(result: Mapping[str, Any]) -> list[str]:
    told = [f"{result['scored_now']:,} forecasts have come due now, {result['in_the_record']:,} are in the record"]
    for kind, what in (("live", "published in time"), ("replayed", "replays")):
        if lately := result.get(kind):
            ours, baseline = (formatting.number(lately[key]) for key in ("crps_bp", "baseline_crps_bp"))
            held = formatting.share(lately["coverage_90"])
            told.append(f"{what}, lately: 90 % ranges held {held}, CRPS {ours} bp, the baseline's {baseline}")
            told += [lately["breach"]] if lately["breach"] else []
    return told


def _train(result: Mapping[str, Any]) -> list[str]:
    return [f"trained in {result['seconds']:.1f} s" if result["trained"] else f"not trained: {result['reason']}"]


def _baseline(result: Mapping[str, Any]) -> list[str]:
    return [f"the {formatting.named(result['baseline'])} has forecast {result['windows']:,} held-out windows"]


def _compare(result: Mapping[str, Any]) -> list[str]:
    ranked = sorted(result["crps_bp"].items(), key=lambda each: each[1])
    if not ranked:
        return ["nothing is held out yet, so there is nothing to compare"]
    scores = ", ".join(f"{formatting.named(name)} {value:.2f}" for name, value in ranked)
    return [f"CRPS on the same held-out sessions, in basis points, best first: {scores}"]


def _upload(result: Mapping[str, Any]) -> list[str]:
    version = result["model_version"]
    model = f"registered as version {version}" if version else "no model to register"
    return [f"{model}; {result['mlflow_url'] or 'MLflow run ' + result['mlflow_run_id']}"]


def _judge(result: Mapping[str, Any]) -> list[str]:
    return [
        str(result["reason"]),
        f"to be published: {formatting.model_name(result['model'], result['model_version'])}",
    ]


def _forecast(result: Mapping[str, Any]) -> list[str]:
    return [
        f"{_count(result['symbols'], 'symbol')} forecast, {len(result['withheld'])} withheld",
        *_named([f"no forecast for {row['symbol']}: {row['reason']}" for row in result["withheld"]]),
        *_named([f"{row['symbol']}: {row['reason']}" for row in result["fallbacks"]]),
    ]


def _publish(result: Mapping[str, Any]) -> list[str]:
    return [
        str(result["headline"]),
        str(result["verdict"]),
        f"{'written' if result['changed'] else 'unchanged'}: {result['folder']}",
        *(
            []
            if result.get("standing", True)
            else ["a trial: `latest`, the track record and the champion were not moved"]
        ),
    ]


def _fold(result: Mapping[str, Any]) -> list[str]:
    made = "made anew" if result["anew"] else "was there already"
    trained = "" if result["trained"] else f"; no network: {result['reason']}"
    return [f"the fold {made}{trained}", *_compare(result)]


def _summary(result: Mapping[str, Any]) -> list[str]:
    told = f"{result['rows']:,} forecasts in {result['file']}"
    return [told, *([result["mlflow_url"]] if result["mlflow_url"] else [])]


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _named(rows: list[str]) -> list[str]:
    left = len(rows) - _MOST_NAMED
    return rows[:_MOST_NAMED] + ([f"and {left:,} more"] if left > 0 else [])


STORIES: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "plan": _plan,
    "ingest": _ingest,
    "snapshot": _snapshot,
    "score": _score,
    "train": _train,
    "baseline": _baseline,
    "compare": _compare,
    "upload": _upload,
    "judge": _judge,
    "forecast": _forecast,
    "publish": _publish,
    "fold": _fold,
    "summary": _summary,
}
