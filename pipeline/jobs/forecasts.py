"""The steps about forecasts: making them with what the gate chose, and publishing them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.config import LEVELS
from pipeline.database.engine import open_database
from pipeline.errors import NothingToForecast
from pipeline.jobs.common import Summary, features_of, snapshot_of
from pipeline.prices.snapshot import read_snapshot
from pipeline.runs import Run

if TYPE_CHECKING:
    from pipeline.learning.features import Features
    from pipeline.learning.panel import Array
    from pipeline.learning.windows import Origins
    from pipeline.publishing.edition import Edition


def forecast(run: Mapping[str, Any]) -> Summary:
    """Forecast every symbol with the model that the gate chose, and with each baseline beside it.

    A symbol too short for the network gets the best baseline, labelled so; one that nothing can be said of is withheld
    with the reason. Raises NothingToForecast where that is all of them.
    """
    from pipeline.learning.baselines import BASELINES, forecastable

    this = Run.from_dict(run)
    settings = this.settings
    decision = this.read("decision", made_by="forecast")
    features = features_of(this)
    version = snapshot_of(this).digest[:12]
    origins = forecastable(features, pd.Timestamp(this.as_of))
    if not len(origins):
        raise NothingToForecast(f"no symbol can be forecast as of {this.as_of}: {_withheld_in_words(features, this)}")
    beside = {
        name: _frame(
            this, features, origins, baseline(features, origins, horizon=settings.horizon, levels=LEVELS), name, version
        )
        for name, baseline in BASELINES.items()
    }
    frame, fallbacks = beside[decision["best_baseline"]], []
    if decision["model"] not in BASELINES:
        chosen = _by_network(this, features, decision)
        left = sorted(set(frame["symbol"]) - set(chosen["symbol"]))
        stand_in = frame[frame["symbol"].isin(left)]
        frame = pd.concat([chosen, stand_in]).sort_values(["symbol", "step"], kind="stable", ignore_index=True)
        reason = f"fewer than {settings.context_length} whole sessions in a row: {decision['best_baseline']} stands in"
        fallbacks = [{"symbol": symbol, "reason": reason} for symbol in left]
    withheld = _withheld(features, this)
    this.folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(this.folder / "forecasts.parquet", index=False)
    for name, rows in beside.items():
        rows.to_parquet(this.folder / f"baseline-{name}.parquet", index=False)
    this.write("forecast", {"withheld": withheld, "fallbacks": fallbacks})
    return {"symbols": int(frame["symbol"].nunique()), "withheld": withheld, "fallbacks": fallbacks}


def publish(run: Mapping[str, Any]) -> Summary:
    """Publish: the files in one move, the rows of the record, and the same files in MLflow."""
    from pipeline.judging import record
    from pipeline.publishing import shelf
    from pipeline.tracking import runs

    this = Run.from_dict(run)
    settings = this.settings
    edition = _edition(this)
    published = shelf.publish(edition, settings.published)
    beside = edition.baselines[str(edition.decision["best_baseline"])]
    record.keep(open_database(settings.database), edition.forecasts, beside, this.key)
    uploaded = this.read("upload", made_by="train")
    runs.log_published(settings, uploaded["mlflow_run_id"], published.folder)
    runs.finish(settings, uploaded["mlflow_run_id"])
    headline = f"{this.as_of}: {edition.model} for {len(edition.symbols)} symbols. {edition.decision['reason']}"
    return {"folder": str(published.folder), "changed": published.changed, "headline": headline}


def _by_network(this: Run, features: "Features", decision: Summary) -> pd.DataFrame:
    from pipeline.learning.baselines import forecastable
    from pipeline.learning.forecaster import Forecaster
    from pipeline.learning.windows import usable_origins

    champion = decision["champion"]
    stands = champion is not None and champion["version"] == decision["model_version"] and not decision["promoted"]
    forecaster = Forecaster.load(this.folder / ("champion" if stands else "model"))
    last = features.panel.last
    origins = usable_origins(features, forecaster.card.context_length)
    origins = (
        origins.within(last, last) if len(forecastable(features, pd.Timestamp(this.as_of))) else origins.within(1, 0)
    )
    quantiles_NHQ = forecaster.quantiles(features, origins)[:, : this.settings.horizon]
    return _frame(this, features, origins, quantiles_NHQ, decision["model"], decision["model_version"])


def _frame(
    this: Run, features: "Features", origins: "Origins", quantiles_NHQ: "Array", model: str, version: str
) -> pd.DataFrame:
    from pipeline.learning.frame import forecast_frame

    panel = features.panel
    return forecast_frame(
        [panel.symbols[s] for s in origins.s_N],
        panel.close_ST[origins.s_N, origins.t_N],
        quantiles_NHQ,
        as_of=this.as_of,
        levels=LEVELS,
        sessions=this.settings.sessions,
        model=model,
        model_version=version,
    )


def _withheld(features: "Features", this: Run) -> list[dict[str, str]]:
    from pipeline.learning.baselines import why_not

    return why_not(features, this.symbols, pd.Timestamp(this.as_of))


def _withheld_in_words(features: "Features", this: Run) -> str:
    return "; ".join(f"{row['symbol']} {row['reason']}" for row in _withheld(features, this)[:5])


def _edition(this: Run) -> "Edition":
    from pipeline.judging.record import live_record
    from pipeline.learning.baselines import BASELINES
    from pipeline.prices.adjustments import recent_closes
    from pipeline.publishing.edition import Edition

    settings = this.settings
    outcome = this.read("forecast", made_by="forecast")
    uploaded = this.read("upload", made_by="train")
    frozen = snapshot_of(this)
    bars = read_snapshot(frozen)
    return Edition(
        as_of=this.as_of,
        exchange=settings.exchange,
        forecasts=pd.read_parquet(this.folder / "forecasts.parquet"),
        baselines={name: pd.read_parquet(this.folder / f"baseline-{name}.parquet") for name in BASELINES},
        history=recent_closes(bars, 120),
        scores=this.read("scores", made_by="forecast"),
        decision={**this.read("decision", made_by="forecast"), "fallbacks": outcome["fallbacks"]},
        live=live_record(open_database(settings.database), this.symbols, this.as_of),
        audit=this.read("audit", made_by="ingest"),
        withheld=outcome["withheld"],
        provenance={
            "source": settings.source,
            "data_digest": frozen.digest,
            "bars": len(bars),
            "first_session": str(bars["session"].min().date()),
            "last_session": str(bars["session"].max().date()),
            "run_key": this.key,
            **this.provenance,
            **{name: uploaded[name] for name in ("mlflow_run_id", "mlflow_url", "git_commit") if uploaded.get(name)},
        },
    )
