"""The steps about forecasts: making them with what the gate chose, and publishing them."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.config import LEVELS
from pipeline.database.engine import open_database
from pipeline.errors import CorruptFile, MissingInTracking, MissingStep, NothingToForecast
from pipeline.jobs.backtest.exclusions import in_words
from pipeline.jobs.context import Summary, digest_of, features_of, own_record, snapshot_of, standing_record
from pipeline.jobs.run import Run
from pipeline.jobs.trials import series_of
from pipeline.prices.store.snapshot import read_snapshot

if TYPE_CHECKING:
    from pipeline.modeling.data.features import Features
    from pipeline.modeling.data.panel import Array
    from pipeline.modeling.data.windows import Origins
    from pipeline.modeling.forecaster import Forecaster
    from pipeline.publishing.edition import Edition


def forecast(run: Mapping[str, Any]) -> Summary:
    """Forecast every symbol with the model that the gate chose, and with each baseline beside it.

    A symbol too short for the network gets the best baseline, labelled so; one that nothing can be said of is withheld
    with the reason. Raises NothingToForecast where that is all of them.
    """
    from pipeline.modeling.baselines import BASELINES, forecastable
    from pipeline.publishing.formatting import named

    this = Run.from_dict(run)
    settings = this.settings
    decision = this.read("decision", made_by="forecast")
    features = features_of(this)
    version = digest_of(this)[:12]
    withheld = _withheld(features, this)
    origins = _without(features, forecastable(features), withheld)
    if not len(origins):
        raise NothingToForecast(f"no symbol can be forecast as of {this.as_of}: {in_words(withheld)}")
    beside = {
        name: _frame(
            this, features, origins, baseline(features, origins, horizon=settings.horizon, levels=LEVELS), name, version
        )
        for name, baseline in BASELINES.items()
    }
    frame, fallbacks = beside[decision["best_baseline"]], []
    if decision["model"] not in BASELINES:
        chosen, reasons = _by_network(this, features, decision, withheld)
        left = sorted(set(frame["symbol"]) - set(chosen["symbol"]))
        stand_in = frame[frame["symbol"].isin(left)]
        frame = pd.concat([chosen, stand_in]).sort_values(["symbol", "step"], kind="stable", ignore_index=True)
        short = f"fewer than {settings.context_length} whole sessions in a row"
        stands_in = f"the {named(decision['best_baseline'])} stands in"
        fallbacks = [{"symbol": symbol, "reason": f"{reasons.get(symbol, short)}: {stands_in}"} for symbol in left]
    for name, rows in {"forecasts": frame, **{f"baseline-{name}": rows for name, rows in beside.items()}}.items():
        with this.kept.making(f"{name}.parquet") as path:
            rows.to_parquet(path, index=False)
    this.write("forecast", {"withheld": withheld, "fallbacks": fallbacks})
    return {"symbols": int(frame["symbol"].nunique()), "withheld": withheld, "fallbacks": fallbacks}


def publish(run: Mapping[str, Any], *, now: datetime) -> Summary:
    """Publish: the files in one move, the rows of the record, and the same files in MLflow.

    A forecast whose session has closed by `now` is kept as a replay.
    """
    from pipeline.evaluation import forecast_log
    from pipeline.publishing import formatting, reader
    from pipeline.tracking import runs

    this = Run.from_dict(run)
    settings = this.settings
    edition = _edition(this)
    published = reader.publish(edition, settings.published)
    beside = edition.baselines[str(edition.decision["best_baseline"])]

    @cache
    def complete_at(symbol: str, session: date) -> datetime:
        sessions = settings.sessions_of(symbol)
        # An estimated target is a holiday of a calendar that was upgraded since.
        return sessions.complete_at(sessions.at_or_before(session))

    database = open_database(settings.database)
    forecast_log.keep(
        database,
        settings.source,
        edition.forecasts,
        beside,
        this.key,
        now=now,
        complete_at=complete_at,
        series=series_of(this),
    )
    _write_track_record(this)
    uploaded = this.read("upload", made_by="train")
    with settings.published.reading(published.place) as folder:
        runs.log_published(settings, uploaded["mlflow_run_id"], folder)
    runs.finish(settings, uploaded["mlflow_run_id"])
    return {
        "as_of": this.as_of.isoformat(),
        "folder": str(published.folder),
        "place": published.place,
        "changed": published.changed,
        "trial": list(this.trial),
        "standing": this.standing,
        "edition": "" if this.standing else published.folder.name,
        "headline": formatting.headline(edition),
        "verdict": formatting.verdict(edition).title,
        "warnings": list(edition.warnings),
        "mlflow_url": uploaded.get("mlflow_url"),
    }


def _write_track_record(this: Run) -> None:
    """Write the track record of the run's source over all its symbols, editions and trials."""
    from pipeline.evaluation.forecast_log import live_record
    from pipeline.evaluation.track_record import one_ahead
    from pipeline.publishing import track_record_files

    settings = this.settings
    since = track_record_files.first_day(this.as_of)
    rows = live_record(open_database(settings.database), settings.source, None, None, series=None, since=since)
    if len(ahead := one_ahead(rows)):
        track_record_files.write(settings.published, settings.source, ahead)


def _by_network(
    this: Run, features: "Features", decision: Summary, withheld: list[dict[str, str]]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the forecasts of the network that won, and the reasons where it should keep quiet about a symbol."""
    from pipeline.evaluation.abstention import abstentions
    from pipeline.modeling.data.windows import usable_origins
    from pipeline.modeling.forecaster import Forecaster

    champion = decision["champion"]
    stands = champion is not None and champion["version"] == decision["model_version"] and not decision["promoted"]
    if stands:
        forecaster = _champion(this, champion["version"])
    else:
        with this.reading("model", made_by="train") as folder:
            forecaster = Forecaster.load(folder)
    settings = this.settings
    record = standing_record(this)
    quiet = abstentions(features, forecaster.card.symbols, record)
    origins = usable_origins(features, forecaster.card.context_length).at(features.panel.last)
    origins = _without(features, origins, [*withheld, *({"symbol": symbol} for symbol in quiet)])
    quantiles_NHQ = forecaster.quantiles(features, origins)[:, : settings.horizon]
    return _frame(this, features, origins, quantiles_NHQ, decision["model"], decision["model_version"]), quiet


def _champion(this: Run, version: str) -> "Forecaster":
    """Return the champion as the gate has left it with the run, fetched from MLflow again if that copy is damaged.

    Raises MissingStep where MLflow has lost it too: the gate then finds the champion before it.
    """
    from pipeline.modeling.forecaster import Forecaster
    from pipeline.tracking import registry

    with suppress(MissingStep, CorruptFile), this.reading("champion", made_by="judge") as folder:
        return Forecaster.load(folder)
    try:
        with this.kept.making("champion") as folder:
            registered = registry.version_of(this.settings, version)
            return Forecaster.load(registry.download(this.settings, registered, folder))
    except (MissingInTracking, CorruptFile) as error:
        raise MissingStep(
            f"the champion of run {this.key} cannot be used ({error}); repeat `judge`, which continues with the "
            "previous champion or a baseline"
        ) from None


def _without(features: "Features", origins: "Origins", withheld: list[dict[str, str]]) -> "Origins":
    left_out = [row["symbol"] for row in withheld]
    return origins.where(~np.isin(features.panel.symbols_array[origins.s_N], left_out))


def _frame(
    this: Run, features: "Features", origins: "Origins", quantiles_NHQ: "Array", model: str, version: str
) -> pd.DataFrame:
    from pipeline.modeling.forecast_frame import forecast_frame

    panel, settings = features.panel, this.settings
    symbols = [panel.symbols[s] for s in origins.s_N]

    last_N = panel.days(origins.s_N, origins.t_N).tolist()

    @cache
    def targets(exchange: str, last: date) -> tuple[list[date], list[bool]]:
        sessions = settings.sessions_on(exchange)
        days = sessions.following(last, settings.horizon)
        return days, [sessions.is_estimated(day) for day in days]

    targets_N = [
        targets(settings.sessions_of(symbol).exchange, last) for symbol, last in zip(symbols, last_N, strict=True)
    ]
    frame = forecast_frame(
        symbols,
        panel.close_ST[origins.s_N, origins.t_N],
        quantiles_NHQ,
        as_of=this.as_of,
        targets=[days for days, _ in targets_N],
        levels=LEVELS,
        model=model,
        model_version=version,
    )
    frame["last_session"] = np.repeat(np.array(last_N, "datetime64[s]"), settings.horizon)
    frame["target_session_estimated"] = [each for _, estimated in targets_N for each in estimated]
    return frame


def _withheld(features: "Features", this: Run) -> list[dict[str, str]]:
    """The symbols without a forecast, each with the reason: its present is doubtful, or nothing can be said of it."""
    from pipeline.modeling.baselines import why_not

    doubtful = {row["symbol"]: row["reason"] for row in this.read("audit", made_by="ingest")["doubtful"]}
    reasons = why_not(features, this.symbols) | doubtful
    reasons |= this.refused
    return [
        {"symbol": symbol, "reason": reasons[symbol]} for symbol in sorted({*this.symbols, *this.refused} & {*reasons})
    ]


def _frame_of(this: Run, name: str) -> pd.DataFrame:
    with this.reading(f"{name}.parquet", made_by="forecast") as path:
        return pd.read_parquet(path)


def _airflow_url(this: Run) -> dict[str, str]:
    """Where Airflow shows the run, if it was Airflow's and somebody has said where that is."""
    made_by = this.provenance
    url = this.settings.airflow_run(made_by["dag_id"], made_by["run_id"]) if "run_id" in made_by else None
    return {"airflow_url": url} if url else {}


def _read_as(this: Run) -> dict[str, str]:
    """How the source's prices were understood, where the run's ingestion has said so."""
    try:
        return {"prices_read_as": str(this.read("source", made_by="ingest")["read_as"])}
    except MissingStep:
        return {}


def _edition(this: Run) -> "Edition":
    from pipeline.evaluation import track_record
    from pipeline.modeling.baselines import BASELINES
    from pipeline.prices.adjustments import recent_closes
    from pipeline.publishing.edition import Edition

    settings = this.settings
    outcome = this.read("forecast", made_by="forecast")
    uploaded, training = (this.read(name, made_by="train") for name in ("upload", "training"))
    frozen = snapshot_of(this)
    bars = read_snapshot(frozen)
    record = own_record(this)
    kinds = track_record.by_kind(record)
    return Edition(
        as_of=this.as_of,
        exchange=settings.exchange,
        forecasts=_frame_of(this, "forecasts"),
        baselines={name: _frame_of(this, f"baseline-{name}") for name in BASELINES},
        history=recent_closes(bars, 120),
        scores=this.read("scores", made_by="forecast"),
        decision={**this.read("decision", made_by="forecast"), "fallbacks": outcome["fallbacks"]},
        live=record,
        recent=track_record.next_session(record),
        live_by_symbol={kind: track_record.by_symbol(part) for kind, part in kinds.items()},
        out_of_bounds=tuple(track_record.out_of_bounds(kinds["live"])) if "live" in kinds else (),
        audit=this.read("audit", made_by="ingest"),
        drift=training.get("drift", {}),
        memory=training.get("memory") or {},
        withheld=outcome["withheld"],
        trial=this.trial,
        make_latest=this.make_latest,
        warnings=settings.calendar_warnings(this.symbols, this.as_of),
        provenance={
            "source": settings.source,
            **_read_as(this),
            "data_digest": frozen.digest,
            "bars": len(bars),
            "first_session": str(bars["session"].min().date()),
            "last_session": str(bars["session"].max().date()),
            "run_key": this.key,
            "settings": dict(this.frozen),
            **this.provenance,
            **_airflow_url(this),
            **{name: uploaded[name] for name in ("mlflow_run_id", "mlflow_url", "git_commit") if uploaded.get(name)},
        },
    )
