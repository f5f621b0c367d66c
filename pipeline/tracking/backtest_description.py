"""The description of a backtest's MLflow runs in Markdown: result, prices, code and Airflow run."""

from collections.abc import Mapping

from pipeline.evaluation.backtest_results import BacktestSummary, FoldPlan
from pipeline.modeling.training.training_record import TrainingRecord
from pipeline.tracking.description import code_section, prices_section
from pipeline.tracking.event_scores import event_markdown, event_rows
from pipeline.tracking.markdown import escape


def backtest_name(tags: Mapping[str, str], first: str = "") -> str:
    """Return the name of a backtest's run: its sessions, network and refit interval.

    The first session is unknown while only a fold is being recorded.
    """
    span = f"{first} to {tags['as_of']}" if first else f"until {tags['as_of']}"
    trial = " (trial)" if "trial" in tags else ""
    return f"{span} {tags['network']}, refit every {tags['refit_every']}{trial}"


def fold_name(fold: FoldPlan, network: str) -> str:
    """Return the name of a fold's run."""
    return f"{fold.first} to {fold.last} {network}, fold {fold.number}"


def describe_backtest(tags: Mapping[str, str], summary: BacktestSummary) -> str:
    """Return the description of a backtest from its run's tags and its summary."""
    trial = f"**Trial:** {escape(tags['trial'])}.\n\n" if "trial" in tags else ""
    return _sections({"Result": trial + _result(summary), **_origin(tags)})


def describe_fold(tags: Mapping[str, str], fold: FoldPlan, training: TrainingRecord) -> str:
    """Return the description of a fold from its run's tags, its plan and its training."""
    return _sections({f"Fold {fold.number}": _fold(fold, training), **_origin(tags)})


def _origin(tags: Mapping[str, str]) -> dict[str, str]:
    return {"Prices": prices_section(tags), "Code": code_section(tags)}


def _sections(sections: Mapping[str, str]) -> str:
    return "\n\n".join(f"### {title}\n{text}" for title, text in sections.items())


def _result(summary: BacktestSummary) -> str:
    windows, models = summary.windows, summary.scores.by_label
    untrained = [fold for fold in summary.folds if not fold.trained]
    scope = (
        f"Walk-forward evaluation from {summary.first} to {summary.last}: {len(summary.folds)} folds, a new "
        f"model every {summary.refit_every} sessions. {windows['scored']} of {windows['forecast']} origins are "
        "scored, for every model on the same sessions. Lower CRPS is better."
    )
    lines = [
        scope,
        "",
        "| model | CRPS, bp | 90 % coverage |",
        "| --- | ---: | ---: |",
        *(
            f"| {escape(name)} | {values.crps_bp:.2f} | {100 * values.coverage[90]:.1f} % |"
            for name, values in sorted(models.items(), key=lambda item: item[1].crps_bp)
        ),
        "",
        *((event_markdown(summary.scores), "") if event_rows(summary.scores) else ()),
        *(f"Without a network: {fold.first} to {fold.last}, {escape(fold.reason)}." for fold in untrained),
    ]
    return "\n".join(lines).strip()


def _fold(fold: FoldPlan, training: TrainingRecord) -> str:
    first, last = fold.first, fold.last
    if training.not_trained is not None:
        return f"No network forecasts {first} to {last}: {escape(training.not_trained)}."
    seen = f"{training.train.first} to {(training.validation or training.train).last}" if training.train else "?"
    return f"The network was trained on windows of {seen} and forecasts from {first} to {last}."
