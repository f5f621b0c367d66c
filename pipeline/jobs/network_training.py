"""The training steps: train the network, forecast with each baseline, score all of them on the same sessions.

The network and the baselines are independent, so that several workers can run them in parallel. Each leaves its
quantiles of the held-out windows; `compare` joins and scores them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.errors import CorruptFile, TrackingUnavailable
from pipeline.forecast_schema import BASELINE_FAMILIES, LEVELS
from pipeline.jobs.context import Progress, baselines_of, digest_of, features_of, training_precision
from pipeline.jobs.incumbent import usable_champion
from pipeline.jobs.results import BaselineResult, CompareResult, TrainAllResult, TrainResult
from pipeline.jobs.run import Run
from pipeline.jobs.run_artifacts import HELDOUT, LIVE, MODEL, NETWORK, SCORES, TRAINING, baseline_notes, heldout_by

if TYPE_CHECKING:
    from pipeline.evaluation.holdout import Heldout
    from pipeline.modeling.data.features import Features
    from pipeline.modeling.data.splits import Fold


@dataclass(frozen=True, kw_only=True)
class _Windows:
    """The input of a model: features, training windows, and the held-out windows with their outcomes."""

    features: "Features"
    fold: "Fold"
    heldout: "Heldout"  # without any model's quantiles yet


def baseline(run: Run, family: str) -> BaselineResult:
    """Forecast the held-out sessions with the baselines of one family, and write their quantiles and notes."""
    return _forecast_by(run, _windows(run), family)


def train(run: Run, *, progress: Progress | None = None) -> TrainResult:
    """Train the network and forecast the held-out sessions with it, without MLflow.

    With too little history, or while the champion is recent enough (`retrain_every`), nothing is trained and the reason
    is recorded.
    """
    return _train(run, _windows(run), progress)


def compare(run: Run) -> CompareResult:
    """Score the network and every baseline on the same held-out sessions.

    Raises MissingStep if one of them is missing, CorruptFile if they are not of the same windows.
    """
    network = _load_heldout(run, NETWORK)
    heldout = network.without_contenders()
    for name in baselines_of(run):
        baseline_heldout = _load_heldout(run, name)
        if not baseline_heldout.same_windows(network):
            raise CorruptFile(
                f"the baseline {name} of the run {run.key} was made on other windows than its network; "
                "run `train` again"
            )
        heldout = heldout.also(name, baseline_heldout.quantiles[name])
    for name, quantiles_NHQ in network.quantiles.items():
        heldout = heldout.also(name, quantiles_NHQ)
    with run.making(HELDOUT) as path:
        heldout.save(path)
    scores = heldout.scores(LEVELS)
    run.save(SCORES, scores)
    return CompareResult(crps_bp={name: round(values.crps_bp, 2) for name, values in scores.by_label.items()})


def train_all(run: Run, *, progress: Progress | None = None) -> TrainAllResult:
    """Run all of these steps in this process, in sequence."""
    windows = _windows(run)
    for family in BASELINE_FAMILIES:
        _forecast_by(run, windows, family)
    trained, compared = _train(run, windows, progress), compare(run)
    return TrainAllResult(
        trained=trained.trained, reason=trained.reason, seconds=trained.seconds, crps_bp=compared.crps_bp
    )


def _windows(run: Run) -> _Windows:
    from pipeline.evaluation.holdout import Heldout
    from pipeline.modeling.data import splits
    from pipeline.modeling.data.features import future_returns
    from pipeline.modeling.data.windows import usable_origins, with_targets

    settings = run.settings
    features = features_of(run)
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
        event_N=features.report_due(test.s_N, test.t_N),
    )
    return _Windows(features=features, fold=fold, heldout=heldout)


def _forecast_by(run: Run, windows: _Windows, family: str) -> BaselineResult:
    from pipeline.modeling.baselines import baseline_forecasts

    features, test = windows.features, windows.fold.test
    made = baseline_forecasts(features, test, horizon=run.settings.horizon, levels=LEVELS, families=[family])
    for name, forecast in made.items():
        _save_heldout(run, name, windows.heldout.also(name, forecast.quantiles_NHQ))
        run.save(baseline_notes(name), forecast.notes)
    notes = {field.name: getattr(made[family].notes, field.name) for field in fields(made[family].notes)}
    return BaselineResult(baseline=family, windows=len(windows.heldout.actual_NH), **notes)


def _train(run: Run, windows: _Windows, progress: Progress | None) -> TrainResult:
    from pipeline.modeling.data import splits
    from pipeline.modeling.diagnostics.drift import input_drift
    from pipeline.modeling.diagnostics.gradient_memory import gradient_memory_of
    from pipeline.modeling.training.train_model import retrain
    from pipeline.modeling.training.training_record import TrainingRecord

    settings = run.settings
    features, fold, heldout = windows.features, windows.fold, windows.heldout
    not_trained = splits.too_little(fold) or _not_due(run)
    if not_trained is None:
        trained = retrain(
            features,
            fold,
            settings,
            as_of=run.as_of,
            data_digest=digest_of(run),
            precision=training_precision(settings),
            progress=progress,
        )
        with run.making(MODEL) as folder:
            trained.forecaster.save(folder)
        record = replace(trained.record, gradient_memory=gradient_memory_of(trained.forecaster, features, fold.test))
        heldout = heldout.also(settings.network, trained.forecaster.quantiles(features, fold.test))
    else:
        record = TrainingRecord.without_network(settings, not_trained)
    record = replace(record, drift=input_drift(features, fold.train))
    _save_heldout(run, NETWORK, heldout)
    run.save(TRAINING, record)
    return TrainResult(trained=record.trained, reason=not_trained, seconds=record.seconds)


def _save_heldout(run: Run, name: str, heldout: "Heldout") -> None:
    with run.making(heldout_by(name)) as path:
        heldout.save(path)


def _load_heldout(run: Run, name: str) -> "Heldout":
    from pipeline.evaluation.holdout import Heldout

    with run.reading(heldout_by(name)) as path:
        return Heldout.load(path)


@contextmanager
def _scratch() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)


def _not_due(run: Run) -> str | None:
    """Return why no network is trained in this run: the champion is recent enough and its coverage in bounds.

    A network is trained if MLflow is unreachable, since the gate decides later. Champions with missing or damaged files
    do not count.
    """
    settings = run.settings
    live = run.load(LIVE).live
    if settings.retrain_every == 1 or (live and live.breach):
        return None
    try:
        champion = usable_champion(run, _scratch).champion
    except TrackingUnavailable:
        return None
    if champion is None or champion.network != settings.network:
        return None
    age = len(settings.clock.sessions.between(champion.as_of, run.as_of)) - 1
    if age >= settings.retrain_every:
        return None
    return (
        f"the champion of {champion.as_of} is {age} session{'s' if age != 1 else ''} old, and the next is due after "
        f"{settings.retrain_every}"
    )
