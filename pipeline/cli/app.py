"""The command line: `closing-bell run | ingest | audit | … | doctor`, also as `python -m pipeline`.

Each command takes settings as options, prints text or, with `--json`, JSON, and exits with status 0 only on success.
"""

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.cli.audit_command import audit
from pipeline.cli.backtest_command import backtest
from pipeline.cli.champions_command import champions_app
from pipeline.cli.doctor_command import doctor
from pipeline.cli.events_command import events
from pipeline.cli.output import OUT, fail
from pipeline.cli.quarantine_commands import quarantine_app
from pipeline.cli.show import show
from pipeline.cli.step_commands import forecast, ingest, publish, run, score, train
from pipeline.errors import PipelineError
from pipeline.storage.atomic_files import private

app = typer.Typer(
    help="Daily price forecasts that are evaluated before they are published.",
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
    """Run the command line; every error becomes one line and an exit status.

    1: an error of the pipeline; 2: an invalid command line; 130: interrupted. A closed output is no error.
    """
    # MLflow's telemetry notice does not belong in the output of a command.
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


for step in (run, ingest):
    app.command()(step)
app.command()(audit)
app.command()(events)
app.add_typer(quarantine_app, name="quarantine")
for step in (score, train, forecast, publish):
    app.command()(step)
app.command()(backtest)
app.add_typer(champions_app, name="champions")
app.command()(show)
app.command()(doctor)
