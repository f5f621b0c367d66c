"""Which model an edition is published by, why, and how far its ranges can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import ModelScores
from pipeline.forecast_schema import BASELINES
from pipeline.publishing.formatting import NOTHING, day, model_name, named, number, percent, share

if TYPE_CHECKING:  # pandas, which a table in the terminal does without
    from pipeline.publishing.edition import Edition

# Coverage this close to what was promised (as a fraction) counts as kept, and this far off as wrong.
_KEPT, _WRONG = 0.015, 0.04


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What stands at the top of the report."""

    tone: str  # "network" or "baseline"
    title: str
    reason: str
    evidence: str
    calibration: str


def verdict(edition: "Edition") -> Verdict:
    """Return which model is published today, why, and how far its ranges can be believed."""
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
        f"by {model_name(by, version)}"
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
    "suspect": "the network trained is suspect",
    "worse": "the network trained did not beat the best baseline",
    "by_chance": "the network trained did not beat the best baseline beyond chance",
    "behind_champion": "the network trained did not beat the champion beyond chance",
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
        return f"{_why_a_baseline(edition.decision)}: {name}"
    if promoted := edition.decision.promoted:
        title = "Today's network is published"
    else:
        champion = edition.decision.champion
        trained = f" of {day(champion.as_of, weekday=False)}" if champion and champion.as_of else ""
        title = f"The champion{trained} is published"
    if edition.model in edition.models:
        return f"{title}: {name}"
    who = "Today's network" if promoted else title.removesuffix(" is published")
    others = " and ".join(model_name(each) for each in edition.models)
    return f"{who}, {name}, forecasts none of the symbols, so the baseline is published: {others}"


def _why_a_baseline(decision: Decision) -> str:
    """Return why the best baseline is published, as the beginning of a title."""
    challenger, champion = _outcomes(decision)
    if challenger == "unjudged":
        return "No session is held out to judge a network on yet, so the baseline is published unjudged"
    if challenger in ("worse", "by_chance") and champion in ("none", "worse"):
        return "No network beat the best baseline beyond chance, so it is published"
    parts = [part for part in (_CHALLENGER.get(challenger, ""), _CHAMPION.get(champion, "")) if part]
    told = " and ".join(parts) or "no network may be published"
    return f"{told[:1].upper()}{told[1:]}, so the best baseline is published"


def _outcomes(decision: Decision) -> tuple[str, str]:
    """Return what became of challenger and champion. A decision of an older version says so only in its reason."""
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
    error = f"its forecast error (CRPS) was {number(published.crps_bp)} basis points"
    start = f"On {scores.sessions} sessions kept from training ({first} to {last}) {error}"
    gain = skill_of(edition, published)
    if gain is None or edition.model in BASELINES:
        return f"{start}."
    return f"{start}: skill {percent(gain)} against the best baseline, {named(edition.best_baseline)}."


def _calibration(scores: ModelScores | None) -> str:
    held = None if scores is None else scores.coverage.get(90)
    if held is None:
        return "The coverage of its ranges is not known."
    off, closes = held - 0.9, f"they held {share(held)} of the closes"
    if abs(off) <= _KEPT:
        return f"Its 90 % ranges did what they promise: {closes}."
    if abs(off) <= _WRONG:
        return f"Its 90 % ranges came out a little {'narrow' if off < 0 else 'wide'}: {closes}."
    if off < 0:
        return f"Its 90 % ranges were too narrow: {closes}. Expect more outside them than one in ten."
    return f"Its 90 % ranges were wider than they need be: {closes}."
