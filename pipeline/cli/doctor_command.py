"""The command `doctor`."""

import typer
from rich.table import Table

from pipeline.cli import options as option
from pipeline.cli.output import OUT, now, print_json


def doctor(as_json: option.AsJson = False) -> None:
    """Check the installation and list what to fix; exit status 1 if anything is wrong."""
    from pipeline.jobs import health_checks

    findings = health_checks.examine(now=now())
    if as_json:
        print_json(findings)
    else:
        table = Table("", "what", "found", show_header=False, box=None)
        for row in findings:
            mark = "[yellow]warning[/]" if row.warning else "[green]ok[/]" if row.ok else "[red]fix[/]"
            table.add_row(mark, row.what, row.found)
        OUT.print(table)
    if not all(row.ok for row in findings):
        raise typer.Exit(1)
