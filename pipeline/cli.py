"""The same jobs from a terminal: `python -m pipeline run | ingest | audit | … | doctor`.

Each command takes the settings as options, prints a few lines for people or `--json` for programs, and ends with
status 0 only if it did what it was asked.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from pipeline import cli_options as option
from pipeline.cli_backtest import backtest
from pipeline.cli_champions import champions_app
from pipeline.cli_parts import ERR, OUT, ingesting, now, print_json, progress_bar, steps_of, tell
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.prices.quarantine import Decision
    from pipeline.storage import Storage

app = typer.Typer(
    help="Daily forecasts that are judged before they are published.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; what the pipeline reports becomes one line and status 1."""
    # What Matplotlib and MLflow would say about themselves is not an answer to the command.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        app(standalone_mode=True)
    except PipelineError as error:
        ERR.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)


Planned = dict[str, Any]


def _command(job: Callable[[Planned, bool], None]) -> Callable[..., None]:
    """Make a command of a job on a planned run: it takes the settings as options and plans the run first."""

    @app.command(job.__name__, help=job.__doc__)
    def command(
        source: option.Source = None,
        files: option.Files = None,
        symbols: option.Symbols = None,
        as_of: option.AsOf = None,
        network: option.Network = None,
        horizon: option.Horizon = None,
        training_steps: option.Steps = None,
        retrain_every: option.Retrain = None,
        exchange: option.Exchange = None,
        as_json: option.AsJson = False,
    ) -> None:
        from pipeline import jobs

        overrides = option.overrides_of(
            source,
            files,
            symbols,
            network=network,
            horizon=horizon,
            training_steps=training_steps,
            retrain_every=retrain_every,
            exchange=exchange,
        )
        job(jobs.plan(key=None, now=now(), as_of=option.date_of(as_of), overrides=overrides, provenance={}), as_json)

    return command


@_command
def run(planned: Planned, as_json: bool) -> None:
    """Do the whole daily run in this process: ingest, audit, score, train, judge, forecast, publish."""
    from pipeline import jobs
    from pipeline.runs import Run

    with progress_bar() as bar:
        total = steps_of(planned)
        task = bar.add_task("plan", total=None)

        def on_step(name: str) -> None:
            bar.update(task, description=name, completed=0, total=total if name == "train" else None)

        results = jobs.run_all(
            planned,
            known_at=now(),
            on_step=on_step,
            asked=ingesting(bar, task),
            progress=lambda step, _loss: bar.update(task, completed=step),
        )
    if as_json:
        print_json(results)
        return
    this = Run.from_dict(planned["run"])
    _show(this.settings.published / f"as_of={this.as_of}")


@app.command()
def ingest(
    source: option.Source = None,
    files: option.Files = None,
    symbols: option.Symbols = None,
    as_of: option.AsOf = None,
    exchange: option.Exchange = None,
    whole: Annotated[bool, typer.Option(help="ask for all history again, not just the new sessions")] = False,
    as_json: option.AsJson = False,
) -> None:
    """Take in prices up to the session, audit what is stored, and freeze it as the session's snapshot."""
    from pipeline import jobs

    overrides = option.overrides_of(source, files, symbols, exchange=exchange)
    planned = jobs.plan(key=None, now=now(), as_of=option.date_of(as_of), overrides=overrides, provenance={})
    with progress_bar() as bar:
        task = bar.add_task("ingest", total=None)
        result = jobs.ingest_all(planned, known_at=now(), whole=whole, progress=ingesting(bar, task))
    result["snapshot"] = jobs.snapshot(planned["run"], known_at=now())
    words = f"{result['new']} new bars, {result['revised']} revised, {result['held_back']} held back"
    missing = [f"{row['symbol']}: {row['outcome']}, {row['detail']}" for row in result["problems"]]
    tell(as_json, result, "\n".join([f"{words}; snapshot {result['snapshot']['digest'][:12]}", *missing]))


@app.command()
def audit(
    source: option.Source = None,
    files: option.Files = None,
    symbols: option.Symbols = None,
    as_of: option.AsOf = None,
    exchange: option.Exchange = None,
    as_json: option.AsJson = False,
) -> None:
    """Give every bar of a source a verdict without storing anything."""
    from pipeline import audits

    result = audits.audit(
        option.overrides_of(source, files, symbols, exchange=exchange), now=now(), as_of=option.date_of(as_of)
    )
    if as_json:
        print_json(result)
        return
    table = Table("symbol", "session", "verdict", "rule", "detail", title=" · ".join(_counts(result["summary"])))
    for row in result["verdicts"]:
        table.add_row(*(str(row[name]) for name in ("symbol", "session", "verdict", "rule", "detail")))
    OUT.print(table)


quarantine_app = typer.Typer(help="List the bars that were held back, with the reason; release or confirm them.")
app.add_typer(quarantine_app, name="quarantine")
Numbers = Annotated[list[int], typer.Argument(help="numbers of held bars, as `quarantine` lists them")]
Note = Annotated[str, typer.Option(help="why, for whoever looks later")]


@quarantine_app.callback(invoke_without_command=True)
def quarantine(
    context: typer.Context,
    source: option.Source = None,
    symbols: option.Symbols = None,
    everything: Annotated[bool, typer.Option("--all", help="also what was decided, or settled by itself")] = False,
    as_json: option.AsJson = False,
) -> None:
    """List the bars that were held back, with the reason; release or confirm them."""
    from pipeline import audits

    if context.invoked_subcommand is not None:
        return
    rows = audits.held_back(option.overrides_of(source, None, symbols))
    if not everything:
        rows = [row for row in rows if row["status"] == "open"]
    _held(rows, as_json)


@quarantine_app.command()
def release(ids: Numbers, note: Note = "", source: option.Source = None, as_json: option.AsJson = False) -> None:
    """Say that held bars were right: they are believed from now on."""
    _decide(ids, "released", note, source, as_json)


@quarantine_app.command()
def confirm(ids: Numbers, note: Note = "", source: option.Source = None, as_json: option.AsJson = False) -> None:
    """Say that held bars were wrong: they stay out, and nobody is asked again."""
    _decide(ids, "confirmed", note, source, as_json)


def _decide(ids: list[int], decision: "Decision", note: str, source: str | None, as_json: bool) -> None:
    from pipeline import audits

    _held(audits.decide(option.overrides_of(source, None, None), ids, decision, now=now(), note=note), as_json)


def _held(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    names = ("id", "symbol", "session", "verdict", "rule", "detail", "status")
    table = Table(*names, title=f"{len(rows)} bars held back")
    for row in rows:
        table.add_row(*(str(row[name]) for name in names))
    OUT.print(table)


@_command
def score(planned: Planned, as_json: bool) -> None:
    """Score the forecasts published earlier whose session has come."""
    from pipeline import jobs

    result = jobs.score(planned["run"])
    tell(as_json, result, f"{result['scored_now']} forecasts scored, {result['in_the_record']} in the record")


@_command
def train(planned: Planned, as_json: bool) -> None:
    """Train the network on the session's snapshot, score it beside the baselines, and log it to MLflow."""
    from pipeline import jobs

    with progress_bar() as bar:
        task = bar.add_task("train", total=steps_of(planned))
        result = jobs.train_all(planned["run"], progress=lambda step, _loss: bar.update(task, completed=step))
    result["upload"] = jobs.upload(planned["run"])
    scores = ", ".join(f"{name} {value:.2f}" for name, value in result["crps_bp"].items())
    words = f"CRPS in basis points: {scores}" if result["trained"] else result["reason"]
    tell(as_json, result, words)


@_command
def forecast(planned: Planned, as_json: bool) -> None:
    """Put the trained network through the gate and forecast with what wins."""
    from pipeline import jobs

    decision = jobs.judge(planned["run"])
    result = {"decision": decision, **jobs.forecast(planned["run"])}
    tell(as_json, result, f"{result['symbols']} symbols by {decision['model']}. {decision['reason']}")


@_command
def publish(planned: Planned, as_json: bool) -> None:
    """Publish the session's forecasts: files, record, and the same files in MLflow."""
    from pipeline import jobs

    result = jobs.publish(planned["run"], now=now())
    tell(as_json, result, f"{result['headline']}\n{result['folder']}")


app.command()(backtest)
app.add_typer(champions_app, name="champions")


@app.command()
def show(as_of: option.AsOf = None, as_json: option.AsJson = False) -> None:
    """Show the latest published forecasts, or those of a session."""
    from pipeline.config import Settings
    from pipeline.publishing import shelf

    settings = Settings.load()
    day = option.date_of(as_of)
    folder = shelf.latest(settings.published) if day is None else settings.published / f"as_of={day}"
    if as_json:
        print_json(shelf.read_published(folder, verify=True).forecasts)
    else:
        _show(folder)


@app.command()
def doctor(as_json: option.AsJson = False) -> None:
    """Check the set-up and say what to mend; status 1 if something must be."""
    from pipeline import health

    findings = health.examine(now=now())
    if as_json:
        print_json(findings)
    else:
        table = Table("", "what", "found", show_header=False, box=None)
        for row in findings:
            table.add_row("[green]ok[/]" if row["ok"] else "[red]mend[/]", row["what"], row["found"])
        OUT.print(table)
    if not all(row["ok"] for row in findings):
        raise typer.Exit(1)


def _show(folder: "Storage") -> None:
    from pipeline.publishing.terminal import show as drawn

    OUT.print(drawn(folder))


def _counts(summary: dict[str, Any]) -> list[str]:
    return [f"{value} {name}" for name, value in summary.items() if isinstance(value, int)]
