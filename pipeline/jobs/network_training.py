"""The steps that make a model and measure it: the network, each baseline, and all of them on the same sessions.

The network and the baselines know nothing of each other, so that several workers can make them at once. Each leaves its
quantiles of the held-out windows; `compare` puts them together.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline.errors import CorruptFile, TrackingUnavailable
from pipeline.forecast_schema import BASELINES, LEVELS
from pipeline.jobs.context import Progress, Summary, digest_of, features_of, training_precision
from pipeline.jobs.incumbent import usable_champion
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import SCORES, TRAINING
from pipeline.storage.documents import to_document

if TYPE_CHECKING:
    from pipeline.evaluation.holdout import Heldout
    from pipeline.modeling.data.features import Features
    from pipeline.modeling.data.splits import Fold

_NETWORK = "network"


@dataclass(frozen=True, kw_only=True)
class _Windows:
    """What a contender gets: the features, what is trained on, and the held-out windows with what came."""

    features: "Features"
    fold: "Fold"
    heldout: "Heldout"  # no contender is in it yet


def baseline(run: Mapping[str, Any], name: str) -> Summary:
    """Forecast the held-out sessions with one baseline, and keep what it has to say of itself."""
    this = Run.from_dict(run)
    return _forecast_by(this, _windows(this), name)


def train(run: Mapping[str, Any], *, progress: Progress | None = None) -> Summary:
    """Train the network and forecast the held-out sessions with it; MLflow is told nothing of it yet.

    With too little history, or while the champion is young enough (`retrain_every`), nothing is trained and the reason
    is kept.
    """
    this = Run.from_dict(run)
    return _train(this, _windows(this), progress)


def compare(run: Mapping[str, Any]) -> Summary:
    """Score the network and every baseline on the same held-out sessions.

    Raises MissingStep where one of them is not there yet, CorruptFile where they are not of the same windows.
    """
    this = Run.from_dict(run)
    network = _kept(this, _NETWORK)
    heldout = network.without_contenders()
    for name in BASELINES:
        beside = _kept(this, name)
        if not beside.same_windows(network):
            raise CorruptFile(
                f"the baseline {name} of the run {this.key} was made on other windows than its network; "
                "run `train` again"
            )
        heldout = heldout.also(name, beside.quantiles[name])
    for name, quantiles_NHQ in network.quantiles.items():
        heldout = heldout.also(name, quantiles_NHQ)
    with this.kept.making("heldout.npz") as path:
        heldout.save(path)
    scores = heldout.scores(LEVELS)
    this.save(SCORES, scores)
    return {"crps_bp": {name: round(values.crps_bp, 2) for name, values in scores.by_label.items()}}


def train_all(run: Mapping[str, Any], *, progress: Progress | None = None) -> Summary:
    """Do all of this in this process, one after the other."""
    this = Run.from_dict(run)
    windows = _windows(this)
    for name in BASELINES:
        _forecast_by(this, windows, name)
    return {**_train(this, windows, progress), **compare(run)}


def _windows(this: Run) -> _Windows:
    from pipeline.evaluation.holdout import Heldout
    from pipeline.modeling.data import splits
    from pipeline.modeling.data.features import future_returns
    from pipeline.modeling.data.windows import usable_origins, with_targets

    settings = this.settings
    features = features_of(this)
    panel = features.panel
    future_STH = future_returns(panel.return_ST, settings.horizon)
    fold = splits.split(
        with_targets(usable_origins(features, settings.context_length), future_STH),
        panel,
        horizon=settings.horizon,
        holdout=settings.holdout_sessions,
        validation=settings.validation_sessions,
    )
    test = fold.test
    heldout = Heldout(
        symbols_N=panel.symbols_array[test.s_N],
        origins_N=panel.days(test.s_N, test.t_N),
        actual_NH=future_STH[test.s_N, test.t_N],
        quantiles={},
    )
    return _Windows(features=features, fold=fold, heldout=heldout)


def _forecast_by(this: Run, windows: _Windows, name: str) -> Summary:
    from pipeline.modeling.baselines import BASELINE_MODELS

    features, test = windows.features, windows.fold.test
    made = BASELINE_MODELS[name](features, test, horizon=this.settings.horizon, levels=LEVELS)
    _keep(this, name, windows.heldout.also(name, made.quantiles_NHQ))
    notes = {key: value for key, value in to_document(made.notes).items() if value is not None}
    this.write(f"baseline-{name}", notes)
    return {"baseline": name, "windows": len(windows.heldout.actual_NH), **notes}


def _train(this: Run, windows: _Windows, progress: Progress | None) -> Summary:
    from pipeline.modeling.data import splits
    from pipeline.modeling.diagnostics.drift import input_drift
    from pipeline.modeling.diagnostics.gradient_memory import gradient_memory_of
    from pipeline.modeling.training.train_model import retrain
    from pipeline.modeling.training.training_record import TrainingRecord

    settings = this.settings
    features, fold, heldout = windows.features, windows.fold, windows.heldout
    not_trained = splits.too_little(fold) or _not_due(this)
    if not_trained is None:
        trained = retrain(
            features,
            fold,
            settings,
            as_of=this.as_of,
            data_digest=digest_of(this),
            precision=training_precision(settings),
            progress=progress,
        )
        with this.kept.making("model") as folder:
            trained.forecaster.save(folder)
        record = replace(trained.record, gradient_memory=gradient_memory_of(trained.forecaster, features, fold.test))
        heldout = heldout.also(settings.network, trained.forecaster.quantiles(features, fold.test))
    else:
        record = TrainingRecord.without_network(settings, not_trained)
    record = replace(record, drift=input_drift(features, fold.train))
    _keep(this, _NETWORK, heldout)
    this.save(TRAINING, record)
    return {"trained": record.trained, "reason": not_trained, "seconds": record.seconds}


def _keep(this: Run, name: str, heldout: "Heldout") -> None:
    with this.kept.making(f"heldout-{name}.npz") as path:
        heldout.save(path)


def _kept(this: Run, name: str) -> "Heldout":
    from pipeline.evaluation.holdout import Heldout

    with this.reading(f"heldout-{name}.npz", made_by="train") as path:
        return Heldout.load(path)


@contextmanager
def _scratch() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)


def _not_due(this: Run) -> str | None:
    """Return in words why no network is trained in this run: the champion is young enough, and its ranges hold.

    Where MLflow cannot be asked a network is trained: the gate will know more. So it is where the champion's files are
    missing or damaged: the one that counts is the last that can be used.
    """
    settings = this.settings
    breach = this.read("live", made_by="score").get("live", {}).get("breach")
    if settings.retrain_every == 1 or breach:
        return None
    try:
        champion = usable_champion(this, _scratch).champion
    except TrackingUnavailable:
        return None
    if champion is None or champion.network != settings.network:
        return None
    age = len(settings.clock.sessions.between(champion.as_of, this.as_of)) - 1
    if age >= settings.retrain_every:
        return None
    return (
        f"the champion of {champion.as_of} is {age} session{'s' if age != 1 else ''} old, and the next is due after "
        f"{settings.retrain_every}"
    )
