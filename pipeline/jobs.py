"""The steps of a run, one function for each task of the DAG and each command of the terminal.

A step reads what the steps before it left, does its work through the layers below, and leaves its own result: in the
database, in the run's folder, in MLflow or among the published files. Each may be repeated: twice equals once.
What it returns is a few words and numbers for the log. No step reads a clock.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.config import LEVELS, Settings
from pipeline.database.engine import open_database
from pipeline.errors import BadSession, CorruptFile, NothingToForecast
from pipeline.planning import plan_run
from pipeline.prices.quality import check_bars, gaps
from pipeline.prices.snapshot import Snapshot, read_snapshot, write_snapshot
from pipeline.prices.sources import open_source
from pipeline.prices.store import PriceStore
from pipeline.runs import Run

Summary = dict[str, Any]
Progress = Callable[[int, float], None]
_PROBLEMS_LISTED = 200  # in a run's audit; all of them are in the database


def plan(
    *,
    key: str | None,
    now: datetime,
    as_of: date | None = None,
    interval_end: datetime | None = None,
    manual: bool = True,
    overrides: Mapping[str, Any],
    provenance: Mapping[str, str],
) -> Summary:
    """Settle what a request means; see `pipeline.planning.plan_run`. Returns the run and the batches to ingest."""
    run = plan_run(
        key=key,
        now=now,
        as_of=as_of,
        interval_end=interval_end,
        manual=manual,
        overrides=overrides,
        provenance=provenance,
    )
    size = run.settings.ingest_batch
    batches = [list(run.symbols[at : at + size]) for at in range(0, len(run.symbols), size)]
    return {"run": run.to_dict(), "batches": batches}


def ingest(run: Mapping[str, Any], batch: list[str], *, known_at: datetime) -> Summary:
    """Take in the bars of some symbols up to the run's session; what is stored already is not stored again."""
    this = Run.from_dict(run)
    settings = this.settings
    bars = open_source(settings).bars(tuple(batch), this.as_of)
    checked = check_bars(bars, settings.sessions)
    store = PriceStore(open_database(settings.database), settings.source)
    return asdict(store.append(checked, known_at)) | {"symbols": len(batch), "verdicts": checked.counts()}


def snapshot(run: Mapping[str, Any]) -> Summary:
    """Audit what is stored for the run's symbols and freeze it as it was known when the session was the last one."""
    this = Run.from_dict(run)
    settings = this.settings
    sessions = settings.sessions
    store = PriceStore(open_database(settings.database), settings.source)
    # What came before the next session was complete, a live run could have known.
    bars = store.as_of(this.symbols, this.as_of, sessions.complete_at(sessions.shift(this.as_of, 1)))
    if bars.empty:
        raise BadSession(f"there are no prices up to {this.as_of} for {', '.join(this.symbols[:5])}; run ingest first")
    audit = _audit(bars, store.held_back(this.symbols, this.as_of), settings, this.as_of)
    frozen = write_snapshot(bars, this.as_of, settings.home / "snapshots")
    this.write("run", this.to_dict())
    this.write("audit", audit)
    this.write("snapshot", {"path": str(frozen.path), "digest": frozen.digest, "rows": len(bars)})
    return {
        "digest": frozen.digest,
        "rows": len(bars),
        **{name: audit[name] for name in ("accept", "warn", "quarantine")},
    }


def score(run: Mapping[str, Any]) -> Summary:
    """Score the forecasts published earlier whose session has come, and read the record up to the run's session."""
    from pipeline.judging.record import live_record, score_due

    this = Run.from_dict(run)
    engine = open_database(this.settings.database)
    scored = score_due(engine, read_snapshot(_snapshot(this)), this.as_of)
    record = live_record(engine, this.symbols, this.as_of)
    summary: Summary = {"scored_now": scored, "in_the_record": len(record)}
    if len(record):
        summary["live_crps_bp"] = float(record["crps_bp"].mean())
        summary["live_baseline_crps_bp"] = float(record["baseline_crps_bp"].mean())
        summary["live_coverage_90"] = float(record["inside_90"].mean())
    this.write("live", summary)
    return summary


def train(run: Mapping[str, Any], *, progress: Progress | None = None) -> Summary:
    """Train the network and score it beside the baselines on the held-out sessions. All of it goes to disk, no further.

    With too little history nothing is trained, the baselines are scored alone, and the reason is kept.
    """
    from pipeline.learning import baselines, folds
    from pipeline.learning.features import future_returns
    from pipeline.learning.windows import usable_origins, with_targets

    this = Run.from_dict(run)
    settings = this.settings
    features = _features(this)
    future_STH = future_returns(features.panel.return_ST, settings.horizon)
    usable = usable_origins(features, settings.context_length)
    fold = folds.split(
        with_targets(usable, future_STH),
        horizon=settings.horizon,
        holdout=settings.holdout_sessions,
        validation=settings.validation_sessions,
    )
    not_trained = folds.too_little(fold)
    heldout = _heldout(features, fold.test, future_STH)
    for name, baseline in baselines.BASELINES.items():
        heldout = heldout.also(name, baseline(features, fold.test, horizon=settings.horizon, levels=LEVELS))
    if not_trained is None:
        training, quantiles_NHQ = _fit(this, features, fold, progress)
        heldout = heldout.also(settings.network, quantiles_NHQ)
    else:
        training = {"parameters": _parameters(settings), "curves": {}, "seconds": 0.0, "not_trained": not_trained}
    heldout.save(this.folder / "heldout.npz")
    scores = heldout.scores(LEVELS)
    this.write("scores", scores)
    this.write("training", training)
    crps = {name: round(values["crps_bp"], 2) for name, values in scores["models"].items()}
    return {"trained": not_trained is None, "reason": not_trained, "seconds": training["seconds"], "crps_bp": crps}


def upload(run: Mapping[str, Any], *, try_number: int = 1) -> Summary:
    """Take what training left to MLflow: one run there for this run, and the model as the challenger."""
    from pipeline.publishing import charts
    from pipeline.tracking import provenance, registry, runs

    this = Run.from_dict(run)
    settings = this.settings
    training, scores = this.read("training", made_by="train"), this.read("scores", made_by="train")
    frozen = _snapshot(this)
    card = this.read("model/model", made_by="train") if "not_trained" not in training else {"network": settings.network}
    tags = provenance.run_tags(
        settings,
        as_of=this.as_of,
        symbols=this.symbols,
        commit=provenance.git_commit(Path(__file__).parent),
        provenance=this.provenance,
        try_number=try_number,
    )
    tags |= {name: str(card[name]) for name in ("weights_sha256",) if name in card}
    run_id = runs.open_run(
        settings, experiment="daily-forecast", key=this.key, name=f"{this.as_of} {settings.network}", tags=tags
    )
    figures = {"scores": this.folder / "figures" / "scores.png"} if scores["models"] else {}
    if training["curves"]:
        figures["training"] = this.folder / "figures" / "training.png"
        charts.training_chart(training["curves"], figures["training"])
    if scores["models"]:
        charts.scores_chart(scores, figures["scores"])
    runs.log_training(
        settings,
        run_id,
        training=training,
        scores=scores,
        model_info=card,
        snapshot=frozen.path,
        data_digest=frozen.digest,
        figures=figures,
    )
    runs.log_metrics(settings, run_id, this.read("live", made_by="score"))
    version = None
    if "not_trained" not in training:
        tags = {"data_digest": frozen.digest, "source": settings.source, "git_commit": tags["git_commit"]}
        example = _example(read_snapshot(frozen), settings.context_length)
        version = registry.register(
            settings, run_id, model_dir=this.folder / "model", example=example, tags=tags
        ).version
    result = {
        "mlflow_run_id": run_id,
        "mlflow_url": runs.run_url(settings, run_id),
        "model_version": version,
        "git_commit": tags["git_commit"],
    }
    this.write("upload", result)
    return result


def judge(run: Mapping[str, Any]) -> Summary:
    """Put challenger, champion and baselines through the gate on the same held-out sessions; promote if it says so."""
    from pipeline.judging import gate
    from pipeline.judging.heldout import Heldout
    from pipeline.learning.baselines import BASELINES
    from pipeline.tracking import registry, runs

    this = Run.from_dict(run)
    settings = this.settings
    uploaded = this.read("upload", made_by="upload")
    training = this.read("training", made_by="train")
    digest = _snapshot(this).digest
    heldout = Heldout.load(this.folder / "heldout.npz")
    champion = registry.champion_before(settings, this.as_of)
    no_champion = "there is no champion yet"
    if champion is not None:
        heldout, problem = _with_champion(this, heldout, champion)
        if problem is not None:
            champion, no_champion = None, problem
    scores = heldout.scores(LEVELS)
    models = scores["models"]

    def contender(name: str, version: str, scored_as: str) -> gate.Contender:
        return gate.Contender(model=name, version=version, crps_bp=models[scored_as]["crps_bp"])

    if models:
        best = gate.best_baseline(models, tuple(BASELINES))
        challenger = None
        if settings.network in models and uploaded["model_version"] is not None:
            challenger = contender(settings.network, uploaded["model_version"], settings.network)
        decision = gate.decide(
            challenger,
            contender(champion.network, champion.version, "champion") if champion else None,
            contender(best, digest[:12], best),
            not_trained=training.get("not_trained"),
            no_champion=no_champion,
        )
    else:
        best = "ewma_historical"
        reason = "There are no held-out sessions to judge on yet, so the baseline is published unjudged."
        decision = gate.Decision(model=best, model_version=digest[:12], promoted=False, reason=reason)
    known = (
        {"version": champion.version, "as_of": str(champion.as_of), "network": champion.network} if champion else None
    )
    result = {**asdict(decision), "champion": known, "best_baseline": best}
    this.write("scores", scores)
    this.write("decision", result)
    if decision.promoted:
        registry.promote(settings, decision.model_version, this.as_of)
    runs.log_decision(settings, uploaded["mlflow_run_id"], scores=scores, decision=result)
    return {name: result[name] for name in ("model", "model_version", "promoted", "reason")}


def forecast(run: Mapping[str, Any]) -> Summary:
    """Forecast every symbol with the model that the gate chose, and with each baseline beside it.

    A symbol too short for the network gets the best baseline, labelled so; one that nothing can be said of is withheld
    with the reason. Raises NothingToForecast where that is all of them.
    """
    from pipeline.learning.baselines import BASELINES, forecastable

    this = Run.from_dict(run)
    settings = this.settings
    decision = this.read("decision", made_by="judge")
    features = _features(this)
    version = _snapshot(this).digest[:12]
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
    from pipeline.publishing import publish as publish_edition
    from pipeline.tracking import runs

    this = Run.from_dict(run)
    settings = this.settings
    edition = _edition(this)
    published = publish_edition(edition, settings.published)
    beside = edition.baselines[str(edition.decision["best_baseline"])]
    record.keep(open_database(settings.database), edition.forecasts, beside, this.key)
    uploaded = this.read("upload", made_by="upload")
    runs.log_published(settings, uploaded["mlflow_run_id"], published.folder)
    runs.finish(settings, uploaded["mlflow_run_id"])
    headline = f"{this.as_of}: {edition.model} for {len(edition.symbols)} symbols. {edition.decision['reason']}"
    return {"folder": str(published.folder), "changed": published.changed, "headline": headline}


def run_all(
    planned: Mapping[str, Any],
    *,
    known_at: datetime,
    progress: Progress | None = None,
    on_step: Callable[[str], None] | None = None,
) -> dict[str, Summary]:
    """Do every step of a planned run in this process; `on_step` is told the name of each before it begins."""
    run = planned["run"]
    tell = on_step or (lambda _name: None)
    results: dict[str, Summary] = {}
    tell("ingest")
    results["ingest"] = {"batches": [ingest(run, batch, known_at=known_at) for batch in planned["batches"]]}
    steps: dict[str, Callable[[], Summary]] = {
        "snapshot": lambda: snapshot(run),
        "score": lambda: score(run),
        "train": lambda: train(run, progress=progress),
        "upload": lambda: upload(run),
        "judge": lambda: judge(run),
        "forecast": lambda: forecast(run),
        "publish": lambda: publish(run),
    }
    for name, step in steps.items():
        tell(name)
        results[name] = step()
    return results


def _audit(bars: pd.DataFrame, held_back: pd.DataFrame, settings: Settings, as_of: date) -> Summary:
    checked = check_bars(bars, settings.sessions)
    missing = gaps(bars, settings.sessions, pd.Timestamp(as_of))
    problems = pd.concat([checked.verdicts, held_back, missing], ignore_index=True)
    problems = problems.assign(session=problems["session"].astype(str).str[:10]).sort_values(
        ["session", "symbol"], ascending=[False, True], kind="stable"
    )
    held = held_back.drop_duplicates(["symbol", "session"])["verdict"].value_counts()
    return {
        **checked.counts(),
        "quarantine": int(held.get("quarantine", 0)),
        "reject": int(held.get("reject", 0)),
        "gaps": len(missing),
        "problems": problems.head(_PROBLEMS_LISTED).to_dict("records"),
    }


def _snapshot(this: Run) -> Snapshot:
    kept = this.read("snapshot", made_by="snapshot")
    return Snapshot(path=Path(kept["path"]), digest=kept["digest"])


def _features(this: Run) -> Any:
    from pipeline.learning.features import make_features
    from pipeline.learning.panel import panel_from_bars

    return make_features(panel_from_bars(read_snapshot(_snapshot(this))))


def _heldout(features: Any, test: Any, future_STH: Any) -> Any:
    from pipeline.judging.heldout import Heldout

    panel = features.panel
    return Heldout(
        symbols_N=panel.symbols_array[test.s_N],
        origins_N=panel.sessions.to_numpy().astype("datetime64[D]")[test.t_N],
        actual_NH=future_STH[test.s_N, test.t_N],
        quantiles={},
    )


def _parameters(settings: Settings) -> dict[str, Any]:
    names = (
        "network",
        "horizon",
        "context_length",
        "hidden_size",
        "training_steps",
        "batch_size",
        "holdout_sessions",
        "validation_sessions",
        "seed",
    )
    return {name: getattr(settings, name) for name in names}


def _fit(this: Run, features: Any, fold: Any, progress: Progress | None) -> tuple[Summary, Any]:
    from pipeline.learning.forecaster import Forecaster, ModelCard
    from pipeline.learning.training import Recipe, fit

    settings, sessions = this.settings, features.panel.sessions
    card = ModelCard(
        network=settings.network,
        levels=LEVELS,
        horizon=settings.horizon,
        context_length=settings.context_length,
        hidden_size=settings.hidden_size,
        as_of=str(this.as_of),
        symbols=features.panel.symbols,
        train_first=str(sessions[fold.train.t_N.min()].date()),
        train_last=str(sessions[fold.validation.t_N.max()].date()),
        seed=settings.seed,
        training_steps=settings.training_steps,
        data_digest=_snapshot(this).digest,
    )
    recipe = Recipe(steps=settings.training_steps, batch_size=settings.batch_size, seed=settings.seed, levels=LEVELS)
    began = time.monotonic()
    fitted = fit(features, fold, card.shape, recipe, progress)
    forecaster = Forecaster(card, fitted.network)
    forecaster.save(this.folder / "model")

    def block(origins: Any) -> Summary:
        return {
            "first": str(sessions[origins.t_N.min()].date()),
            "last": str(sessions[origins.t_N.max()].date()),
            "windows": len(origins),
        }

    training = {
        "parameters": {
            **_parameters(settings),
            "learning_rate": recipe.learning_rate,
            "weight_decay": recipe.weight_decay,
            "clip_norm": recipe.clip_norm,
        },
        "curves": {
            "train_pinball": fitted.train_pinball,
            "validation_pinball": fitted.validation_pinball,
            "learning_rate": fitted.learning_rate,
        },
        "best_step": fitted.best_step,
        "seconds": round(time.monotonic() - began, 3),
        "windows": len(fold.train) + len(fold.validation) + len(fold.test),
        "train": block(fold.train),
        "validation": block(fold.validation),
    }
    return training, forecaster.quantiles(features, fold.test)


def _example(bars: pd.DataFrame, context_length: int) -> pd.DataFrame:
    """Return a short price history as a stranger would post it."""
    symbol = bars["symbol"].value_counts().sort_index(kind="stable").idxmax()
    tail = bars[bars["symbol"] == symbol].tail(2 * context_length)
    table = tail.rename(columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"})
    return table.drop(columns="currency").assign(date=table["date"].dt.strftime("%Y-%m-%d")).reset_index(drop=True)


def _with_champion(this: Run, heldout: Any, champion: Any) -> tuple[Any, str | None]:
    """Return the windows with the champion's quantiles, or as they were and the reason why it cannot be compared."""
    from pipeline.learning.forecaster import Forecaster
    from pipeline.tracking import registry

    try:
        folder = registry.download(this.settings, champion, this.folder / "champion")
        forecaster = Forecaster.load(folder)
    except CorruptFile as error:
        return heldout, f"the champion cannot be used ({error})"
    card = forecaster.card
    if card.horizon < this.settings.horizon or card.levels != LEVELS:
        return (
            heldout,
            f"the champion forecasts {card.horizon} sessions and cannot be compared over {this.settings.horizon}",
        )
    # What it trained on, and the targets of those windows, must lie before the sessions it is judged on.
    seen = this.settings.sessions.shift(date.fromisoformat(card.train_last), card.horizon + 1)
    fair = heldout.since(pd.Timestamp(seen))
    if not len(fair.actual_NH):
        return heldout, "the champion has trained on the held-out sessions and cannot be compared on them"
    features = _features(this)
    origins = _origins_of(features, fair)
    whole = _whole_context(features, origins, card.context_length)
    if not whole:
        return heldout, f"the champion reads {card.context_length} sessions, more than the held-out windows have"
    quantiles_NHQ = forecaster.quantiles(features, origins)
    return fair.also("champion", quantiles_NHQ[:, : this.settings.horizon]), None


def _origins_of(features: Any, heldout: Any) -> Any:
    from pipeline.learning.windows import Origins

    panel = features.panel
    return Origins(
        s_N=pd.Index(panel.symbols).get_indexer(heldout.symbols_N),
        t_N=panel.sessions.get_indexer(pd.DatetimeIndex(heldout.origins_N).astype(panel.sessions.dtype)),
    )


def _whole_context(features: Any, origins: Any, context_length: int) -> bool:
    from pipeline.learning.windows import usable_origins

    usable = usable_origins(features, context_length)
    known = set(zip(usable.s_N.tolist(), usable.t_N.tolist(), strict=True))
    return all(pair in known for pair in zip(origins.s_N.tolist(), origins.t_N.tolist(), strict=True))


def _by_network(this: Run, features: Any, decision: Summary) -> pd.DataFrame:
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


def _frame(this: Run, features: Any, origins: Any, quantiles_NHQ: Any, model: str, version: str) -> pd.DataFrame:
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


def _withheld(features: Any, this: Run) -> list[dict[str, str]]:
    from pipeline.learning.baselines import why_not

    return why_not(features, this.symbols, pd.Timestamp(this.as_of))


def _withheld_in_words(features: Any, this: Run) -> str:
    return "; ".join(f"{row['symbol']} {row['reason']}" for row in _withheld(features, this)[:5])


def _edition(this: Run) -> Any:
    from pipeline.judging.record import live_record
    from pipeline.learning.baselines import BASELINES
    from pipeline.prices.adjustments import recent_closes
    from pipeline.publishing import Edition

    settings = this.settings
    outcome = this.read("forecast", made_by="forecast")
    uploaded = this.read("upload", made_by="upload")
    frozen = _snapshot(this)
    bars = read_snapshot(frozen)
    return Edition(
        as_of=this.as_of,
        exchange=settings.exchange,
        forecasts=pd.read_parquet(this.folder / "forecasts.parquet"),
        baselines={name: pd.read_parquet(this.folder / f"baseline-{name}.parquet") for name in BASELINES},
        history=recent_closes(bars, 120),
        scores=this.read("scores", made_by="judge"),
        decision={**this.read("decision", made_by="judge"), "fallbacks": outcome["fallbacks"]},
        live=live_record(open_database(settings.database), this.symbols, this.as_of),
        audit=this.read("audit", made_by="snapshot"),
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
