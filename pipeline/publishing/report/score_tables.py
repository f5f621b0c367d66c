"""The report's score tables: accuracy of each model on the held-out sessions.

Each score has its reference: CRPS the baselines', a comparison its test, direction the rate of "always up".
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.evaluation.model_scores import CHAMPION
from pipeline.forecast_schema import BASELINES, RANGES
from pipeline.publishing import formatting, verdict
from pipeline.publishing.edition import Edition


def ranges(edition: Edition) -> Iterator[dict[str, Any]]:
    """Yield, for each model, the published one first, CRPS, skill and coverage."""
    models, published = edition.scores.by_label, edition.decision.label_in(edition.scores)
    for label in _in_order(edition, models):
        scores = models[label]
        skill = verdict.skill_of(edition, scores)
        yield {
            "name": contender(edition, label),
            "published": label == published,
            "crps": formatting.number(scores.crps_bp),
            "skill": formatting.NOTHING if skill is None else formatting.percent(skill),
            "better": skill is not None and skill > 0,
            "coverage": [(share, formatting.share(scores.coverage.get(share))) for share in RANGES],
        }


def comparisons(edition: Edition) -> Iterator[dict[str, Any]]:
    """Yield, for each trained model and each baseline, the skill and its test."""
    evidence, models = edition.decision.evidence, edition.scores.by_label
    for label in _in_order(edition, models):
        for row in models[label].comparisons:
            yield {
                "name": contender(edition, label),
                "baseline": formatting.model_name(row.baseline),
                "skill": formatting.NOTHING
                if row.skill_percent is None
                else formatting.percent(row.skill_percent / 100),
                "t": formatting.number(row.t, 2),
                "p": formatting.chance(row.p),
                "p_holm": formatting.chance(row.p_holm),
                "better": row.p_holm is not None and evidence is not None and row.p_holm < evidence.level,
            }


def medians(edition: Edition) -> Iterator[dict[str, Any]]:
    """Yield, for each model, the quality of the median: error, direction, rank IC."""
    models = edition.scores.by_label
    for label in _in_order(edition, models):
        scores = models[label]
        yield {
            "name": contender(edition, label),
            "mae": formatting.number(scores.mae_over_random_walk, 3),
            "direction": formatting.share(scores.direction),
            "interval": formatting.share_range(scores.direction_low, scores.direction_high),
            "up": formatting.share(scores.up),
            "rank_ic": formatting.number(scores.rank_ic, 3),
            "rank_ic_t": formatting.number(scores.rank_ic_t, 2),
        }


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
