"""The gate: what is published, and whether the challenger becomes champion. Decided on held-out sessions alone.

A challenger takes over only if its mean CRPS is lower than the champion's and than the best baseline's, on the same
sessions. Whoever is champion then is published only if it beats the best baseline; otherwise the baseline is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A model before the gate: its name for people, its registered version, and its mean CRPS in basis points."""

    model: str
    version: str
    crps_bp: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the gate decided, and why in plain words."""

    model: str
    model_version: str
    promoted: bool
    reason: str


def decide(
    challenger: Contender | None,
    champion: Contender | None,
    baseline: Contender,
    *,
    not_trained: str | None = None,
    no_champion: str = "there is no champion yet",
) -> Decision:
    """Return the decision over contenders that were all scored on the same sessions.

    `not_trained` says why there is no challenger, `no_champion` why there is no champion to compare with.
    """
    promoted = (
        challenger is not None
        and challenger.crps_bp < baseline.crps_bp
        and (champion is None or challenger.crps_bp < champion.crps_bp)
    )
    standing = challenger if promoted else champion
    published = standing if standing is not None and standing.crps_bp < baseline.crps_bp else baseline
    words = [_of_the_challenger(challenger, champion, baseline, not_trained, no_champion)]
    if published is baseline:
        words.append(f"No network beats the baseline, so {baseline.model} is published.")
    elif not promoted:
        words.append(f"The champion {_named(published)} is published.")
    return Decision(model=published.model, model_version=published.version, promoted=promoted, reason=" ".join(words))


def best_baseline(scores: Mapping[str, Mapping[str, Any]], names: tuple[str, ...]) -> str:
    """Return the baseline with the lowest CRPS; of equals, the first by name."""
    return min(sorted(names), key=lambda name: float(scores[name]["crps_bp"]))


def _of_the_challenger(
    challenger: Contender | None,
    champion: Contender | None,
    baseline: Contender,
    not_trained: str | None,
    no_champion: str,
) -> str:
    if challenger is None:
        return f"No network was trained: {not_trained}."
    against = [_compared(challenger, baseline, f"best baseline {baseline.model}")]
    against.append(_compared(challenger, champion, f"champion {_named(champion)}") if champion else no_champion)
    verdict = "takes over" if _beats_all(challenger, champion, baseline) else "does not take over"
    return f"The challenger {_named(challenger)} {verdict}: {'; '.join(against)}."


def _beats_all(challenger: Contender, champion: Contender | None, baseline: Contender) -> bool:
    return all(challenger.crps_bp < other.crps_bp for other in (champion, baseline) if other is not None)


def _compared(one: Contender, other: Contender, name: str) -> str:
    difference = 100 * (one.crps_bp / other.crps_bp - 1) if other.crps_bp else 0.0
    side = "better" if difference < 0 else "worse" if difference > 0 else "no better"
    amount = f"{abs(difference):.2f} % " if difference else ""
    return f"CRPS {one.crps_bp:.2f} bp is {amount}{side} than the {name} at {other.crps_bp:.2f} bp"


def _named(contender: Contender) -> str:
    return f"{contender.model} (version {contender.version})"
