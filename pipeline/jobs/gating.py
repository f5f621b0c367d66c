"""The gate step: compare challenger, champion and baselines on the same held-out sessions, and choose one."""

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.evaluation.decision import Champion, Decision, Evidence
from pipeline.evaluation.model_scores import CHAMPION, ModelScores
from pipeline.forecast_schema import BASELINES, INPUTS, LEVELS
from pipeline.jobs.context import digest_of, features_of
from pipeline.jobs.incumbent import usable_champion
from pipeline.jobs.results import JudgeResult
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import CHAMPION as CHAMPION_MODEL
from pipeline.jobs.run_artifacts import DECISION, HELDOUT, SCORES, TRAINING, UPLOAD

if TYPE_CHECKING:
    from pipeline.evaluation.holdout import Heldout
    from pipeline.modeling.data.features import Features
    from pipeline.modeling.data.windows import Origins
    from pipeline.modeling.forecaster import Forecaster
    from pipeline.tracking.registry import Registered


def judge(run: Run) -> JudgeResult:
    """Apply the gate to challenger, champion and baselines on the same held-out sessions; promote if it decides so."""
    from pipeline.evaluation import gate
    from pipeline.evaluation.holdout import Heldout
    from pipeline.tracking import registry, runs
    from pipeline.tracking.mlflow_run import MlflowRun

    settings = run.settings
    uploaded, training = run.load(UPLOAD), run.load(TRAINING)
    digest = digest_of(run)
    with run.reading(HELDOUT) as path:
        heldout = Heldout.load(path)
    heldout, champion, no_champion, skipped = _with_champion(run, heldout)
    none_before = _none_before(run) if champion is None else ""
    scores = heldout.scores(LEVELS)

    def contender(name: str, version: str, scored: ModelScores, expired: str | None = None) -> gate.Contender:
        suspect = tuple(scored.alarms)
        return gate.Contender(model=name, version=version, crps_bp=scored.crps_bp, suspect=suspect, expired=expired)

    evidence = Evidence(level=settings.gate_level)
    best = gate.best_baseline(scores.models, BASELINES)
    if best is not None:
        challenger, trained = None, scores.models.get(settings.network)
        if trained is not None and uploaded.model_version is not None:
            challenger = contender(settings.network, uploaded.model_version, trained)
            evidence = Evidence(
                level=settings.gate_level,
                against_baseline=heldout.better(settings.network, best, LEVELS),
                against_champion=heldout.better(settings.network, CHAMPION, LEVELS) if champion else None,
            )
        incumbent = None
        if champion and scores.champion:
            incumbent = contender(champion.network, champion.version, scores.champion, _expired(run, champion))
        decision = gate.decide(
            challenger,
            incumbent,
            contender(best, digest[:12], scores.models[best]),
            evidence=evidence,
            not_trained=training.not_trained,
            no_champion=no_champion,
            none_before=none_before,
            skipped=skipped,
        )
    else:
        best = "ewma_historical"
        why = f"No network was trained: {training.not_trained}. " if training.not_trained else ""
        decision = Decision(
            model=best,
            model_version=digest[:12],
            reason=f"{why}There are no held-out sessions yet, so the baseline is published without an evaluation.",
            challenger_outcome="unjudged",
            champion_outcome="none",
        )
        no_champion = "nothing is held out to compare a champion on"
    decision = replace(
        decision,
        reason=_with_trial(run, decision.reason, promoted=decision.promoted),
        champion=_reference(champion),
        no_champion=None if champion else no_champion or none_before,
        trial=run.trial,
        registered=decision.promoted and run.standing,
        best_baseline=best,
        evidence=evidence,
        suspect=scores.suspects,
    )
    run.save(SCORES, scores)
    run.save(DECISION, decision)
    if decision.registered:
        registry.promote(settings, str(decision.model_version), run.as_of)
    logged = MlflowRun(settings=settings, run_id=uploaded.mlflow_run_id)
    runs.log_decision(logged, scores=scores, decision=decision)
    return JudgeResult(
        model=decision.model,
        model_version=str(decision.model_version),
        promoted=decision.promoted,
        reason=decision.reason,
    )


def _reference(champion: "Registered | None") -> Champion | None:
    if champion is None:
        return None
    return Champion(version=champion.version, as_of=champion.as_of, network=champion.network)


def _with_trial(run: Run, reason: str, *, promoted: bool) -> str:
    """Return the reason; for a trial whose network passed, add that the champion stays."""
    if not promoted or run.standing:
        return reason
    return f"{reason} This run is a trial: its network is published in this edition and does not become champion."


def _none_before(run: Run) -> str:
    """Return why the run's source has no champion from before its session.

    Later promotions do not change it: a repeated run gives the same reason.
    """
    from pipeline.tracking import registry

    settings = run.settings
    if registry.withdrawn_before(settings, run.as_of):
        return f"every champion of the source {settings.source} from before {run.as_of} was withdrawn"
    return f"the source {settings.source} has no champion from before {run.as_of}"


def _expired(run: Run, champion: "Registered") -> str | None:
    """Return why a champion is too old to be published, or None."""
    age = len(run.settings.clock.sessions.between(champion.as_of, run.as_of)) - 1
    limit = run.settings.champion_expires_after
    return f"it is {age} sessions old and has expired after {limit}" if age > limit else None


def _with_champion(run: Run, heldout: "Heldout") -> tuple["Heldout", "Registered | None", str | None, list[str]]:
    """Return the windows with the champion's quantiles, the champion, why there is none, and which were skipped.

    The champion is the latest one whose files are intact.
    """
    champion, forecaster, skipped = usable_champion(run, lambda: run.making(CHAMPION_MODEL))
    if champion is None or forecaster is None:
        return heldout, None, "no champion can be used" if skipped else None, skipped
    heldout, problem = _with_quantiles(run, heldout, forecaster)
    return heldout, None if problem else champion, problem, skipped


def _with_quantiles(run: Run, heldout: "Heldout", forecaster: "Forecaster") -> tuple["Heldout", str | None]:
    """Return the windows with the champion's quantiles, or unchanged with the reason why it cannot be compared."""
    card = forecaster.card
    if card.horizon < run.settings.horizon or card.levels != LEVELS:
        return (
            heldout,
            f"the champion forecasts {card.horizon} sessions and cannot be compared over {run.settings.horizon}",
        )
    if gone := sorted(set(card.features) - set(INPUTS)):
        return heldout, f"the champion reads {', '.join(gone)}, which is no longer an input"
    # Its training windows and their targets must be earlier than the sessions that it is evaluated on.
    if card.targets_last:
        seen = date.fromisoformat(card.targets_last) + timedelta(days=1)
    else:  # a model of an older version
        sessions = run.settings.clock.sessions
        seen = sessions.shift(sessions.at_or_before(date.fromisoformat(card.train_last)), card.horizon + 1)
    fair = heldout.since(pd.Timestamp(seen))
    if not len(fair.actual_NH):
        return heldout, "the champion has trained on the held-out sessions and cannot be compared on them"
    features = features_of(run)
    origins = _origins_of(features, fair)
    whole = _whole_context(features, origins, card.context_length)
    if not whole:
        return heldout, f"the champion reads {card.context_length} sessions, more than the held-out windows have"
    quantiles_NHQ = forecaster.quantiles(features, origins)
    return fair.also(CHAMPION, quantiles_NHQ[:, : run.settings.horizon]), None


def _origins_of(features: "Features", heldout: "Heldout") -> "Origins":
    from pipeline.modeling.data.windows import Origins

    s_N, t_N = features.panel.positions(heldout.symbols_N, heldout.origins_N)
    return Origins(s_N=s_N, t_N=t_N)


def _whole_context(features: "Features", origins: "Origins", context_length: int) -> bool:
    from pipeline.modeling.data.windows import usable_origins

    usable = usable_origins(features, context_length)
    known = set(zip(usable.s_N.tolist(), usable.t_N.tolist(), strict=True))
    return all(pair in known for pair in zip(origins.s_N.tolist(), origins.t_N.tolist(), strict=True))
