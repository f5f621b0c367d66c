"""The commands `quarantine`, `quarantine release` and `quarantine confirm`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from pipeline.cli import options as option
from pipeline.cli.output import OUT, now, print_json

if TYPE_CHECKING:
    from pipeline.config import Overrides
    from pipeline.prices.store.quarantine import Decision, HeldBar


quarantine_app = typer.Typer(help="List quarantined and rejected bars with the reason; release or confirm them.")

Numbers = Annotated[list[int], typer.Argument(help="ids of bars, as `quarantine` lists them")]
Note = Annotated[str, typer.Option(help="the reason for the decision, kept with the bars")]


@quarantine_app.callback(invoke_without_command=True)
@option.with_settings("source", "symbols")
def quarantine(
    context: typer.Context,
    overrides: "Overrides",
    everything: Annotated[
        bool, typer.Option("--all", help="also bars that were decided, by a person or by later prices")
    ] = False,
    as_json: option.AsJson = False,
) -> None:
    """List quarantined and rejected bars with the reason; release or confirm them."""
    from pipeline.jobs import audit_report

    if context.invoked_subcommand is not None:
        return
    rows = audit_report.held_back(overrides)
    if not everything:
        rows = [row for row in rows if row.status == "open"]
    _held(rows, as_json)


@quarantine_app.command()
@option.with_settings("source")
def release(ids: Numbers, overrides: "Overrides", note: Note = "", as_json: option.AsJson = False) -> None:
    """Approve quarantined bars: they are accepted from now on."""
    _decide(ids, "released", note, overrides, as_json)


@quarantine_app.command()
@option.with_settings("source")
def confirm(ids: Numbers, overrides: "Overrides", note: Note = "", as_json: option.AsJson = False) -> None:
    """Confirm that quarantined bars are wrong: they stay rejected and are no longer listed as open."""
    _decide(ids, "confirmed", note, overrides, as_json)


def _decide(ids: list[int], decision: "Decision", note: str, overrides: "Overrides", as_json: bool) -> None:
    from pipeline.jobs import audit_report

    _held(audit_report.decide(overrides, ids, decision, now=now(), note=note), as_json)


def _held(rows: list["HeldBar"], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    names = ("id", "symbol", "session", "verdict", "rule", "detail", "status")
    table = Table(*names, title=f"{len(rows)} bars held back")
    for row in rows:
        table.add_row(*(str(getattr(row, name)) for name in names))
    OUT.print(table)
