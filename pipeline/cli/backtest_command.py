"""The command `backtest`: a walk-forward backtest over the sessions between two days."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import options as option
from pipeline.cli.output import now, print_result
from pipeline.cli.progress import Folds, working
from pipeline.errors import BadSession

if TYPE_CHECKING:
    from pipeline.config import Overrides

First = Annotated[str, typer.Option("--from", help="first day to forecast from, YYYY-MM-DD")]
Last = Annotated[str, typer.Option("--to", help="last day to forecast from; no later price is read")]
Out = Annotated[Path | None, typer.Option(help="write every forecast of every model to this .parquet or .csv")]


@option.with_settings("refit_every", *option.PRICES, *option.TRAINING)
def backtest(
    first: First,
    last: Last,
    overrides: "Overrides",
    out: Out = None,
    as_json: option.AsJson = False,
    quiet: option.Quiet = False,
) -> None:
    """Forecast from every past session between two days, with models that saw only earlier data, and score it."""
    begins, ends = option.date_of(first, "--from"), option.date_of(last, "--to")
    if begins is None or ends is None:
        raise BadSession("--from and --to each name a day; write it as 2013-02-28")
    with working(quiet) as (steps, bar):
        steps.begin("plan")
        from pipeline import jobs
        from pipeline.publishing.tables import backtest_tables
        from pipeline.publishing.terminal import backtest_text

        if out is not None:
            backtest_tables.check(out)  # before hours of work, not after
        planned = jobs.plan_backtest(key=None, now=now(), first=begins, last=ends, overrides=overrides, provenance={})
        folds = Folds(steps, bar, len(planned.folds))

        def on_step(name: str) -> None:
            if name.startswith("fold"):
                folds.begin()
            else:
                folds.end()
                steps.begin(name)

        result = jobs.backtest_all(
            planned,
            known_at=now(),
            out=out,
            on_step=on_step,
            asked=steps.symbols,
            progress=folds.training,
        )
    print_result(as_json, result, backtest_text.show(result, file=result.file))
