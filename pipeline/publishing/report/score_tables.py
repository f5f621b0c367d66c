"""How good each model was on the held-out sessions, and against what: the rows of the report's tables of scores.

No score stands alone: CRPS beside the baselines', each comparison with its test, direction beside "always up".
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.forecast_schema import BASELINES
from pipeline.publishing import formatting, verdict
from pipeline.publishing.edition import Edition

Models = Mapping[str, Mapping[str, Any]]


def ranges(edition: Edition) -> Iterator[dict[str, Any]]:
    """Yield, for each model, the published one first, how good its ranges were."""
    models: Models = edition.scores.get("models", {})
    published = verdict.scores_key(edition.decision, edition.scores)
    for name in _in_order(edition, models):
        scores, gain = models[name], verdict.advantage(edition, name)
        yield {
            "name": contender(edition, name),
            "published": name == published,
            "crps": formatting.number(scores.get("crps_bp")),
            "skill": formatting.NOTHING if gain is None else formatting.percent(gain),
            "better": gain is not None and gain > 0,
            "coverage": [formatting.share(scores.get(f"coverage_{each}")) for each in (50, 80, 90)],
        }


def comparisons(edition: Edition) -> Iterator[dict[str, Any]]:
    """Yield, for each trained model and each baseline, the skill and whether it may be chance."""
    level = (edition.decision.get("evidence") or {}).get("level")
    rows = edition.scores.get("comparisons") or ()
    names = _in_order(edition, {str(row["model"]): {} for row in rows})
    for row in sorted(rows, key=lambda row: names.index(str(row["model"]))):
        skill, holm = formatting.known(row.get("skill_percent")), formatting.known(row.get("p_holm"))
        yield {
            "name": contender(edition, str(row["model"])),
            "baseline": formatting.model_name(str(row["baseline"])),
            "skill": formatting.NOTHING if skill is None else formatting.percent(skill / 100),
            "t": formatting.number(row.get("t"), 2),
            "p": formatting.chance(row.get("p")),
            "p_holm": formatting.chance(row.get("p_holm")),
            "better": holm is not None and level is not None and holm < level,
        }


def medians(edition: Edition) -> Iterator[dict[str, Any]]:
    """Yield, for each model, how good the middle of its ranges was: error, direction, order of the symbols."""
    models: Models = edition.scores.get("models", {})
    for name in _in_order(edition, models):
        scores = models[name]
        yield {
            "name": contender(edition, name),
            "mae": formatting.number(scores.get("mae_over_random_walk"), 3),
            "direction": formatting.share(scores.get("direction")),
            "interval": formatting.share_range(scores.get("direction_low"), scores.get("direction_high")),
            "up": formatting.share(scores.get("up")),
            "rank_ic": formatting.number(scores.get("rank_ic"), 3),
            "rank_ic_t": formatting.number(scores.get("rank_ic_t"), 2),
        }


def contender(edition: Edition, name: str) -> str:
    """Return the name of one of the models scored, for people."""
    if name in BASELINES:
        return formatting.model_name(name)
    if name != "champion":
        return f"{formatting.model_name(name)}, trained today"
    champion = edition.decision.get("champion") or {}
    trained = f", of {formatting.iso_day(str(champion['as_of']))}" if champion.get("as_of") else ""
    return (
        f"Champion: {formatting.model_name(str(champion.get('network', 'network')), champion.get('version'))}{trained}"
    )


def _in_order(edition: Edition, models: Models) -> list[str]:
    published = verdict.scores_key(edition.decision, edition.scores)
    return sorted(models, key=lambda name: (name != published, name in BASELINES, name))
