"""`python -m local …`: the commands behind `make run` and `make stop`."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console

from local import daily, services
from local.errors import LocalError, RunFailed
from local.place import REPO, Place
from local.rest import Airflow
from local.watch import show_progress
from pipeline.config import Overrides, Settings, env_file_values
from pipeline.errors import PipelineError
from pipeline.jobs.planning import plan_run
from pipeline.jobs.trigger_form import check_form
from pipeline.market.symbols import parse_symbols
from pipeline.storage import Storage
from pipeline.storage.atomic_files import private

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Airflow and MLflow on this machine.",
)
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

AsOf = Annotated[
    str, typer.Option(envvar="AS_OF", help="last session that the model may use; empty: the source's last")
]
Symbols = Annotated[
    str, typer.Option(envvar="SYMBOLS", help="comma-separated symbols; empty: those of the settings, or all")
]
Source = Annotated[str, typer.Option(envvar="SOURCE", help="source of prices: sample, files")]
Files = Annotated[str, typer.Option(envvar="FILES", help="a CSV or Parquet table of prices; sets the source to files")]
Latest = Annotated[
    bool, typer.Option(envvar="LATEST", help="move `latest` to this run although it differs from the settings")
]
Network = Annotated[str, typer.Option(envvar="NETWORK", help="the network to train: lstm, rnn, mlp")]


@app.command()
def run(
    as_of: AsOf = "",
    symbols: Symbols = "",
    source: Source = "",
    files: Files = "",
    network: Network = "",
    latest: Latest = False,
) -> None:
    """Start the services, do one daily run and show the forecasts; the services keep running."""
    source = source or ("files" if files else "")
    conf = request(as_of=as_of, symbols=symbols, source=source, network=network)
    if files and not Path(files).expanduser().is_file():
        raise LocalError(f"FILES={files}: there is no such file")
    settings = require_possible(conf, files=files)
    with _services(files) as (place, airflow):
        run_id = daily.trigger(airflow, conf | ({"make_latest": True} if latest else {}))
        session = _follow(place, airflow, run_id)
        published = daily.publication(airflow, run_id)
        folder = daily.require_published(settings.published, session, published["place"])
        console.print()
        _show(place, session, "" if published["standing"] else folder.name)
        if not published["standing"]:
            _say(trial_advice(conf, files))
        _tell(place, airflow, run_id, folder)


@app.command()
def start() -> None:
    """Start the services and leave them running."""
    with _services() as (place, airflow):
        _tell(place, airflow)


@app.command()
def stop() -> None:
    """End every process of this setup, leftovers of a crash included."""
    place = Place.load()
    count = _stop(place)
    console.print(f"stopped {count} processes of {place.home}" if count else f"nothing of {place.home} is running")


@app.command()
def status() -> None:
    """Show which services run; exit status 1 unless all do."""
    place = Place.load()
    known = services.states(place)
    for name, state in sorted(known.items()):
        console.print(f"{name:22} {state.lower()}")
    if set(known.values()) != {"RUNNING"}:
        raise LocalError(f"not all services of {place.home} are running: `make run` starts them")


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(command: Annotated[list[str], typer.Argument(help="such as: airflow dags list")]) -> None:
    """Run a command with the services' environment: `exec airflow …`, `exec mlflow …`."""
    place = Place.load()
    environment = place.environment(_given())
    try:
        os.execvpe(command[0], command, place.unmarked(environment))
    except OSError as error:
        raise LocalError(f"{command[0]} cannot be run: {error.strerror}") from None


def main() -> None:
    """Run the command line; an error is printed as one message and becomes the exit status."""
    os.chdir(REPO)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupt)
    try:
        with private():
            app()
    except (LocalError, PipelineError) as error:
        errors.print(f"error: {error}", markup=False)
        sys.exit(1)


def request(*, as_of: str, symbols: str, source: str, network: str) -> dict[str, Any]:
    """Return the DAG run's `conf`: only what was given. Raises LocalError for an invalid date."""
    if as_of:
        try:
            as_of = date.fromisoformat(as_of).isoformat()
        except ValueError:
            raise LocalError(f"AS_OF={as_of!r} is not a date: write it as 2013-02-28") from None
    given = {"as_of": as_of, "symbols": symbols, "source": source, "network": network}
    return {name: value for name, value in given.items() if value}


def require_possible(conf: Mapping[str, Any], *, files: str) -> Settings:
    """Return the settings of a run with `conf`. Raises a UserError for a run that `plan` would refuse.

    It is the check of the run's first task (session, symbols, limits), before the services are started.
    """
    now = datetime.now(UTC)
    check_form(conf, known=conf, now=now)
    given = {name: value for name, value in conf.items() if name != "as_of"} | ({"files": files} if files else {})
    overrides = Overrides(given)
    as_of = date.fromisoformat(conf["as_of"]) if "as_of" in conf else None
    plan_run(key=None, now=now, as_of=as_of, interval_end=None, manual=True, overrides=overrides, provenance={})
    return overrides.settings()


def trial_advice(conf: Mapping[str, Any], files: str) -> str:
    """Return how to move `latest` to a run that was a trial, or to have the schedule do the same."""
    settings = {
        "source": conf.get("source"),
        "files": files,
        "symbols": conf.get("symbols"),
        "network": conf.get("network"),
    }
    lines = [f"PIPELINE_{name.upper()}={_as_value(name, value)}" for name, value in settings.items() if value]
    standing = f", or put {' and '.join(lines)} into .env for the schedule to do the same" if lines else ""
    return (
        "This run is a trial: it differs from the settings, so `latest` and the track record were not moved. "
        f"To move them run it again with LATEST=1{standing}."
    )


def _as_value(name: str, value: str) -> str:
    if name == "files":
        return str(Path(value).expanduser().resolve())
    return ",".join(parse_symbols(value)) if name == "symbols" else value


def _given(files: str = "") -> dict[str, str]:
    """Return the environment on top of `.env`: the DAG file and MLflow do not read `.env` themselves."""
    chosen = {"PIPELINE_FILES": str(Path(files).expanduser().resolve())} if files else {}
    return {**env_file_values(), **os.environ, **chosen}


@contextmanager
def _services(files: str = "") -> Iterator[tuple[Place, Airflow]]:
    """Run the services until they are ready; if interrupted, end those that this call has started."""
    place = Place.load()
    airflow = Airflow(place.airflow_url, place.passwords)
    before = datetime.now(UTC)
    started = False
    try:
        started = services.start(place, place.environment(_given(files)), _say)
        _say("starting Airflow and MLflow" if started else "using the services that are running")
        _await_ready(place, airflow, since=before if started else None)
        yield place, airflow
    except KeyboardInterrupt:
        _say("interrupted; the services keep running: `make stop`" if not started else "interrupted, stopping")
        if started:
            _stop(place)
        raise typer.Exit(INTERRUPTED) from None


def _await_ready(place: Place, airflow: Airflow, since: datetime | None) -> None:
    try:
        daily.await_ready(place, airflow, since=since, check=lambda: services.require_running(place))
        daily.make_pool(airflow)
    except LocalError:
        if since is not None:  # started here and of no use; their logs stay
            _stop(place)
        raise


def _stop(place: Place) -> int:
    with _undisturbed():
        return services.stop(place)


def _follow(place: Place, airflow: Airflow, run_id: str) -> str:
    updates = daily.follow(airflow, run_id, check=lambda: services.require_running(place))

    def why(task: daily.Task) -> str:
        log, lines = daily.last_log(place, run_id, task)
        return lines[-1] if lines else str(log)

    try:
        state, tasks = show_progress(console, updates, why=why, ahead=lambda: daily.runs_ahead(airflow))
    except KeyboardInterrupt:
        with _undisturbed(), suppress(LocalError):
            daily.cancel(airflow, run_id)
        raise
    daily.require_success(place, run_id, state, tasks)
    return daily.as_of(airflow, run_id)


def _show(place: Place, session: str, edition: str = "") -> None:
    command = [sys.executable, "-m", "pipeline", "show", "--as-of", session]
    command += ["--edition", edition] if edition else []
    if subprocess.run(command, env=place.unmarked(place.environment(_given())), cwd=REPO, check=False).returncode:
        raise RunFailed(f"the forecasts of {session} are published, but `{' '.join(command[1:])}` cannot show them")


def _tell(place: Place, airflow: Airflow, run_id: str = "", folder: Storage | None = None) -> None:
    user, password = airflow.credentials()
    page = f"/dags/{daily.DAG}/runs/{quote(run_id, safe=':+')}" if run_id else ""
    rows = {
        "Airflow": f"{place.airflow_url}{page}  (user {user}, password {password})",
        "MLflow": place.mlflow_url,
        "Files": str(folder or place.home),
        "Logs": str(place.logs),
        "To stop": "make stop",
    }
    console.print()
    for name, value in rows.items():
        console.print(f"{name:8} {value}", markup=False)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C while something must be finished."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    console.print(text, markup=False)
