"""One fold of a backtest: a model, and the sessions that it and the baselines forecast.

A fold sees the run's snapshot up to its own last session; later bars are removed first. Outcomes are looked up
afterwards, only for scoring. A fold leaves `folds/<first session>/`: the model, `part.parquet`, and last `fold.json`
with the SHA-256 of the part, which marks the fold as complete.

Legend: N windows, H horizon, Q quantile levels.
"""

from contextlib import suppress
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import CorruptFile
from pipeline.evaluation.backtest_results import FoldPlan, FoldRecord
from pipeline.forecast_schema import LEVELS
from pipeline.jobs.backtest import exclusions
from pipeline.jobs.backtest.fold_inputs import inputs_of
from pipeline.jobs.backtest.fold_view import View, view_of
from pipeline.jobs.context import Progress, panel_of, snapshot_of, training_precision
from pipeline.jobs.run import Artifact, FileArtifact, Run
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.training.training_record import TrainingRecord
from pipeline.prices.store.snapshot import read_snapshot
from pipeline.storage.atomic_files import sha256_bytes
from pipeline.storage.documents import to_document

if TYPE_CHECKING:
    from pipeline.evaluation.holdout import Heldout
    from pipeline.modeling.data.panel import Array
    from pipeline.modeling.data.windows import Origins
    from pipeline.modeling.training.train_model import Retrained

_PART = "part.parquet"
_VERSION = 12  # digits of a SHA-256 that name a version, as in daily runs


def make(run: Run, fold: FoldPlan, progress: Progress | None) -> FoldRecord:
    """Train, forecast and score a fold; return its record."""
    from pipeline.publishing.edition import check_prices
    from pipeline.publishing.tables import backtest_tables

    settings = run.settings
    bars = read_snapshot(snapshot_of(run))
    view = view_of(run, bars, fold)
    place = run.folder / _place(fold)
    place.remove("fold.json")
    frames = _by_baselines(view)
    trained, reason = _trained(view, progress)
    model: ModelCard | None = None
    training = TrainingRecord.without_network(settings, reason or "")
    if trained is not None:
        with place.making("model") as folder:
            model = trained.forecaster.save(folder)
        training = trained.record
        frames.append(_by_network(view, trained, model.weights_sha256))
    frame = backtest_tables.in_order(frames)
    check_prices(frame, f"forecasts of the fold from {fold.first} on")
    part = backtest_tables.as_parquet(frame)
    place.write(_PART, part)
    record = FoldRecord(
        made_from=inputs_of(run, fold),
        sha256=sha256_bytes(part),
        data_digest=view.digest,
        rows=len(frame),
        trained=trained is not None,
        reason=reason,
        withheld=[
            *view.withheld(run.symbols, exclusions.doubts_of(run, bars)),
            *exclusions.rows_of_symbols(run.refused, view.sessions),
        ],
        training=training,
        model=model,
        scores=judged(run, bars, frame).scores(LEVELS),
    )
    run.save(_record(fold), record)
    return record


def reusable(run: Run, fold: FoldPlan) -> FoldRecord | None:
    """Return the record of an earlier try if that is complete and was made from the same inputs, else None."""
    place = run.folder / _place(fold)
    if not place.exists("fold.json") or not place.exists(_PART):
        return None
    with suppress(CorruptFile):  # a record of an older version, or a damaged one
        record = made_of(run, fold)
        same = to_document(record.made_from) == to_document(inputs_of(run, fold))
        return record if same and record.sha256 == sha256_bytes(place.read(_PART)) else None
    return None


def made_of(run: Run, fold: FoldPlan) -> FoldRecord:
    """Return the record of a fold. Raises MissingStep if it is not complete."""
    return run.load(_record(fold))


def part_of(run: Run, fold: FoldPlan) -> pd.DataFrame:
    """Return a fold's forecasts. Raises MissingStep if it is not complete, CorruptFile if a byte has changed."""
    from pipeline.publishing.tables import backtest_tables

    digest = made_of(run, fold).sha256
    with run.reading(FileArtifact(f"{_place(fold)}/{_PART}", step="backtest")) as path:
        return backtest_tables.read_parquet(path, digest)


def judged(run: Run, bars: pd.DataFrame, frame: pd.DataFrame) -> "Heldout":
    """Return the forecasts of `frame` with their outcomes, by `bars` up to the run's session."""
    from pipeline.evaluation.walk_forward import heldout_of
    from pipeline.modeling.data.features import future_returns

    settings = run.settings
    panel = panel_of(bars, settings, run.as_of)
    future_STH = future_returns(panel.return_ST, settings.horizon)
    clock_at = cache(settings.clock.at)

    def outcome_of(symbols_N: NDArray[np.str_], as_of_N: NDArray[np.datetime64]) -> "Array":
        days = [clock_at(day).last(symbol) for symbol, day in zip(symbols_N.tolist(), as_of_N.tolist(), strict=True)]
        s_N, t_N = panel.positions(symbols_N, np.array(days, "datetime64[D]"))
        return np.where((t_N >= 0)[:, None], future_STH[s_N, t_N], np.nan)

    return heldout_of(frame, outcome_of, horizon=settings.horizon, levels=LEVELS)


def _trained(view: View, progress: Progress | None) -> tuple["Retrained | None", str | None]:
    """Return the trained model of the fold, or None and why there is none."""
    from pipeline.evaluation.walk_forward import fold_before
    from pipeline.modeling.data.features import future_returns
    from pipeline.modeling.data.splits import too_little
    from pipeline.modeling.data.windows import usable_origins, with_targets
    from pipeline.modeling.training.train_model import retrain

    settings, features, first = view.settings, view.features, view.sessions[0]
    future_STH = future_returns(features.panel.return_ST, settings.horizon)
    come = with_targets(usable_origins(features, settings.context_length), future_STH)
    fold = fold_before(
        come, features.panel, first=first, horizon=settings.horizon, validation=settings.validation_sessions
    )
    reason = too_little(fold)
    if reason is not None:
        return None, reason
    trained = retrain(
        features,
        fold,
        settings,
        as_of=first,
        data_digest=view.digest,
        precision=training_precision(settings),
        progress=progress,
    )
    return trained, None


def _by_network(view: View, trained: "Retrained", weights_sha256: str) -> pd.DataFrame:
    """Return the network's forecasts from the origins with a whole context behind them."""
    from pipeline.modeling.data.windows import usable_origins

    usable = usable_origins(view.features, view.settings.context_length)
    whole_ST = np.zeros(view.features.usable_ST.shape, bool)
    whole_ST[usable.s_N, usable.t_N] = True
    whole_N = whole_ST[view.origins.s_N, view.origins.t_N]
    origins = view.origins.where(whole_N)
    quantiles_NHQ = trained.forecaster.quantiles(view.features, origins)
    name = view.settings.network
    return _frame(view, origins, view.as_of_N[whole_N], quantiles_NHQ, name, weights_sha256[:_VERSION])


def _by_baselines(view: View) -> list[pd.DataFrame]:
    from pipeline.modeling.baselines import baseline_forecasts

    made = baseline_forecasts(view.features, view.origins, horizon=view.settings.horizon, levels=LEVELS)
    return [
        _frame(view, view.origins, view.as_of_N, forecast.quantiles_NHQ, name, view.digest[:_VERSION])
        for name, forecast in made.items()
    ]


def _frame(
    view: View,
    origins: "Origins",
    as_of_N: NDArray[np.datetime64],
    quantiles_NHQ: "Array",
    model: str,
    version: str,
) -> pd.DataFrame:
    from pipeline.modeling.forecast_frame import forecast_frame

    panel, settings, clock = view.features.panel, view.settings, view.settings.clock
    symbols = [panel.symbols[s] for s in origins.s_N]

    @cache
    def targets(exchange: str, last: date) -> list[date]:
        return clock.sessions_on(exchange).following(last, settings.horizon)

    frame = forecast_frame(
        symbols,
        panel.close_ST[origins.s_N, origins.t_N],
        quantiles_NHQ,
        as_of=view.sessions[0],
        targets=[
            targets(clock.sessions_of(symbol).exchange, day)
            for symbol, day in zip(symbols, panel.days(origins.s_N, origins.t_N).tolist(), strict=True)
        ],
        levels=LEVELS,
        model=model,
        model_version=version,
        report_due_N=view.features.report_due(origins.s_N, origins.t_N),
    )
    return frame.assign(as_of=np.repeat(as_of_N, settings.horizon))


def _record(fold: FoldPlan) -> Artifact[FoldRecord]:
    return Artifact(f"{_place(fold)}/fold", FoldRecord, step="backtest")


def _place(fold: FoldPlan) -> str:
    return f"folds/{fold.first}"
