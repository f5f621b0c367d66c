"""The promotion gate: what is published, and whether the challenger becomes champion, from held-out sessions alone.

A challenger takes over only if its mean CRPS is lower than the champion's and the best baseline's on the same sessions,
and both differences are significant in a one-sided Diebold-Mariano test. The resulting champion is published only if
its mean beats the best baseline's; otherwise the baseline is. See docs/evaluation.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.evaluation.decision import ChallengerOutcome, ChampionOutcome, Decision, Evidence
from pipeline.evaluation.model_scores import ModelScores, Significance
from pipeline.forecast_schema import MODEL_NAMES


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A model at the gate: its name, its registered version, and its mean CRPS in basis points."""

    model: str
    version: str
    crps_bp: float
    suspect: tuple[str, ...] = ()  # its leakage alarms
    expired: str | None = None  # why it may no longer be published


def decide(
    challenger: Contender | None,
    champion: Contender | None,
    baseline: Contender,
    *,
    evidence: Evidence,
    not_trained: str | None = None,
    no_champion: str | None = None,
    none_before: str = "there is no earlier champion",
    skipped: Sequence[str] = (),
) -> Decision:
    """Return the decision on contenders that were all scored on the same sessions.

    Reasons in words: `not_trained`, why there is no challenger; `no_champion`, why the champion cannot be compared;
    `none_before`, that there is no champion; `skipped`, which later champions could not be used. Without a test the
    means alone decide. An expired champion does not have to be beaten: the challenger needs only a lower mean than the
    best baseline. A suspect network is neither promoted nor published.
    """
    promoted = challenger is not None and takes_over(challenger, champion, baseline, evidence)
    standing = challenger if promoted else champion
    published = standing if standing is not None and may_be_published(standing, baseline) else baseline
    absent = no_champion or none_before
    words = [_of_the_challenger(challenger, champion, baseline, evidence, promoted, not_trained, absent)]
    words += [*_of_the_champion(champion, baseline, promoted), *(f"{_upper(why)}." for why in skipped)]
    if published is baseline:
        words.append(f"So the baseline {_display(baseline)} is published.")
    elif not promoted:
        words.append(f"The champion {_named(published)} is published.")
    return Decision(
        model=published.model,
        model_version=published.version,
        promoted=promoted,
        reason=" ".join(words),
        challenger_outcome="takes_over" if promoted else _challenger_outcome(challenger, baseline, evidence),
        champion_outcome="replaced" if promoted and champion else _champion_outcome(champion, baseline, no_champion),
    )


def _challenger_outcome(challenger: Contender | None, baseline: Contender, evidence: Evidence) -> ChallengerOutcome:
    if challenger is None:
        return "not_trained"
    if challenger.suspect:
        return "suspect"
    if challenger.crps_bp >= baseline.crps_bp:
        return "worse"
    return "behind_champion" if _passes(evidence.against_baseline, evidence.level) else "by_chance"


def _champion_outcome(champion: Contender | None, baseline: Contender, no_champion: str | None) -> ChampionOutcome:
    if champion is None:
        return "unusable" if no_champion else "none"
    if champion.expired:
        return "expired"
    if champion.suspect:
        return "suspect"
    return "worse" if champion.crps_bp >= baseline.crps_bp else "published"


def best_baseline(models: Mapping[str, ModelScores], baselines: Sequence[str]) -> str | None:
    """Return the baseline with the lowest CRPS of those scored; of equals, the first by name. None if none was."""
    scored = sorted(name for name in baselines if name in models)
    return min(scored, key=lambda name: models[name].crps_bp, default=None)


def takes_over(challenger: Contender, champion: Contender | None, baseline: Contender, evidence: Evidence) -> bool:
    """Whether the challenger becomes champion: better than baseline and champion by more than chance explains.

    An expired champion is succeeded by any challenger that beats the baseline.
    """
    if challenger.suspect or challenger.crps_bp >= baseline.crps_bp:
        return False
    if champion is not None and champion.expired:
        return True
    if not _passes(evidence.against_baseline, evidence.level):
        return False
    return champion is None or (
        challenger.crps_bp < champion.crps_bp and _passes(evidence.against_champion, evidence.level)
    )


def _passes(test: Significance | None, level: float) -> bool:
    return test is None or test.p < level


def may_be_published(network: Contender, baseline: Contender) -> bool:
    """Whether a network may be published: better than the best baseline, without alarms, and not expired."""
    return network.crps_bp < baseline.crps_bp and not network.suspect and network.expired is None


def _of_the_challenger(
    challenger: Contender | None,
    champion: Contender | None,
    baseline: Contender,
    evidence: Evidence,
    promoted: bool,
    not_trained: str | None,
    absent: str,
) -> str:
    """Return the outcome for the challenger; `absent` says why no champion was compared, if there was none."""
    if challenger is None:
        return f"No network was trained: {not_trained}." + (f" {_upper(absent)}." if champion is None else "")
    if challenger.suspect:
        return (
            f"The challenger {_named(challenger)} does not take over: it is suspect, "
            f"{' and '.join(challenger.suspect)}, which is nearly always a data leak; "
            "look for inputs from after the session before using this network."
        )
    expired = champion is not None and champion.expired is not None
    test, level = (None if expired else evidence.against_baseline), evidence.level
    against = [
        _compared(challenger, baseline, f"best baseline {_display(baseline)}", test, level, untested=not expired)
    ]
    if champion is None:
        against.append(absent)
    elif expired:
        against.append(f"the champion {_named(champion)} has expired, so its score does not have to be beaten")
    else:
        test = evidence.against_champion
        against.append(_compared(challenger, champion, f"champion {_named(champion)}", test, level))
    verdict = "takes over" if promoted else "does not take over"
    return f"The challenger {_named(challenger)} {verdict}: {'; '.join(against)}."


def _of_the_champion(champion: Contender | None, baseline: Contender, promoted: bool) -> list[str]:
    """Return why a champion that stays is not published, if that is the case."""
    if champion is None or promoted:
        return []
    why = [champion.expired] if champion.expired else []
    if champion.suspect:
        why.append(f"it is suspect, {' and '.join(champion.suspect)}")
    if champion.crps_bp >= baseline.crps_bp:
        why.append(_compared(champion, baseline, f"best baseline {_display(baseline)}", None, 0.0, untested=False))
    return [f"The champion {_named(champion)} is not published: {'; '.join(why)}."] if why else []


def _compared(
    one: Contender, other: Contender, name: str, test: Significance | None, level: float, *, untested: bool = True
) -> str:
    difference = 100 * (one.crps_bp / other.crps_bp - 1) if other.crps_bp else 0.0
    side = "better" if difference < 0 else "worse" if difference > 0 else "no better"
    amount = f"{abs(difference):.2f} % " if difference else ""
    words = f"CRPS {one.crps_bp:.2f} bp is {amount}{side} than the {name} at {other.crps_bp:.2f} bp"
    if difference >= 0:
        return words
    if test is None:
        return f"{words} (too few sessions for a test: the means decide)" if untested else words
    verdict = "" if test.p < level else ", which may be chance"
    return f"{words} (t {test.t:.2f}, p {test.p:.3f} at the {level:g} level{verdict})"


def _named(contender: Contender) -> str:
    return f"{_display(contender)} (version {contender.version})"


def _display(contender: Contender) -> str:
    return MODEL_NAMES.get(contender.model, contender.model)


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]
