"""The report's score tables: accuracy of each model on the held-out sessions.

Each score has its reference: CRPS the baselines', a comparison its test, direction the rate of "always up".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.evaluation.model_scores import CHAMPION
from pipeline.forecast_schema import BASELINES, RANGES
from pipeline.publishing import formatting, verdict
from pipeline.publishing.edition import Edition


@dataclass(frozen=True, kw_only=True)
class RangesRow:
    """One model's CRPS, skill and coverage, as they are shown."""

    name: str
    published: bool
    crps: str
    skill: str
    better: bool  # than the best baseline
    coverage: tuple[tuple[int, str], ...]  # by range


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """A trained model against a baseline, as it is shown."""

    name: str
    baseline: str
    skill: str
    t: str
    p: str
    p_holm: str
    better: bool  # by Holm's p at the gate's level


@dataclass(frozen=True, kw_only=True)
class MedianRow:
    """The quality of one model's median, as it is shown."""

    name: str
    mae: str
    direction: str
    interval: str
    up: str
    rank_ic: str
    rank_ic_t: str


def ranges(edition: Edition) -> Iterator[RangesRow]:
    """Yield, for each model, the published one first, CRPS, skill and coverage."""
    models, published = edition.scores.by_label, edition.decision.label_in(edition.scores)
    for label in _in_order(edition, models):
        scores = models[label]
        skill = verdict.skill_of(edition, scores)
        yield RangesRow(
            name=contender(edition, label),
            published=label == published,
            crps=formatting.number(scores.crps_bp),
            skill=formatting.NOTHING if skill is None else formatting.percent(skill),
            better=skill is not None and skill > 0,
            coverage=tuple((share, formatting.share(scores.coverage.get(share))) for share in RANGES),
        )


def comparisons(edition: Edition) -> Iterator[ComparisonRow]:
    """Yield, for each trained model and each baseline, the skill and its test."""
    evidence, models = edition.decision.evidence, edition.scores.by_label
    for label in _in_order(edition, models):
        for row in models[label].comparisons:
            skill = row.skill_percent
            yield ComparisonRow(
                name=contender(edition, label),
                baseline=formatting.model_name(row.baseline),
                skill=formatting.NOTHING if skill is None else formatting.percent(skill / 100),
                t=formatting.number(row.t, 2),
                p=formatting.chance(row.p),
                p_holm=formatting.chance(row.p_holm),
                better=row.p_holm is not None and evidence is not None and row.p_holm < evidence.level,
            )


def medians(edition: Edition) -> Iterator[MedianRow]:
    """Yield, for each model, the quality of the median: error, direction, rank IC."""
    models = edition.scores.by_label
    for label in _in_order(edition, models):
        scores = models[label]
        yield MedianRow(
            name=contender(edition, label),
            mae=formatting.number(scores.mae_over_random_walk, 3),
            direction=formatting.share(scores.direction),
            interval=formatting.share_range(scores.direction_low, scores.direction_high),
            up=formatting.share(scores.up),
            rank_ic=formatting.number(scores.rank_ic, 3),
            rank_ic_t=formatting.number(scores.rank_ic_t, 2),
        )


def contender(edition: Edition, label: str) -> str:
    """Return the name of one of the models scored, for people."""
    if label in BASELINES:
        return formatting.model_name(label)
    if label != CHAMPION:
        return f"{formatting.model_name(label)}, trained today"
    champion = edition.decision.champion
    if champion is None:
        return "Champion"
    trained = f", of {formatting.day(champion.as_of, weekday=False)}" if champion.as_of else ""
    return f"Champion: {formatting.model_name(champion.network, champion.version)}{trained}"


def _in_order(edition: Edition, labels: Iterable[str]) -> list[str]:
    published = edition.decision.label_in(edition.scores)
    return sorted(labels, key=lambda label: (label != published, label in BASELINES, label))
