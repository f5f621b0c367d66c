"""The commands that run steps of a daily run: all of them, or one after those before it were run."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from pipeline.cli import options as option
from pipeline.cli.output import now, print_result
from pipeline.cli.progress import Steps, working

if TYPE_CHECKING:
    from pipeline.config import Overrides
    from pipeline.jobs.results import Plan

Answer = tuple[Any, str | RenderableType]  # for programs, and for people


@contextmanager
def _plan(
    overrides: "Overrides", as_of: str | None, *, quiet: bool, latest: bool = False
) -> Iterator[tuple["Plan", Steps]]:
    """Plan a run and give it, with the steps to report progress to."""
    day = option.date_of(as_of)
    with working(quiet) as (steps, _bar):
        steps.begin("plan")
        from pipeline import jobs

        yield (
            jobs.plan(key=None, now=now(), as_of=day, overrides=overrides, provenance={}, make_latest=latest),
            steps,
        )


def _planned(job: Callable[["Plan", Steps], Answer]) -> Callable[..., None]:
    """Make a command of a job on a plan: it takes the settings as options and plans the run first."""

    @option.with_settings(*option.PRICES, *option.TRAINING, "retrain_every")
    def command(
        overrides: "Overrides",
        as_of: option.AsOf = None,
        latest: option.Latest = False,
        as_json: option.AsJson = False,
        quiet: option.Quiet = False,
    ) -> None:
        with _plan(overrides, as_of, quiet=quiet, latest=latest) as (planned, steps):
            steps.begin(job.__name__)
            result, answer = job(planned, steps)
        print_result(as_json, result, answer)

    command.__name__, command.__doc__ = job.__name__, inspect.getdoc(job)
    return command


@_planned
def run(planned: "Plan", steps: Steps) -> Answer:
    """Run every step of the day in this process: ingest, audit, score, train, judge, forecast, publish."""
    from pipeline import jobs
    from pipeline.cli.quality_tables import with_quality
    from pipeline.cli.show import overview

    settings = planned.run.settings
    results = jobs.run_all(
        planned,
        known_at=now(),
        on_step=steps.begin,
        asked=steps.symbols,
        progress=steps.training,
    )
    published = overview(settings.published / results.publish.place)
    return results, with_quality(published, results.snapshot, results.events)


@option.with_settings(*option.PRICES)
def ingest(
    overrides: "Overrides",
    as_of: option.AsOf = None,
    whole: Annotated[bool, typer.Option(help="request all history again, not just the new sessions")] = False,
    as_json: option.AsJson = False,
    quiet: option.Quiet = False,
) -> None:
    """Ingest prices and scheduled events up to the session, audit what is stored, and freeze it as a snapshot."""
    with _plan(overrides, as_of, quiet=quiet) as (planned, steps):
        from pipeline import jobs
        from pipeline.cli.quality_tables import quality_text
        from pipeline.jobs import task_log
        from pipeline.storage.documents import to_document

        steps.begin("ingest")
        result = jobs.ingest_all(planned, known_at=now(), whole=whole, progress=steps.symbols)
        steps.begin("events")
        events = jobs.ingest_events(planned.run, known_at=now())
        steps.begin("snapshot")
        frozen = jobs.snapshot(planned.run, known_at=now())
    bars = f"{result.new} new bars, {result.revised} revised, {result.held_back} held back"
    missing = [f"{row.symbol}: {row.outcome}, {row.detail}" for row in result.problems]
    answer = [f"{bars}; snapshot {frozen.digest[:12]}", *task_log.lines(events), *missing, *quality_text(frozen)]
    print_result(as_json, {**to_document(result), "events": events, "snapshot": frozen}, "\n".join(answer))


@_planned
def score(planned: "Plan", _steps: Steps) -> Answer:
    """Score published forecasts whose session has closed."""
    from pipeline import jobs

    result = jobs.score(planned.run)
    return result, f"{result.scored_now} forecasts scored, {result.in_the_record} in the track record"


@_planned
def train(planned: "Plan", steps: Steps) -> Answer:
    """Train the network on the session's snapshot, score it against the baselines, and log it to MLflow."""
    from pipeline import jobs
    from pipeline.storage.documents import to_document

    result = jobs.train_all(planned.run, progress=steps.training)
    steps.begin("upload")
    uploaded = jobs.upload(planned.run)
    scores = ", ".join(f"{name} {value:.2f}" for name, value in result.crps_bp.items())
    answer = f"CRPS in basis points: {scores}" if result.trained else str(result.reason)
    return {**to_document(result), "upload": uploaded}, answer


@_planned
def forecast(planned: "Plan", _steps: Steps) -> Answer:
    """Apply the promotion gate to the trained network and forecast with the model it chooses."""
    from pipeline import jobs
    from pipeline.storage.documents import to_document

    decision = jobs.judge(planned.run)
    result = jobs.forecast(planned.run)
    answer = f"{result.symbols} symbols by {decision.model}. {decision.reason}"
    return {"decision": decision, **to_document(result)}, answer


@_planned
def publish(planned: "Plan", _steps: Steps) -> Answer:
    """Publish the session's forecasts: files, forecast log, and the same files in MLflow."""
    from pipeline import jobs

    result = jobs.publish(planned.run, now=now())
    return result, f"{result.headline}\n{result.folder}"
