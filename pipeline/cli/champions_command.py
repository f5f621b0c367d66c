"""The commands `champions` and `champions withdraw`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pipeline.cli.options import AsJson
from pipeline.cli.output import OUT, print_json, print_result

if TYPE_CHECKING:
    from pipeline.jobs.champions import Champion

champions_app = typer.Typer(help="List the promoted models; withdraw a promotion.")


@champions_app.callback(invoke_without_command=True)
def champions(context: typer.Context, as_json: AsJson = False) -> None:
    """List the promoted models, the current champion first; withdraw a promotion."""
    from pipeline.jobs.champions import listed

    if context.invoked_subcommand is not None:
        return
    rows = listed()
    if as_json:
        print_json(rows)
        return
    names = ("version", "network", "champion since", "trained as of", "source")
    title = f"{len(rows)} champion{'s' * (len(rows) != 1)}" if rows else "no network has been promoted yet"
    table = Table(*names, "files", title=title)
    for row in rows:
        files = "cannot be used" if row.problem else "complete"
        table.add_row(*(str(getattr(row, name.replace(" ", "_"))) for name in names), files)
    OUT.print(table)
    for row in rows:
        if row.problem:
            OUT.print(escape(row.problem))


@champions_app.command()
def withdraw(
    version: Annotated[str, typer.Argument(help="number of the model version, as `champions` lists it")],
    as_json: AsJson = False,
) -> None:
    """Withdraw a promotion: from the next run on, the champion before it is used again."""
    from pipeline.jobs import champions as promoted

    result = promoted.withdraw(version)
    print_result(as_json, result, f"version {version} is withdrawn; {_now_serves(result.champion)}")


def _now_serves(champion: "Champion | None") -> str:
    if champion is None:
        return "no champion is left, so the best baseline is published until a network is promoted"
    return f"version {champion.version} ({champion.network}, since {champion.champion_since}) is champion again"
