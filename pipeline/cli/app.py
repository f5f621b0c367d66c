"""The same jobs from a terminal: `closing-bell run | ingest | audit | … | doctor`, also as `python -m pipeline`.

Each command takes the settings as options, prints a few lines for people or `--json` for programs, and ends with
status 0 only if it did what it was asked.
"""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from pipeline import __version__
from pipeline.cli import options as option
from pipeline.cli.audit_command import audit
from pipeline.cli.backtest_command import backtest
from pipeline.cli.champions_command import champions_app
from pipeline.cli.doctor_command import doctor
from pipeline.cli.output import OUT, fail, now, tell
from pipeline.cli.progress import Steps, working
from pipeline.cli.quarantine_commands import quarantine_app
from pipeline.cli.show import overview, show
from pipeline.errors import PipelineError
from pipeline.storage.atomic_files import private

app = typer.Typer(
    help="Daily forecasts that are judged before they are published.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PROGRAM, MODULE = "closing-bell", "python -m pipeline"
_INTERRUPTED = 130


def _show_version(wanted: bool) -> None:
    if wanted:
        OUT.print(f"{PROGRAM} {__version__}", markup=False)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Take the options that come before a command."""


def main() -> None:
    """Run the command line; whatever keeps it from its answer becomes one line and a status.

    1: the pipeline reports why; 2: the command line is wrong; 130: interrupted. It ends silently when its reader does.
    """
    # What Matplotlib and MLflow would say about themselves is not an answer to the command.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ▁ and é shows ? in their place
    with private():
        sys.exit(_status())


def _status() -> int:
    words = sys.argv[1:] or ["--help"]
    try:
        status = app(words, prog_name=_called(words), standalone_mode=False)
    except PipelineError as error:
        return fail(error, 1)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = _called(words) if context is None else context.command_path
        return fail(f"{error.format_message().rstrip('.')}; see `{command} --help`", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        OUT.on_broken_pipe()
    if status == _INTERRUPTED:
        return fail("interrupted", _INTERRUPTED)
    return status if isinstance(status, int) else 0


def _called(words: list[str]) -> str:
    """Return the name under which this was started, for help and messages; a shell completes a program's name only."""
    completion = any(word in ("--install-completion", "--show-completion") for word in words)
    return MODULE if Path(sys.argv[0]).name == "__main__.py" and not completion else PROGRAM


Planned = dict[str, Any]
Answer = tuple[Any, str | RenderableType]  # for programs, and for people


def _command(job: Callable[[Planned, Steps], Answer]) -> Callable[..., None]:
    """Make a command of a job on a planned run: it takes the settings as options and plans the run first."""

    @app.command(job.__name__, help=job.__doc__)
    def command(
        source: option.Source = None,
        files: option.Files = None,
        files_dates: option.FilesDates = None,
        files_decimal: option.FilesDecimal = None,
        symbols: option.Symbols = None,
        as_of: option.AsOf = None,
        network: option.Network = None,
        horizon: option.Horizon = None,
        training_steps: option.Steps = None,
        retrain_every: option.Retrain = None,
        exchange: option.Exchange = None,
        markets: option.Markets = None,
        latest: option.Latest = False,
        as_json: option.AsJson = False,
        quiet: option.Quiet = False,
    ) -> None:
        overrides = option.overrides_of(
            source,
            files,
            symbols,
            files_dates=files_dates,
            files_decimal=files_decimal,
            network=network,
            horizon=horizon,
            training_steps=training_steps,
            retrain_every=retrain_every,
            exchange=exchange,
            markets=markets,
        )
        day = option.date_of(as_of)
        with working(quiet) as (steps, _bar):
            steps.begin("plan")
            from pipeline import jobs

            planned = jobs.plan(key=None, now=now(), as_of=day, overrides=overrides, provenance={}, make_latest=latest)
            steps.begin(job.__name__)
            result, answer = job(planned, steps)
        tell(as_json, result, answer)

    return command


@_command
def run(planned: Planned, steps: Steps) -> Answer:
    """Do the whole daily run in this process: ingest, audit, score, train, judge, forecast, publish."""
    from pipeline import jobs
    from pipeline.cli.quality_tables import with_quality
    from pipeline.jobs.run import Run

    this = Run.from_dict(planned["run"])
    results = jobs.run_all(
        planned,
        known_at=now(),
        on_step=steps.begin,
        asked=steps.symbols,
        progress=steps.training(this.settings.training_steps),
    )
    published = overview(this.settings.published / results["publish"]["place"])
    return results, with_quality(published, results["snapshot"])


@app.command()
def ingest(
    source: option.Source = None,
    files: option.Files = None,
    files_dates: option.FilesDates = None,
    files_decimal: option.FilesDecimal = None,
    symbols: option.Symbols = None,
    as_of: option.AsOf = None,
    exchange: option.Exchange = None,
    markets: option.Markets = None,
    whole: Annotated[bool, typer.Option(help="ask for all history again, not just the new sessions")] = False,
    as_json: option.AsJson = False,
    quiet: option.Quiet = False,
) -> None:
    """Take in prices up to the session, audit what is stored, and freeze it as the session's snapshot."""
    overrides = option.overrides_of(
        source, files, symbols, files_dates=files_dates, files_decimal=files_decimal, exchange=exchange, markets=markets
    )
    day = option.date_of(as_of)
    with working(quiet) as (steps, _bar):
        steps.begin("plan")
        from pipeline import jobs
        from pipeline.cli.quality_tables import quality_text

        planned = jobs.plan(key=None, now=now(), as_of=day, overrides=overrides, provenance={})
        steps.begin("ingest")
        result = jobs.ingest_all(planned, known_at=now(), whole=whole, progress=steps.symbols)
        steps.begin("snapshot")
        result["snapshot"] = jobs.snapshot(planned["run"], known_at=now())
    words = f"{result['new']} new bars, {result['revised']} revised, {result['held_back']} held back"
    missing = [f"{row['symbol']}: {row['outcome']}, {row['detail']}" for row in result["problems"]]
    told = [f"{words}; snapshot {result['snapshot']['digest'][:12]}", *missing, *quality_text(result["snapshot"])]
    tell(as_json, result, "\n".join(told))


app.command()(audit)
app.add_typer(quarantine_app, name="quarantine")


@_command
def score(planned: Planned, _steps: Steps) -> Answer:
    """Score the forecasts published earlier whose session has come."""
    from pipeline import jobs

    result = jobs.score(planned["run"])
    return result, f"{result['scored_now']} forecasts scored, {result['in_the_record']} in the record"


@_command
def train(planned: Planned, steps: Steps) -> Answer:
    """Train the network on the session's snapshot, score it beside the baselines, and log it to MLflow."""
    from pipeline import jobs
    from pipeline.jobs.run import Run

    total = Run.from_dict(planned["run"]).settings.training_steps
    result = jobs.train_all(planned["run"], progress=steps.training(total))
    steps.begin("upload")
    result["upload"] = jobs.upload(planned["run"])
    scores = ", ".join(f"{name} {value:.2f}" for name, value in result["crps_bp"].items())
    return result, f"CRPS in basis points: {scores}" if result["trained"] else result["reason"]


@_command
def forecast(planned: Planned, _steps: Steps) -> Answer:
    """Put the trained network through the gate and forecast with what wins."""
    from pipeline import jobs

    decision = jobs.judge(planned["run"])
    result = {"decision": decision, **jobs.forecast(planned["run"])}
    return result, f"{result['symbols']} symbols by {decision['model']}. {decision['reason']}"


@_command
def publish(planned: Planned, _steps: Steps) -> Answer:
    """Publish the session's forecasts: files, record, and the same files in MLflow."""
    from pipeline import jobs

    result = jobs.publish(planned["run"], now=now())
    return result, f"{result['headline']}\n{result['folder']}"


app.command()(backtest)
app.add_typer(champions_app, name="champions")
app.command()(show)
app.command()(doctor)
