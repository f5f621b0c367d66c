"""The steps about models: training one, taking it to MLflow, and putting it through the gate."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.config import LEVELS
from pipeline.database.engine import open_database
from pipeline.errors import CorruptFile, TrackingUnavailable
from pipeline.jobs.common import Progress, Summary, features_of, snapshot_of
from pipeline.prices.snapshot import read_snapshot
from pipeline.runs import Run

if TYPE_CHECKING:
    from pipeline.judging.heldout import Heldout
    from pipeline.learning.features import Features
    from pipeline.learning.panel import Array
    from pipeline.learning.windows import Origins
    from pipeline.tracking.registry import Registered


def train(run: Mapping[str, Any], *, progress: Progress | None = None) -> Summary:
    """Train the network and score it beside the baselines on the held-out sessions. All of it goes to disk, no further.

    With too little history, or while the champion is young enough (`retrain_every`), nothing is trained, the baselines
    are scored alone, and the reason is kept.
    """
    from pipeline.learning import baselines, folds
    from pipeline.learning.drift import input_drift
    from pipeline.learning.features import future_returns
    from pipeline.learning.retraining import parameters, retrain
    from pipeline.learning.windows import usable_origins, with_targets

    this = Run.from_dict(run)
    settings = this.settings
    features = features_of(this)
    future_STH = future_returns(features.panel.return_ST, settings.horizon)
    usable = usable_origins(features, settings.context_length)
    fold = folds.split(
        with_targets(usable, future_STH),
        features.panel,
        horizon=settings.horizon,
        holdout=settings.holdout_sessions,
        validation=settings.validation_sessions,
    )
    not_trained = folds.too_little(fold) or _not_due(this)
    heldout = _heldout(features, fold.test, future_STH)
    for name, baseline in baselines.BASELINES.items():
        heldout = heldout.also(name, baseline(features, fold.test, horizon=settings.horizon, levels=LEVELS))
    if not_trained is None:
        digest = snapshot_of(this).digest
        trained = retrain(features, fold, settings, as_of=this.as_of, data_digest=digest, progress=progress)
        trained.forecaster.save(this.folder / "model")
        training = trained.story
        heldout = heldout.also(settings.network, trained.forecaster.quantiles(features, fold.test))
    else:
        training = {"parameters": parameters(settings), "curves": {}, "seconds": 0.0, "not_trained": not_trained}
    training["drift"] = input_drift(features, fold.train)
    heldout.save(this.folder / "heldout.npz")
    scores = heldout.scores(LEVELS)
    this.write("scores", scores)
    this.write("training", training)
    crps = {name: round(values["crps_bp"], 2) for name, values in scores["models"].items()}
    return {"trained": not_trained is None, "reason": not_trained, "seconds": training["seconds"], "crps_bp": crps}


def _not_due(this: Run) -> str | None:
    """Return in words why no network is trained in this run: the champion is young enough, and its ranges hold.

    Where MLflow cannot be asked a network is trained: the gate will know more.
    """
    from pipeline.tracking import registry

    settings = this.settings
    breach = this.read("live", made_by="score").get("live", {}).get("breach")
    if settings.retrain_every == 1 or breach:
        return None
    try:
        champion = registry.champion_before(settings, this.as_of)
    except TrackingUnavailable:
        return None
    if champion is None or champion.network != settings.network:
        return None
    age = len(settings.sessions.between(champion.as_of, this.as_of)) - 1
    if age >= settings.retrain_every:
        return None
    return (
        f"the champion of {champion.as_of} is {age} session{'s' if age != 1 else ''} old, and the next is due after "
        f"{settings.retrain_every}"
    )


def upload(run: Mapping[str, Any], *, try_number: int = 1) -> Summary:
    """Take what training left to MLflow: one run there for this run, and the model as the challenger."""
    from pipeline.publishing import charts
    from pipeline.tracking import provenance, registry, runs

    this = Run.from_dict(run)
    settings = this.settings
    training, scores = this.read("training", made_by="train"), this.read("scores", made_by="train")
    frozen = snapshot_of(this)
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
    (this.folder / "figures").mkdir(exist_ok=True)
    figures = {"scores": this.folder / "figures" / "scores.png"} if scores["models"] else {}
    if training["curves"]:
        figures["training"] = this.folder / "figures" / "training.png"
        charts.training_chart(training["curves"], figures["training"], best_step=training["best_step"])
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
    runs.log_audit(settings, run_id, this.read("audit", made_by="ingest"))
    runs.log_metrics(settings, run_id, {f"drift/psi_{name}": value for name, value in training["drift"].items()})
    _log_record(this, run_id)
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


def _log_record(this: Run, run_id: str) -> None:
    """Record how earlier forecasts did: in short with the run, and session by session in an experiment of its own."""
    from pipeline.judging import live
    from pipeline.judging.record import live_record
    from pipeline.tracking import runs
    from pipeline.tracking.live import log_record

    settings, kept = this.settings, this.read("live", made_by="score")
    shown = {f"{kind}/{name}": value for kind in live.NOTES for name, value in kept.get(kind, {}).items()}
    runs.log_metrics(settings, run_id, {name: value for name, value in shown.items() if not isinstance(value, str)})
    record = live_record(open_database(settings.database), settings.source, this.symbols, this.as_of)
    for kind, part in live.by_kind(record).items():
        log_record(settings, kind, live.by_session(part), live.by_symbol(part), live.NOTES[kind])


def judge(run: Mapping[str, Any]) -> Summary:
    """Put challenger, champion and baselines through the gate on the same held-out sessions; promote if it says so."""
    from pipeline.judging import gate
    from pipeline.judging.heldout import Heldout
    from pipeline.learning.baselines import BASELINES
    from pipeline.tracking import registry, runs

    this = Run.from_dict(run)
    settings = this.settings
    uploaded = this.read("upload", made_by="train")
    training = this.read("training", made_by="train")
    digest = snapshot_of(this).digest
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


def _heldout(features: "Features", test: "Origins", future_STH: "Array") -> "Heldout":
    from pipeline.judging.heldout import Heldout

    panel = features.panel
    return Heldout(
        symbols_N=panel.symbols_array[test.s_N],
        origins_N=panel.days(test.s_N, test.t_N),
        actual_NH=future_STH[test.s_N, test.t_N],
        quantiles={},
    )


def _example(bars: pd.DataFrame, context_length: int) -> pd.DataFrame:
    """Return a short price history as a stranger would post it."""
    symbol = bars["symbol"].value_counts().sort_index(kind="stable").idxmax()
    tail = bars[bars["symbol"] == symbol].tail(2 * context_length)
    table = tail.rename(columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"})
    return table.drop(columns="currency").assign(date=table["date"].dt.strftime("%Y-%m-%d")).reset_index(drop=True)


def _with_champion(this: Run, heldout: "Heldout", champion: "Registered") -> tuple["Heldout", str | None]:
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
    if card.targets_last:
        seen = date.fromisoformat(card.targets_last) + timedelta(days=1)
    else:  # a model from before this was written down
        seen = this.settings.sessions.shift(date.fromisoformat(card.train_last), card.horizon + 1)
    fair = heldout.since(pd.Timestamp(seen))
    if not len(fair.actual_NH):
        return heldout, "the champion has trained on the held-out sessions and cannot be compared on them"
    features = features_of(this)
    origins = _origins_of(features, fair)
    whole = _whole_context(features, origins, card.context_length)
    if not whole:
        return heldout, f"the champion reads {card.context_length} sessions, more than the held-out windows have"
    quantiles_NHQ = forecaster.quantiles(features, origins)
    return fair.also("champion", quantiles_NHQ[:, : this.settings.horizon]), None


def _origins_of(features: "Features", heldout: "Heldout") -> "Origins":
    from pipeline.learning.windows import Origins

    s_N, t_N = features.panel.positions(heldout.symbols_N, heldout.origins_N)
    return Origins(s_N=s_N, t_N=t_N)


def _whole_context(features: "Features", origins: "Origins", context_length: int) -> bool:
    from pipeline.learning.windows import usable_origins

    usable = usable_origins(features, context_length)
    known = set(zip(usable.s_N.tolist(), usable.t_N.tolist(), strict=True))
    return all(pair in known for pair in zip(origins.s_N.tolist(), origins.t_N.tolist(), strict=True))
