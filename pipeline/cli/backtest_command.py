"""The command `backtest`: "would it have worked?", asked of every session between two days."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import options as option
from pipeline.cli.output import now, tell
from pipeline.cli.progress import Folds, working
from pipeline.errors import BadSession

First = Annotated[str, typer.Option("--from", help="first day to forecast from, YYYY-MM-DD")]
Last = Annotated[str, typer.Option("--to", help="last day to forecast from; nothing after it is read")]
Out = Annotated[Path | None, typer.Option(help="write every forecast of every model to this .parquet or .csv")]
Refit = Annotated[int | None, typer.Option(help="sessions that one model forecasts  [PIPELINE_REFIT_EVERY]")]


def backtest(
    first: First,
    last: Last,
    out: Out = None,
    refit_every: Refit = None,
    source: option.Source = None,
    files: option.Files = None,
    files_dates: option.FilesDates = None,
    files_decimal: option.FilesDecimal = None,
    symbols: option.Symbols = None,
    network: option.Network = None,
    horizon: option.Horizon = None,
    training_steps: option.Steps = None,
    exchange: option.Exchange = None,
    markets: option.Markets = None,
    as_json: option.AsJson = False,
    quiet: option.Quiet = False,
) -> None:
    """Ask "would it have worked?": forecast from every session in between, by models that saw only what lay before."""
    begins, ends = option.date_of(first, "--from"), option.date_of(last, "--to")
    if begins is None or ends is None:
        raise BadSession("--from and --to each name a day; write it as 2013-02-28")
    overrides = option.overrides_of(
        source, files, symbols, network=network, horizon=horizon, training_steps=training_steps, exchange=exchange,
        refit_every=refit_every, files_dates=files_dates, files_decimal=files_decimal, markets=markets,
    )  # fmt: skip
    with working(quiet) as (steps, bar):
        steps.begin("plan")
        from pipeline import jobs
        from pipeline.jobs.run import Run
        from pipeline.publishing.tables import backtest_tables
        from pipeline.publishing.terminal import backtest_text

        if out is not None:
            backtest_tables.check(out)  # before hours of work, not after
        planned = jobs.plan_backtest(key=None, now=now(), first=begins, last=ends, overrides=overrides, provenance={})
        folds = Folds(steps, bar, len(planned["folds"]))

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
            progress=folds.training(Run.from_dict(planned["run"]).settings.training_steps),
        )
    tell(as_json, result, backtest_text.show(result))
