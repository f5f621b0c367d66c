"""The forecast step: the chosen model and every baseline, for each symbol that can be forecast."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.errors import CorruptFile, MissingInTracking, MissingStep, NothingToForecast
from pipeline.evaluation.decision import Decision
from pipeline.forecast_schema import LEVELS
from pipeline.jobs.context import calendar_of, digest_of, features_of, reasons_by_symbol, standing_record
from pipeline.jobs.event_outlook import outlook_of
from pipeline.jobs.event_ranges import EventWindows
from pipeline.jobs.results import ForecastResult
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import (
    AUDIT,
    CHAMPION,
    DECISION,
    EVENT_OUTLOOK,
    FORECAST,
    FORECASTS,
    HELDOUT,
    MODEL,
    ForecastOutcome,
    baseline_forecasts,
)
from pipeline.publishing.event_outlook import PastRanges
from pipeline.publishing.published_files import SymbolReason

if TYPE_CHECKING:
    from pipeline.modeling.data.features import Features
    from pipeline.modeling.data.panel import Array
    from pipeline.modeling.data.windows import Origins
    from pipeline.modeling.forecaster import Forecaster


def forecast(run: Run) -> ForecastResult:
    """Forecast every symbol with the model that the gate chose, and with each baseline for comparison.

    A symbol with too little history for the network gets the best baseline, labelled as such; a symbol that no model
    can forecast is withheld with the reason. Raises NothingToForecast if all are withheld.
    """
    from pipeline.modeling import baselines
    from pipeline.publishing.formatting import in_prose

    settings = run.settings
    decision = run.load(DECISION)
    features = features_of(run)
    version = digest_of(run)[:12]
    withheld = _withheld(features, run)
    origins = _without(features, baselines.forecastable(features), [row.symbol for row in withheld])
    if not len(origins):
        why = reasons_by_symbol((row.symbol, row.reason) for row in withheld)
        raise NothingToForecast(f"no symbol can be forecast as of {run.as_of}: {why}")
    made = baselines.baseline_forecasts(features, origins, horizon=settings.horizon, levels=LEVELS)
    by_baseline = {
        name: _frame(run, features, origins, forecast.quantiles_NHQ, name, version) for name, forecast in made.items()
    }
    frame, fallbacks = by_baseline[str(decision.best_baseline)], list[SymbolReason]()
    network = None if decision.is_baseline else _network(run, decision)
    if network is not None:
        chosen, reasons = _by_network(run, features, network, decision, withheld)
        left = sorted(set(frame["symbol"]) - set(chosen["symbol"]))
        stand_in = frame[frame["symbol"].isin(left)]
        frame = pd.concat([chosen, stand_in]).sort_values(["symbol", "step"], kind="stable", ignore_index=True)
        short = f"fewer than {settings.context_length} whole sessions in a row"
        stands_in = f"{in_prose(decision.best_baseline)} stands in"
        fallbacks = [SymbolReason(symbol=name, reason=f"{reasons.get(name, short)}: {stands_in}") for name in left]
    for artifact, rows in {
        FORECASTS: frame,
        **{baseline_forecasts(name): rows for name, rows in by_baseline.items()},
    }.items():
        with run.making(artifact) as path:
            rows.to_parquet(path, index=False)
    stand_ins = {row.symbol for row in fallbacks}
    outlook = outlook_of(
        run,
        features,
        calendar_of(run),
        frame,
        by_baseline["ewma_historical"],
        lambda symbols: _past_ranges(run, features, decision, network, symbols, stand_ins),
    )
    run.save(EVENT_OUTLOOK, outlook)
    run.save(FORECAST, ForecastOutcome(withheld=withheld, fallbacks=fallbacks))
    return ForecastResult(symbols=int(frame["symbol"].nunique()), withheld=withheld, fallbacks=fallbacks)


def _network(run: Run, decision: Decision) -> "Forecaster":
    """Return the network that the gate chose."""
    from pipeline.modeling.forecaster import Forecaster

    if decision.champion_stays:
        return _champion(run, str(decision.model_version))
    with run.reading(MODEL) as folder:
        return Forecaster.load(folder)


def _past_ranges(
    run: Run,
    features: "Features",
    decision: Decision,
    network: "Forecaster | None",
    symbols: Collection[str],
    stand_ins: Collection[str],
) -> Mapping[str, PastRanges]:
    """Return how earlier ranges around reports held, of the model that forecasts each symbol."""
    from pipeline.evaluation.holdout import Heldout

    if not symbols:
        return {}
    with run.reading(HELDOUT) as path:
        windows = EventWindows.of(Heldout.load(path), features, symbols)
    by_baseline = windows.by_contender(str(decision.best_baseline))
    if network is None:
        return by_baseline
    chosen = windows.by_forecaster(network, features) if decision.champion_stays else None
    chosen = windows.by_contender(decision.model) if chosen is None else chosen
    return {symbol: held for symbol, held in chosen.items() if symbol not in stand_ins} | {
        symbol: held for symbol, held in by_baseline.items() if symbol in stand_ins
    }


def _by_network(
    run: Run,
    features: "Features",
    forecaster: "Forecaster",
    decision: Decision,
    withheld: Sequence[SymbolReason],
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the forecasts of the chosen network, and why it abstains from a symbol."""
    from pipeline.evaluation.abstention import abstentions
    from pipeline.modeling.data.windows import usable_origins

    settings = run.settings
    record = standing_record(run)
    abstaining = abstentions(features, forecaster.card.symbols, record)
    origins = usable_origins(features, forecaster.card.context_length).at(features.panel.last)
    origins = _without(features, origins, [*(row.symbol for row in withheld), *abstaining])
    quantiles_NHQ = forecaster.quantiles(features, origins)[:, : settings.horizon]
    return _frame(run, features, origins, quantiles_NHQ, decision.model, str(decision.model_version)), abstaining


def _champion(run: Run, version: str) -> "Forecaster":
    """Return the champion that the gate has stored with the run, downloaded again if that copy is damaged.

    Raises MissingStep if it is damaged in MLflow too: the gate then chooses the champion before it.
    """
    from pipeline.modeling.forecaster import Forecaster
    from pipeline.tracking import registry
    from pipeline.tracking.model_files import download

    with suppress(MissingStep, CorruptFile), run.reading(CHAMPION) as folder:
        return Forecaster.load(folder)
    try:
        with run.making(CHAMPION) as folder:
            registered = registry.version_of(run.settings, version)
            return Forecaster.load(download(run.settings, registered, folder))
    except (MissingInTracking, CorruptFile) as error:
        raise MissingStep(
            f"the champion of run {run.key} cannot be used ({error}); repeat `judge`, which continues with the "
            "previous champion or a baseline"
        ) from None


def _without(features: "Features", origins: "Origins", left_out: Iterable[str]) -> "Origins":
    return origins.where(~np.isin(features.panel.symbols_array[origins.s_N], list(left_out)))


def _frame(
    run: Run, features: "Features", origins: "Origins", quantiles_NHQ: "Array", model: str, version: str
) -> pd.DataFrame:
    from pipeline.modeling.forecast_frame import forecast_frame

    panel, settings = features.panel, run.settings
    symbols = [panel.symbols[s] for s in origins.s_N]

    last_N = panel.days(origins.s_N, origins.t_N).tolist()

    @cache
    def targets(exchange: str, last: date) -> tuple[list[date], list[bool]]:
        sessions = settings.clock.sessions_on(exchange)
        days = sessions.following(last, settings.horizon)
        return days, [sessions.is_estimated(day) for day in days]

    targets_N = [
        targets(settings.clock.sessions_of(symbol).exchange, last) for symbol, last in zip(symbols, last_N, strict=True)
    ]
    frame = forecast_frame(
        symbols,
        panel.close_ST[origins.s_N, origins.t_N],
        quantiles_NHQ,
        as_of=run.as_of,
        targets=[days for days, _ in targets_N],
        levels=LEVELS,
        model=model,
        model_version=version,
        report_due_N=features.report_due(origins.s_N, origins.t_N),
    )
    frame["last_session"] = np.repeat(np.array(last_N, "datetime64[s]"), settings.horizon)
    frame["target_session_estimated"] = [each for _, estimated in targets_N for each in estimated]
    return frame


def _withheld(features: "Features", run: Run) -> list[SymbolReason]:
    """Return the symbols without a forecast and why: their latest prices are in doubt, or their history too short."""
    from pipeline.modeling.baselines import why_not

    doubtful = {one.symbol: one.reason for one in run.load(AUDIT).doubtful}
    reasons = why_not(features, run.symbols) | doubtful
    reasons |= run.refused
    left_out = sorted({*run.symbols, *run.refused} & {*reasons})
    return [SymbolReason(symbol=symbol, reason=reasons[symbol]) for symbol in left_out]
