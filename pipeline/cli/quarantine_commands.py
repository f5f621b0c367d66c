"""The commands `quarantine`, `quarantine release` and `quarantine confirm`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from pipeline.cli import options as option
from pipeline.cli.output import OUT, now, print_json

if TYPE_CHECKING:
    from pipeline.prices.store.quarantine import Decision


quarantine_app = typer.Typer(help="List the bars that were held back, with the reason; release or confirm them.")


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
    from pipeline.jobs import audit_report

    if context.invoked_subcommand is not None:
        return
    rows = audit_report.held_back(option.overrides_of(source, None, symbols))
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
    from pipeline.jobs import audit_report

    _held(audit_report.decide(option.overrides_of(source, None, None), ids, decision, now=now(), note=note), as_json)


def _held(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    names = ("id", "symbol", "session", "verdict", "rule", "detail", "status")
    table = Table(*names, title=f"{len(rows)} bars held back")
    for row in rows:
        table.add_row(*(str(row[name]) for name in names))
    OUT.print(table)
