"""The verdict on an edition in words: which model is published, why, and how well calibrated its ranges are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import ModelScores
from pipeline.forecast_schema import BASELINES
from pipeline.publishing.formatting import NOTHING, day, in_prose, model_name, number, percent, share

if TYPE_CHECKING:  # pandas, which a table in the terminal does without
    from pipeline.publishing.edition import Edition

# A difference from the nominal coverage up to the first counts as calibrated, above the second as miscalibrated.
_CALIBRATED, _MISCALIBRATED = 0.015, 0.04


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The box at the top of the report."""

    tone: str  # "network" or "baseline"
    title: str
    reason: str
    evidence: str
    calibration: str


def verdict_on(edition: "Edition") -> Verdict:
    """Return which model is published today, why, and how well calibrated its ranges are."""
    baseline = edition.model in BASELINES
    return Verdict(
        tone="baseline" if baseline else "network",
        title=_title(edition, baseline),
        reason=edition.decision.reason,
        evidence=_evidence(edition),
        calibration=_calibration(edition.published_scores),
    )


def headline(edition: "Edition") -> str:
    """Return the edition in one line, for logs and the terminal."""
    count = len(edition.symbols)
    withheld = f", {len(edition.withheld)} withheld" if edition.withheld else ""
    by = edition.model if edition.model in edition.models else edition.models[0]
    version = edition.model_version if by == edition.model else None
    trial = f" ({trial_note(edition.trial).replace('Trial', 'trial', 1)})" if edition.trial else ""
    return (
        f"{edition.as_of} {edition.exchange}: {count} symbol{'s' * (count != 1)}{withheld}, "
        f"{edition.horizon} session{'s' * (edition.horizon != 1)} ahead, "
        f"by {in_prose(by) if by in BASELINES else model_name(by, version)}"
        f"{f'; estimated dates: {_some(edition.estimated)}' if edition.estimated else ''}{trial}"
    )


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def skill_of(edition: "Edition", scores: ModelScores) -> float | None:
    """Return a model's skill: 1 - CRPS / the best baseline's, above 0 where the model is better; None if unknown."""
    baseline = edition.scores.models.get(edition.best_baseline or "")
    return 1 - scores.crps_bp / baseline.crps_bp if baseline is not None and baseline.crps_bp else None


_CHALLENGER = {
    "not_trained": "no network was trained",
    "suspect": "today's network is suspect",
    "worse": "today's network did not beat the best baseline",
    "by_chance": "today's network did not beat the best baseline beyond chance",
    "behind_champion": "today's network did not beat the champion beyond chance",
}


_CHAMPION = {
    "none": "",
    "unusable": "the champion cannot be compared",
    "expired": "the champion has expired",
    "suspect": "the champion is suspect",
    "worse": "the champion did not beat the best baseline",
}


def _title(edition: "Edition", baseline: bool) -> str:
    name = model_name(edition.model, edition.model_version)
    if baseline:
        return f"{_why_a_baseline(edition.decision)}, so {in_prose(edition.model)} is published"
    if promoted := edition.decision.promoted:
        title = "Today's network is published"
    else:
        champion = edition.decision.champion
        trained = f" of {day(champion.as_of, weekday=False)}" if champion and champion.as_of else ""
        title = f"The champion{trained} is published"
    if edition.model in edition.models:
        return f"{title}: {name}"
    who = "Today's network" if promoted else title.removesuffix(" is published")
    others = " and ".join(in_prose(each) for each in edition.models)
    return f"{who}, {name}, can forecast none of the symbols, so {others} is published"


def _why_a_baseline(decision: Decision) -> str:
    """Return why no network is published, as the beginning of a title."""
    challenger, champion = _outcomes(decision)
    if challenger == "unjudged":
        return "No session is held out yet to evaluate a network on"
    if challenger in ("worse", "by_chance") and champion in ("none", "worse"):
        return "No network beat the best baseline beyond chance"
    parts = [part for part in (_CHALLENGER.get(challenger, ""), _CHAMPION.get(champion, "")) if part]
    reason = " and ".join(parts) or "no network may be published"
    return f"{reason[:1].upper()}{reason[1:]}"


def _outcomes(decision: Decision) -> tuple[str, str]:
    """Return the outcomes for challenger and champion. A decision of an older version says so only in its reason."""
    if decision.challenger_outcome:
        return decision.challenger_outcome, decision.champion_outcome or "none"
    reason = decision.reason
    if "no held-out sessions" in reason:
        return "unjudged", "none"
    if reason.startswith("No network was trained"):
        return "not_trained", "expired" if "expired" in reason else "none"
    return "worse", "none"


def trial_note(trial: Sequence[str], *, standing: bool = False) -> str:
    """Return that an edition is a trial, and how it differs from the standing configuration; "" where it is none.

    `standing` says that it was made the session's standing edition all the same.
    """
    if not trial:
        return ""
    return f"Trial{', published as the standing edition on request' if standing else ''}: {', '.join(trial)}"


def _evidence(edition: "Edition") -> str:
    scores, published = edition.scores, edition.published_scores
    if published is None:
        return "There are no held-out scores for it."
    first, last = (NOTHING if when is None else day(when, weekday=False) for when in (scores.first, scores.last))
    error = f"its CRPS was {number(published.crps_bp)} basis points"
    start = f"On {scores.sessions} held-out sessions ({first} to {last}) {error}"
    gain = skill_of(edition, published)
    if gain is None or edition.model in BASELINES:
        return f"{start}."
    return f"{start}: skill {percent(gain)} against the best baseline, {in_prose(edition.best_baseline)}."


def _calibration(scores: ModelScores | None) -> str:
    held = None if scores is None else scores.coverage.get(90)
    if held is None:
        return "The coverage of its ranges is not known."
    off, closes = held - 0.9, f"they contained {share(held)} of the closes"
    if abs(off) <= _CALIBRATED:
        return f"Its 90 % ranges are calibrated: {closes}."
    if abs(off) <= _MISCALIBRATED:
        return f"Its 90 % ranges are slightly too {'narrow' if off < 0 else 'wide'}: {closes}."
    if off < 0:
        return f"Its 90 % ranges are too narrow: {closes}. Expect more than one close in ten outside them."
    return f"Its 90 % ranges are too wide: {closes}."
